"""Products that the compiler cannot fuse with what comes after them.

XLA lets LLVM contract `a * b + c` to a fused multiply-add, which rounds once instead of twice,
wherever the product and the addition end up in one kernel and the processor has the instruction.
Whether they do depends on shapes and on the surrounding program; `lax.optimization_barrier`,
`lax.reduce_precision` and a conversion to float64 and back do not prevent it. So portable code
separates the two by construction:

- `pin` ends a product: an integer instruction on its bits, which changes no number and which the
  compiler cannot remove.
- Products that are exact anyway need no pin: fused or not, they round once. Such are products of
  two float32 numbers in float64, and products with powers of two.

XLA turns divisions by a constant or by something broadcast into products with the inverse, so these
are written as such products from the start.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from tunixrt.ml.xla import Array, jnp, lax

_LAST_NAN_BUT_ONE: Final = np.int32(0x7FFFFFFE)
_LAST_WIDE_NAN_BUT_ONE: Final = np.int64(0x7FFFFFFFFFFFFFFE)


def pin(x: Array) -> Array:
    """Keep a float32 product from being fused with the operation that follows.

    Takes the minimum of its bits, as signed integers, and 0x7ffffffe. That changes nothing but
    the one NaN with bits 0x7fffffff, into another NaN.
    """
    bits = lax.bitcast_convert_type(x, jnp.int32)
    return lax.bitcast_convert_type(jnp.minimum(bits, _LAST_NAN_BUT_ONE), jnp.float32)


def pin_wide(x: Array) -> Array:
    """Do the same for float64."""
    bits = lax.bitcast_convert_type(x, jnp.int64)
    return lax.bitcast_convert_type(jnp.minimum(bits, _LAST_WIDE_NAN_BUT_ONE), jnp.float64)
