"""Products that the compiler cannot fuse with what comes after them.

XLA lets LLVM contract `a * b + c` to a fused multiply-add, which rounds once instead of twice,
wherever the product and the addition end up in one kernel and the processor has the instruction.
Whether they end up in one depends on shapes and on the neighbours in the program;
`lax.optimization_barrier`, `lax.reduce_precision` and the way through float64 and back do not
prevent it. So portable code keeps the two apart by construction:

- `pin` ends a product. It passes through the integers an instruction that changes no number and
  that the compiler cannot see through.
- Products that are exact anyway need no pin: fused or not, they round once. Such are products of
  two float32 numbers in float64, and products with powers of two.

XLA turns divisions by a constant or by something broadcast into products with the inverse, so these
are written as such products to begin with.
"""

from __future__ import annotations

from typing import Final

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

_LAST_NAN_BUT_ONE: Final = np.int32(0x7FFFFFFE)
_LAST_WIDE_NAN_BUT_ONE: Final = np.int64(0x7FFFFFFFFFFFFFFE)


def pin(x: Array) -> Array:
    """Keep a float32 product from being fused with what is done to it next.

    Takes the minimum of its bits, as signed integers, and 0x7ffffffe. That changes nothing but
    the one NaN with bits 0x7fffffff, into another NaN.
    """
    bits = lax.bitcast_convert_type(x, jnp.int32)
    return lax.bitcast_convert_type(jnp.minimum(bits, _LAST_NAN_BUT_ONE), jnp.float32)


def pin_wide(x: Array) -> Array:
    """Do the same for float64."""
    bits = lax.bitcast_convert_type(x, jnp.int64)
    return lax.bitcast_convert_type(jnp.minimum(bits, _LAST_WIDE_NAN_BUT_ONE), jnp.float64)
