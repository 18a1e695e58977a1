"""The flags of XLA, set in the environment of the process before XLA reads them.

XLA reads `XLA_FLAGS` once per process: at the first computation, not when jax is imported. So a
process that has imported jax, and has not computed yet, can still receive the flags; one that has
computed is accepted where the flags that XLA read are the required ones. Both numeric modes use
the same flags; they differ only in settings that jax can change at any time (`tunixrt.ml.xla`), so
one process can run a portable training and then a fast one.

This module imports neither jax nor numpy.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tunixrt.errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Mapping

FAST: Final = "fast"
PORTABLE: Final = "portable"
NUMERIC_MODES: Final = (FAST, PORTABLE)

YNN_FUSION_TYPE: Final = "--xla_cpu_experimental_ynn_fusion_type"
REQUIRED_XLA_FLAGS: Final[Mapping[str, str]] = {
    # Hardware approximations (rsqrt, rcp) answer differently on Intel and AMD.
    "--xla_cpu_enable_platform_dependent_math": "false",
    # YNNPACK chooses its kernels by CPU model. Portable dots are exact, so they may use it;
    # elementwise code and reductions may not.
    YNN_FUSION_TYPE: "-eltwise,-reduce",
    # Off is XLA's default; listed so that XLA_FLAGS cannot turn it on.
    "--xla_cpu_enable_fast_math": "false",
}


class UnknownNumericModeError(BadInputError):
    """The numeric mode does not exist."""

    def __init__(self, mode: str) -> None:
        self.mode = mode
        super().__init__(
            f"Numeric mode {mode!r} does not exist. Expected one of: {', '.join(NUMERIC_MODES)}."
        )


class ConflictingXlaFlagError(BadInputError):
    """`XLA_FLAGS` sets a required flag to another value."""

    def __init__(self, flag: str, expected: str, found: str) -> None:
        self.flag = flag
        self.expected = expected
        self.found = found
        super().__init__(
            f"XLA_FLAGS sets {flag} to {found!r}, but reproducible training needs "
            f"{expected!r}. Remove the flag from XLA_FLAGS."
        )


class XlaFlagsNotReadError(BadInputError):
    """XLA read its flags, at the first computation with jax, before the required ones were set.

    Attributes:
        not_in_effect: the flags of `XLA_FLAGS` that XLA did not read, each written `--name=value`.
    """

    def __init__(self, not_in_effect: tuple[str, ...], xla_flags: str) -> None:
        self.not_in_effect = not_in_effect
        super().__init__(
            "jax computed something in this process before the XLA flags for reproducible training "
            f"were set (not in effect: {' '.join(not_in_effect)}), and XLA reads its flags once "
            "per process. Restart Python (in a notebook: the kernel) and add one of these lines "
            "before the first computation with jax:\n"
            "    import tunixrt.ml.xla\n"
            f'    import os; os.environ["XLA_FLAGS"] = "{xla_flags}"'
        )


def prepare(mode: str) -> None:
    """Make this process ready to call the operations of a numeric mode directly.

    `train` and `Generator` need no preparation: they compute under `tunixrt.ml.xla.computing`.
    May be called again, also with the other mode.

    Args:
        mode: `fast` or `portable`.

    Raises:
        UnknownNumericModeError: The mode does not exist.
        ConflictingXlaFlagError: `XLA_FLAGS` sets a required flag to another value.
        XlaFlagsNotReadError: jax computed something before the flags were set.
    """
    set_flags(mode)

    from tunixrt.ml.xla import jax

    jax.config.update("jax_enable_x64", mode == PORTABLE)  # type: ignore[no-untyped-call]


def set_flags(mode: str) -> None:
    """Set in the environment of the process what XLA reads; does not import jax.

    Where jax is imported already, also checks that XLA has read the flags or can still read them.
    Otherwise, in portable mode, restricts jax to the CPU.

    Args:
        mode: `fast` or `portable`.

    Raises:
        UnknownNumericModeError: The mode does not exist.
        ConflictingXlaFlagError: `XLA_FLAGS` sets a required flag to another value.
        XlaFlagsNotReadError: jax computed something before the flags were set.
    """
    if mode not in NUMERIC_MODES:
        raise UnknownNumericModeError(mode)
    add_xla_flags()
    if "jax" in sys.modules:
        from tunixrt.ml.xla import check_flags_in_effect

        check_flags_in_effect()
    elif mode == PORTABLE:
        os.environ["JAX_PLATFORMS"] = "cpu"


def add_xla_flags() -> None:
    """Add the required flags to `XLA_FLAGS` and keep the others.

    Raises:
        ConflictingXlaFlagError: `XLA_FLAGS` sets a required flag to another value.
    """
    present = os.environ.get("XLA_FLAGS", "")
    missing = missing_xla_flags(present)
    if missing:
        os.environ["XLA_FLAGS"] = " ".join([*present.split(), *missing])


def missing_xla_flags(xla_flags: str) -> tuple[str, ...]:
    """List the required flags that a value of `XLA_FLAGS` does not contain.

    Args:
        xla_flags: The value of the variable, flags separated by white space.

    Returns:
        The missing ones, each written `--name=value`, in a fixed order.

    Raises:
        ConflictingXlaFlagError: A required flag has another value.
    """
    present = dict(flag.partition("=")[::2] for flag in xla_flags.split())
    missing = []
    for flag, expected in REQUIRED_XLA_FLAGS.items():
        if flag not in present:
            missing.append(f"{flag}={expected}")
        elif present[flag] != expected:
            raise ConflictingXlaFlagError(flag, expected, present[flag])
    return tuple(missing)


def started_threads() -> int | None:
    """How many threads XLA's CPU client runs in this process; None before it has started any.

    Read from the names of the threads, which Linux lists: `NPROC` and the CPU affinity may have
    changed since the client started.
    """
    if "jax" not in sys.modules:
        return None
    names = []
    for file in Path("/proc/self/task").glob("*/comm"):
        try:
            names.append(file.read_text(encoding="utf-8", errors="replace").strip())
        except OSError:  # the thread has ended
            continue
    return names.count("tf_XLAEigen") or None
