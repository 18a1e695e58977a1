"""The one door through which `tunixrt.ml` gets jax, and the settings of jax that decide bits.

Importing this module puts the required flags into `XLA_FLAGS` and imports jax after that. Every
other module of the package takes jax, flax, optax and safetensors from here (a test reads the
sources), so the wrong order of flags and imports cannot be written.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final

from tunixrt.errors import BadInputError
from tunixrt.ml.environment import (
    PORTABLE,
    YNN_FUSION_TYPE,
    XlaFlagsNotReadError,
    add_xla_flags,
    set_flags,
)

add_xla_flags()

import jax  # noqa: E402
import jax.extend.backend  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import optax  # type: ignore[import-untyped]  # noqa: E402  # optax has no types
from flax import nnx  # noqa: E402
from jax import Array, lax  # noqa: E402
from safetensors import SafetensorError  # noqa: E402
from safetensors import numpy as safetensors  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from typing import Any

    _Setting = tuple[Callable[[Any], AbstractContextManager[Any]], Any]

__all__ = [
    "Array",
    "JaxSettingError",
    "SafetensorError",
    "check_flags_in_effect",
    "computing",
    "jax",
    "jnp",
    "lax",
    "nnx",
    "optax",
    "safetensors",
]

_WANTED: Final[Mapping[str, _Setting]] = {
    "jax_disable_jit": (jax.disable_jit, False),
    "jax_default_matmul_precision": (jax.default_matmul_precision, None),
    "jax_numpy_dtype_promotion": (jax.numpy_dtype_promotion, "standard"),
    "jax_numpy_rank_promotion": (jax.numpy_rank_promotion, "allow"),
    "jax_debug_nans": (jax.debug_nans, False),
    "jax_debug_infs": (jax.debug_infs, False),
}
"""Settings that change bits or make valid code fail, with the value to compute under."""

_REQUIRED: Final[Mapping[str, object]] = {
    "jax_disable_most_optimizations": False,
    "jax_optimization_level": "UNKNOWN",
    "jax_exec_time_optimization_effort": 0.0,
}
"""Settings that change the compiled code and that jax does not let a block of code override."""


class JaxSettingError(BadInputError):
    """A setting of jax in this process is incompatible with the numeric mode."""


def check_flags_in_effect() -> None:
    """Check that XLA runs with the flags of `XLA_FLAGS`; it reads them here at the latest.

    Compares the required flags and all flags that are booleans.

    Raises:
        XlaFlagsNotReadError: jax computed something before the flags were set.
    """
    options = jax.extend.backend.get_compile_options(num_replicas=1, num_partitions=1)
    found: dict[str, list[str]] = {}
    for line in str(options.executable_build_options.debug_options).splitlines():
        name, _, value = line.partition(": ")
        found.setdefault(name, []).append(value)
    xla_flags = os.environ["XLA_FLAGS"]
    differing = [flag for flag in xla_flags.split() if not _is_in_effect(flag, found)]
    if differing:
        raise XlaFlagsNotReadError(tuple(differing), xla_flags)


def _is_in_effect(flag: str, found: Mapping[str, Sequence[str]]) -> bool:
    name, _, value = flag.partition("=")
    values = found.get(name.removeprefix("--"), ())
    if name == YNN_FUSION_TYPE:
        return not any(kind.endswith(("_ELTWISE", "_REDUCE")) for kind in values)
    # XLA omits flags that no longer have an effect.
    return not values or value not in ("true", "false") or value in values


@contextmanager
def computing(mode: str) -> Iterator[None]:
    """Compute in a numeric mode inside the block; afterwards jax has the settings of the caller.

    The settings hold for this thread. Blocks may be nested and may follow each other in different
    modes.

    Args:
        mode: `fast` or `portable`.

    Raises:
        UnknownNumericModeError: The mode does not exist.
        ConflictingXlaFlagError: `XLA_FLAGS` sets a required flag to another value.
        XlaFlagsNotReadError: jax computed something before the flags were set.
        JaxSettingError: A setting of jax changes the compiled code, or hides the CPU that portable
            mode needs.
    """
    set_flags(mode)
    for name, required in _REQUIRED.items():
        found = jax.config.values[name]
        if found != required:
            raise JaxSettingError(
                f"The jax setting {name} is {found!r}, which changes the compiled code; expected "
                f"{required!r}. Add this line before the call:\n"
                f"    jax.config.update({name!r}, {required!r})"
            )
    with ExitStack() as stack:
        x64 = mode == PORTABLE
        wanted: dict[str, _Setting] = {"jax_enable_x64": (jax.enable_x64, x64), **_WANTED}
        for name, (override, value) in wanted.items():
            # Only what differs: an override is part of the key of jax's compilation caches.
            if getattr(jax.config, name) != value:
                stack.enter_context(override(value))
        if mode == PORTABLE and not _is_cpu_the_default():
            stack.enter_context(jax.default_device(_cpu()))
        yield


def _is_cpu_the_default() -> bool:
    device = jax.config.jax_default_device  # type: ignore[attr-defined]  # defined at run time
    return device is None and jax.default_backend() == "cpu"


def _cpu() -> jax.Device:
    platforms = jax.config.jax_platforms  # type: ignore[attr-defined]  # defined at run time
    try:
        return jax.local_devices(backend="cpu")[0]
    except RuntimeError as error:
        raise JaxSettingError(
            "The numeric mode portable computes on the CPU, and the jax setting jax_platforms "
            f"({platforms!r}) excludes it. Restart Python and add this line before "
            "jax is imported:\n"
            '    import os; os.environ["JAX_PLATFORMS"] = "cpu"'
        ) from error


# jax may have been imported, and may have computed, before this module.
check_flags_in_effect()
