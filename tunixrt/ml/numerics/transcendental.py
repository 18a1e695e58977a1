"""`exp` and `log` from additions and products that cannot be fused.

Those of XLA are polynomials too, but their products are fused with their additions on processors
with FMA. These have the same bits with and without it.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from tunixrt.ml.numerics.pins import pin, pin_wide
from tunixrt.ml.xla import Array, jnp, lax

EXP_LIMIT: Final = np.float32(87)
"""exp(87) and exp(-87) are the last whose inverse is a normal float32 number too."""

_LOG2_E: Final = np.float32(1.44269504088896341)
_LN2_HIGH: Final = np.float32(0.693359375)
"""Ten bits, so that the product with a small integer is exact."""
_LN2_LOW: Final = np.float32(-2.12194440e-4)
_EXP: Final = tuple(
    np.float32(coefficient)
    for coefficient in (
        1.9875691500e-4,
        1.3981999507e-3,
        8.3334519073e-3,
        4.1665795894e-2,
        1.6666665459e-1,
        5.0000001201e-1,
    )
)
"""expf of the Cephes library (Moshier 1989): exp(r) = 1 + r + r ** 2 * polynomial(r)."""

_SQRT_HALF_BITS: Final = np.int32(0x3F3504F3)
_LN2: Final = np.float64(0.6931471805599453)
_ATANH: Final = tuple(np.float64(1) / np.float64(2 * n + 1) for n in range(9, -1, -1))
"""atanh(s) = s * (1 + s ** 2 / 3 + s ** 4 / 5 + ...)."""


def exp(x: Array) -> Array:
    """Compute the exponential function of float32, with a relative error below 2**-22.

    Zero below -87; above 87 it stays at exp(87), which is about 6e37. `x` is not a bare product
    (see `pins`).
    """
    inside = jnp.clip(x, -EXP_LIMIT, EXP_LIMIT)
    n = lax.round(pin(inside * _LOG2_E), lax.RoundingMethod.TO_NEAREST_EVEN)
    r = (inside - n * _LN2_HIGH) - pin(n * _LN2_LOW)
    polynomial = jnp.full_like(r, _EXP[0])
    for coefficient in _EXP[1:]:
        polynomial = pin(polynomial * r) + coefficient
    fraction = (pin(polynomial * (r * r)) + r) + np.float32(1)
    above = jnp.where(x < -EXP_LIMIT, np.float32(0), fraction)
    # A division by the inverse power is exact too, and XLA:CPU does not repeat it, nor what comes
    # before it, in every loop that uses the result, as it does with products.
    return above / lax.bitcast_convert_type((127 - n.astype(jnp.int32)) << 23, jnp.float32)


def log(x: Array) -> Array:
    """Compute the natural logarithm of positive, finite, normal float32.

    In float64, rounded once at the end: the error is little more than half a unit in the last
    place.
    """
    bits = lax.bitcast_convert_type(x, jnp.int32)
    # x = m * 2**n with m between sqrt(1/2) and sqrt(2).
    n = (bits - _SQRT_HALF_BITS) >> 23
    m = lax.bitcast_convert_type(bits - (n << 23), jnp.float32).astype(jnp.float64)
    s = (m - 1) / (m + 1)
    square = pin_wide(s * s)
    series = jnp.full_like(s, _ATANH[0])
    for coefficient in _ATANH[1:]:
        series = pin_wide(series * square) + coefficient
    return (pin_wide(n.astype(jnp.float64) * _LN2) + pin_wide(2 * s * series)).astype(jnp.float32)
