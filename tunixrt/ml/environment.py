"""Prepare the process for XLA: what has to be settled before jax is imported.

XLA reads its flags once, when its first client is created, so the flags have to stand in the
environment of the process before that. Both numeric modes use the same flags; they differ only in
`jax_enable_x64`, which jax may change at any time. So one process can run a portable training and
a fast one after it.

This module imports neither jax nor numpy: importing it is how a process gets ready to.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

from tunixrt.errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

FAST: Final = "fast"
PORTABLE: Final = "portable"
NUMERIC_MODES: Final = (FAST, PORTABLE)

REQUIRED_XLA_FLAGS: Final[Mapping[str, str]] = {
    # Hardware approximations (rsqrt, rcp) answer differently on Intel and AMD.
    "--xla_cpu_enable_platform_dependent_math": "false",
    # YNNPACK chooses its kernels by CPU model. Its dots are welcome, since portable dots are
    # exact; its elementwise code and its reductions are not.
    "--xla_cpu_experimental_ynn_fusion_type": "-eltwise,-reduce",
    # Off is XLA's default; named here so that a flag in the environment cannot turn it on.
    "--xla_cpu_enable_fast_math": "false",
}


class UnknownNumericModeError(BadInputError):
    """The numeric mode is not one that tunixrt has."""

    def __init__(self, mode: str) -> None:
        self.mode = mode
        super().__init__(
            f"Numeric mode {mode!r} does not exist. Expected one of: {', '.join(NUMERIC_MODES)}."
        )


class ConflictingXlaFlagError(BadInputError):
    """XLA_FLAGS sets a flag to another value than the one that reproducible bits need."""

    def __init__(self, flag: str, expected: str, found: str) -> None:
        self.flag = flag
        self.expected = expected
        self.found = found
        super().__init__(
            f"XLA_FLAGS sets {flag} to {found!r}, but training that can be repeated needs "
            f"{expected!r}. Remove the flag from XLA_FLAGS."
        )


class JaxImportedTooEarlyError(BadInputError):
    """jax was imported before the flags of XLA were set."""

    def __init__(self, missing: tuple[str, ...]) -> None:
        self.missing = missing
        super().__init__(
            "jax was imported before the XLA flags of tunixrt were set, so they may have no "
            f"effect (missing: {' '.join(missing)}). Call tunixrt.ml.environment.prepare() before "
            "the first import of jax, or put the flags into XLA_FLAGS before starting Python."
        )


def prepare(mode: str) -> None:
    """Make this process ready to compute in a numeric mode.

    Sets the flags (see `set_flags`), then imports jax and sets `jax_enable_x64` as the mode needs
    it. May be called again, also with the other mode.

    Args:
        mode: `fast` or `portable`.

    Raises:
        UnknownNumericModeError: There is no such mode.
        ConflictingXlaFlagError: `XLA_FLAGS` already gives a required flag another value.
        JaxImportedTooEarlyError: jax was imported before the flags stood in `XLA_FLAGS`.
    """
    set_flags(mode)

    import jax

    jax.config.update("jax_enable_x64", mode == PORTABLE)  # type: ignore[no-untyped-call]


def set_flags(mode: str) -> None:
    """Put into the environment of the process what XLA will read, without importing jax.

    Adds the required flags to `XLA_FLAGS` and keeps whatever else stands there. In portable mode
    only the CPU is used.

    Args:
        mode: `fast` or `portable`.

    Raises:
        UnknownNumericModeError: There is no such mode.
        ConflictingXlaFlagError: `XLA_FLAGS` already gives a required flag another value.
        JaxImportedTooEarlyError: jax was imported before the flags stood in `XLA_FLAGS`.
    """
    if mode not in NUMERIC_MODES:
        raise UnknownNumericModeError(mode)
    missing = missing_xla_flags(os.environ.get("XLA_FLAGS", ""))
    if missing and "jax" in sys.modules:
        raise JaxImportedTooEarlyError(missing)
    _add_flags(os.environ, missing)
    if mode == PORTABLE and "jax" not in sys.modules:
        os.environ["JAX_PLATFORMS"] = "cpu"


def missing_xla_flags(xla_flags: str) -> tuple[str, ...]:
    """List the required flags that a value of `XLA_FLAGS` does not hold yet.

    Args:
        xla_flags: The value of the variable, flags separated by white space.

    Returns:
        The missing ones, each written `--name=value`, in a fixed order.

    Raises:
        ConflictingXlaFlagError: A required flag is there with another value.
    """
    present = dict(flag.partition("=")[::2] for flag in xla_flags.split())
    missing = []
    for flag, expected in REQUIRED_XLA_FLAGS.items():
        if flag not in present:
            missing.append(f"{flag}={expected}")
        elif present[flag] != expected:
            raise ConflictingXlaFlagError(flag, expected, present[flag])
    return tuple(missing)


def _add_flags(environ: MutableMapping[str, str], missing: tuple[str, ...]) -> None:
    if missing:
        environ["XLA_FLAGS"] = " ".join([*environ.get("XLA_FLAGS", "").split(), *missing])
