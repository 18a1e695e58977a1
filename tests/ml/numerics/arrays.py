"""Arrays for the tests of the numerics, and how their bits are compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


def normal(seed: int, *shape: int) -> NDArray[np.float32]:
    """Ordinary numbers."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def wild(seed: int, *shape: int) -> NDArray[np.float32]:
    """Numbers of very different sizes, with zeros, negative zeros and subnormal numbers."""
    rng = np.random.default_rng(seed)
    values = rng.standard_normal(shape) * 2.0 ** rng.integers(-40, 30, shape)
    values = np.where(rng.random(shape) < 0.1, -0.0, values).astype(np.float32)
    subnormal = rng.integers(1, 1 << 23, shape).astype(np.uint32).view(np.float32)
    return np.where(rng.random(shape) < 0.05, subnormal, values)


def bits(value: Any) -> Any:
    """The bytes of every leaf, -0.0 taken as 0.0: what has to be equal."""
    return jax.tree.map(lambda leaf: (np.asarray(leaf) + np.float32(0)).tobytes(), value)


def gradients(function: Callable[..., Any], cotangent: Any, *operands: Any) -> Any:
    """The compiled gradients of sum(cotangent * function(*operands)), one for each operand."""

    @jax.jit
    def pull(cotangent: Any, *operands: Any) -> Any:
        return jax.vjp(function, *operands)[1](cotangent)

    return pull(jnp.asarray(cotangent), *(jnp.asarray(operand) for operand in operands))


def largest_error(found: Any, expected: Any) -> float:
    """The largest difference, relative to the largest entry that is expected."""
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    return float(np.max(np.abs(found - expected)) / np.max(np.abs(expected)))
