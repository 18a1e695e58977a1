"""Sums that do not depend on the order of additions: numbers on grids, added in float64.

A *unit* is a power of two. Numbers that are multiples of one unit, with magnitudes and partial
sums of at most 2**53 units, are integers to float64: it adds them without rounding, so the order,
the vector width, the number of threads and the use of FMA do not affect the result. The rest is
choosing units.

A dot product `sum(x[k] * w[k], k < K)` is exact when

    1. every x[k] is a multiple of unit_x[k] and every w[k] one of unit_w[k],
    2. unit_x[k] * unit_w[k] is the same G for every k, and
    3. |x[k] * w[k]| <= 2**bits_for_sum(K) * G, where bits_for_sum(K) = 53 - ceil(log2 K).

By 1 and 2 each product is an integer times G, by 3 it has at most 53 bits (so it is exact with or
without FMA), and any partial sum is at most K * 2**(53 - ceil(log2 K)) * G <= 2**53 * G.
Condition 2 requires one unit along the contracted axis, or two that compensate each other: if the
rows of x have different units, those of w have the inverse ones.

Rounding to a unit u divides by it, which is exact, rounds to the nearest integer, ties to even,
with one instruction, and multiplies by it again, exact as well: `round(x / u) * u`. (The well-known
`(x + c) - c` with c = 1.5 * 2**52 * u would do the same, but XLA simplifies it to x where c is a
constant.) Where x is itself a product of two float32 numbers, it is exact in float64, so whatever
the compiler fuses it with changes nothing.

The bound B of a group of numbers is a power of two with |x| <= B. With u = B * 2**-q a number is
rounded by at most B * 2**-(q + 1), and rounding cannot take it beyond B, a multiple of u. Bounds
never fall below 2**-99: then u is above 2**-124, and subnormal float32 numbers round to zero
whether or not the processor had flushed them already. Units multiplied together stay far inside
the exponents of float64. A bound of infinity or NaN makes the result NaN.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from tunixrt.ml.xla import Array, jnp, lax

SMALLEST_BOUND: Final = np.float64(2.0**-99)
"""No bound is below it."""

_EXPONENT: Final = np.int32(0x7F800000)
_WIDE_EXPONENT: Final = np.int64(0x7FF << 52)
_ONE_AND_ONE: Final = np.int64(2 * 1023 << 52)
"""The exponents of a power of two and its inverse, added up."""


def bits_for_sum(n_terms: int) -> int:
    """The most bits that n terms may have to add up to at most 2**53: 53 - ceil(log2 n)."""
    return 53 - max(0, n_terms - 1).bit_length()


def bound_over(x: Array, axes: tuple[int, ...] = (-1,)) -> Array:
    """Find a power of two between |x| and 2 |x| of the largest entry along some axes.

    Args:
        x: float32.
        axes: The axes to look along; they stay, with length 1.

    Returns:
        float64, at least `SMALLEST_BOUND`; infinite where an entry is not finite.
    """
    largest = jnp.max(jnp.abs(x), axis=axes, keepdims=True)
    raised = jnp.maximum(largest, np.float32(SMALLEST_BOUND / 2))
    bits = lax.bitcast_convert_type(raised, jnp.int32) & _EXPONENT
    power = lax.bitcast_convert_type(bits, jnp.float32)
    return power.astype(jnp.float64) * np.float64(2)


def power_above(x: Array) -> Array:
    """Find the power of two in (x, 2 x] for float64 x >= 0, at least `SMALLEST_BOUND`."""
    bits = lax.bitcast_convert_type(jnp.maximum(x, SMALLEST_BOUND / 2), jnp.int64) & _WIDE_EXPONENT
    return lax.bitcast_convert_type(bits, jnp.float64) * np.float64(2)


def round_to(x: Array, unit: Array | np.float64) -> Array:
    """Round to the nearest multiples of a unit, ties to even.

    Args:
        x: float32, or float64 with exact products of two float32 numbers.
        unit: float64 powers of two that broadcast against `x`.

    Returns:
        float64.
    """
    return round_in_units(x, np.float64(1) / unit, unit)


def round_in_units(x: Array, inverse: Array | np.float64, unit: Array | np.float64) -> Array:
    """Do as `round_to` does, with the inverse of the unit computed by the caller."""
    in_units = x.astype(jnp.float64) * inverse
    return lax.round(in_units, lax.RoundingMethod.TO_NEAREST_EVEN) * unit


def inverse_of_power(x: Array) -> Array:
    """Invert float64 powers of two by their exponents. The inverse of infinity is not finite."""
    bits = _ONE_AND_ONE - lax.bitcast_convert_type(x, jnp.int64)
    return lax.bitcast_convert_type(bits, jnp.float64)


def max_last(x: Array) -> Array:
    """Find the largest entry along the last axis, which stays with length 1."""
    return jnp.max(x, axis=-1, keepdims=True)


def sum_last(x: Array) -> Array:
    """Add up the last axis, which stays with length 1. The terms must be on a grid."""
    return jnp.sum(x, axis=-1, keepdims=True)


def running_sum(x: Array) -> Array:
    """Add up the last axis of float32 within [0, 1], entry by entry.

    Terms are rounded to a static grid, so every partial sum is exact, whatever tree of additions
    the compiler builds.

    Returns:
        float64 of the same shape; the error of entry i is at most i * 2**-(b + 1) with b
        `bits_for_sum` of the axis.
    """
    unit = np.float64(2.0 ** -bits_for_sum(x.shape[-1]))
    return jnp.cumsum(round_to(x, unit), axis=-1)
