"""Elementwise operations whose bits do not depend on the program around them.

Every product that enters an addition is pinned (see `pins`) or exact: sums of products of float32
numbers are computed in float64 and rounded to float32. Everything else that is used, addition,
division, square root and comparison, is correctly rounded by IEEE 754 and not fused.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from tunixrt.ml.numerics.grids import bits_for_sum, bound_over, round_to
from tunixrt.ml.numerics.pins import pin
from tunixrt.ml.numerics.shapes import rotation_terms
from tunixrt.ml.numerics.transcendental import exp
from tunixrt.ml.xla import Array, jax, jnp

_GELU_SCALE: Final = np.float32(2 * 0.7978845608028654)
"""2 * sqrt(2 / pi)"""
_GELU_CUBIC: Final = np.float32(0.044715)
_GELU_SLOPE: Final = np.float32(2 * 0.7978845608028654 * 3 * 0.044715)
_ONE: Final = np.float32(1)
_HALF: Final = np.float32(0.5)


def sum_to_shape(x: Array, shape: tuple[int, ...]) -> Array:
    """Undo a broadcast: add up float32 `x` exactly along the axes that `shape` does not have."""
    n_new = x.ndim - len(shape)
    stretched = tuple(
        axis
        for axis in range(x.ndim)
        if axis < n_new or (shape[axis - n_new] == 1 and x.shape[axis] != 1)
    )
    if not stretched:
        return x
    n_terms = int(np.prod([x.shape[axis] for axis in stretched]))
    every_axis = tuple(range(-x.ndim, 0))
    unit = bound_over(x, every_axis) * np.float64(2.0 ** -bits_for_sum(n_terms))
    return jnp.sum(round_to(x, unit), axis=stretched).astype(jnp.float32).reshape(shape)


def _wide(x: Array) -> Array:
    return x.astype(jnp.float64)


@jax.custom_vjp
def multiply(a: Array, b: Array) -> Array:
    """Compute `a * b` as a float32 that nothing is fused with."""
    return pin(a * b)


def _multiply_forward(a: Array, b: Array) -> tuple[Array, tuple[Array, Array]]:
    return multiply(a, b), (a, b)


def _multiply_backward(operands: tuple[Array, Array], gradient: Array) -> tuple[Array, Array]:
    a, b = operands
    return (
        sum_to_shape(pin(gradient * b), a.shape),
        sum_to_shape(pin(gradient * a), b.shape),
    )


multiply.defvjp(_multiply_forward, _multiply_backward)


@jax.custom_vjp
def weighted_sum(a: Array, x: Array, b: Array, y: Array) -> Array:
    """Compute `a * x + b * y` with exact products and a sum rounded to float64, then float32."""
    return (_wide(a) * _wide(x) + _wide(b) * _wide(y)).astype(jnp.float32)


def _weighted_sum_forward(
    a: Array, x: Array, b: Array, y: Array
) -> tuple[Array, tuple[Array, Array, Array, Array]]:
    return weighted_sum(a, x, b, y), (a, x, b, y)


def _weighted_sum_backward(
    operands: tuple[Array, Array, Array, Array], gradient: Array
) -> tuple[Array, Array, Array, Array]:
    a, x, b, y = operands
    return (
        sum_to_shape(pin(gradient * x), a.shape),
        sum_to_shape(pin(gradient * a), x.shape),
        sum_to_shape(pin(gradient * y), b.shape),
        sum_to_shape(pin(gradient * b), y.shape),
    )


weighted_sum.defvjp(_weighted_sum_forward, _weighted_sum_backward)


@jax.custom_vjp
def multiply_add(a: Array, b: Array, c: Array) -> Array:
    """Compute `a * b + c` with an exact product and a sum rounded to float64, then float32."""
    return (_wide(a) * _wide(b) + _wide(c)).astype(jnp.float32)


def _multiply_add_forward(a: Array, b: Array, c: Array) -> tuple[Array, tuple[Array, Array, Array]]:
    return multiply_add(a, b, c), (a, b, c)


def _multiply_add_backward(
    operands: tuple[Array, Array, Array], gradient: Array
) -> tuple[Array, Array, Array]:
    a, b, c = operands
    return (
        sum_to_shape(pin(gradient * b), a.shape),
        sum_to_shape(pin(gradient * a), b.shape),
        sum_to_shape(gradient, c.shape),
    )


multiply_add.defvjp(_multiply_add_forward, _multiply_add_backward)


@jax.custom_vjp
def inverse_sqrt(x: Array) -> Array:
    """Compute `1 / sqrt(x)` with two correctly rounded steps, not with `rsqrt`."""
    return _ONE / jnp.sqrt(x)


def _inverse_sqrt_forward(x: Array) -> tuple[Array, Array]:
    y = inverse_sqrt(x)
    return y, y


def _inverse_sqrt_backward(y: Array, gradient: Array) -> tuple[Array]:
    return (pin(gradient * (-_HALF * y * y * y)),)


inverse_sqrt.defvjp(_inverse_sqrt_forward, _inverse_sqrt_backward)


def _gelu_gate(x: Array) -> Array:
    """(1 + tanh(y)) / 2 is the logistic function of 2 y: 1 / (1 + exp(-2 y))."""
    return _ONE / (_ONE + exp(pin(-_GELU_SCALE * (x + pin(_GELU_CUBIC * (x * x * x))))))


@jax.custom_vjp
def gelu(x: Array) -> Array:
    """Compute `x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x ** 3)))`."""
    return pin(x * _gelu_gate(x))


def _gelu_forward(x: Array) -> tuple[Array, Array]:
    return gelu(x), x


def _gelu_backward(x: Array, gradient: Array) -> tuple[Array]:
    gate = _gelu_gate(x)
    slope_inside = _GELU_SCALE + pin(_GELU_SLOPE * (x * x))
    return (pin(gradient * (gate + pin(x * (gate * (_ONE - gate)) * slope_inside))),)


gelu.defvjp(_gelu_forward, _gelu_backward)


def _silu_gate(x: Array) -> Array:
    return _ONE / (_ONE + exp(-x))


@jax.custom_vjp
def silu(x: Array) -> Array:
    """Compute `x / (1 + exp(-x))`."""
    return pin(x * _silu_gate(x))


def _silu_forward(x: Array) -> tuple[Array, Array]:
    return silu(x), x


def _silu_backward(x: Array, gradient: Array) -> tuple[Array]:
    gate = _silu_gate(x)
    return (pin(gradient * (gate * (_ONE + pin(x * (_ONE - gate))))),)


silu.defvjp(_silu_forward, _silu_backward)


@jax.custom_vjp
def rotate(x: Array, cos: Array, sin: Array) -> Array:
    """Apply rotary position embeddings; the tables are constants to differentiation."""
    c, s, swapped = rotation_terms(x, cos, sin)
    halves = x.reshape(swapped.shape)
    return weighted_sum(c, halves, s, swapped).reshape(x.shape)


def _rotate_forward(x: Array, cos: Array, sin: Array) -> tuple[Array, tuple[Array, Array]]:
    return rotate(x, cos, sin), (cos, sin)


def _rotate_backward(tables: tuple[Array, Array], gradient: Array) -> tuple[Array, None, None]:
    cos, sin = tables
    return rotate(gradient, cos, -sin), None, None


rotate.defvjp(_rotate_forward, _rotate_backward)
