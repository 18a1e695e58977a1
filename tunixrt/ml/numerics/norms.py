"""Exact norms: Gemma's RMS norm with its gradient, and the norm of a whole tree.

RMS norm. The squares are summed from x rounded to the row's own grid, half of the bits for each
factor, so the sum is exact and the result depends on nothing but the row. What follows the sum is
one chain of correctly rounded steps without any product that feeds an addition:
`1 / sqrt(sum + D * eps) * sqrt(D)` in float64, rounded to float32 at the end.

Its gradient needs two more sums, of products of two float32 numbers, which float64 holds exactly:
along the row (for dx) and down the column (for the scale). A normalised entry is at most sqrt(D)
in magnitude, up to rounding, so twice a power of two above sqrt(D), times the bound of the
gradient's row, bounds each product without another pass over the data.
"""

from __future__ import annotations

from functools import partial
from math import sqrt
from typing import Any

import numpy as np

from tunixrt.ml.numerics.grids import bits_for_sum, bound_over, round_to, sum_last
from tunixrt.ml.numerics.pins import pin
from tunixrt.ml.xla import Array, jax, jnp


def _inverse_rms(x: Array, eps: float) -> Array:
    width = x.shape[-1]
    unit = bound_over(x) * np.float64(2.0 ** -(bits_for_sum(width) // 2))
    on_grid = round_to(x, unit)
    total = sum_last(on_grid * on_grid) + np.float64(width * eps)
    inverse = np.float64(1) / jnp.sqrt(total)
    return (inverse * np.float64(sqrt(width))).astype(jnp.float32)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def rms_norm(x: Array, scale: Array, eps: float) -> Array:
    """Normalise `x` [..., D] by its root mean square and multiply it by `1 + scale` [D]."""
    return pin(x * _inverse_rms(x, eps) * (np.float32(1) + scale))


def _rms_norm_forward(x: Array, scale: Array, eps: float) -> tuple[Array, tuple[Array, Array]]:
    return rms_norm(x, scale, eps), (x, scale)


def _rms_norm_backward(
    eps: float, operands: tuple[Array, Array], gradient: Array
) -> tuple[Array, Array]:
    shape = operands[0].shape
    width = shape[-1]
    x, gradient = operands[0].reshape(-1, width), gradient.reshape(-1, width)
    factor = np.float32(1) + operands[1]
    inverse = _inverse_rms(x, eps)
    normal = pin(x * inverse)
    # |normal| <= sqrt(width) * (1 + 2**-20) < normal_bound.
    normal_bound = np.float64(2.0 ** ((width - 1).bit_length() // 2 + 1))
    bound = bound_over(gradient) * normal_bound

    n_rows = x.shape[0]
    wide = normal.astype(jnp.float64)
    unit = jnp.max(bound) * np.float64(2.0 ** -bits_for_sum(n_rows))
    d_scale = jnp.sum(round_to(gradient.astype(jnp.float64) * wide, unit), axis=0)

    scaled = pin(gradient * factor)
    unit = bound * (bound_over(factor) * np.float64(2.0 ** -bits_for_sum(width)))
    along = sum_last(round_to(scaled.astype(jnp.float64) * wide, unit))
    share = (along * np.float64(1 / width)).astype(jnp.float32)
    # share is a float32, so share * normal is exact in float64.
    across = (scaled.astype(jnp.float64) - share.astype(jnp.float64) * wide).astype(jnp.float32)
    return pin(across * inverse).reshape(shape), d_scale.astype(jnp.float32)


rms_norm.defvjp(_rms_norm_forward, _rms_norm_backward)


@jax.custom_vjp
def global_norm(tree: Any) -> Array:
    """Compute the square root of the sum of squares over all leaves, in the order of the tree.

    A square is exact in float64; within a leaf the squares are rounded to one grid of
    `bits_for_sum(size)` bits below the square of the leaf's bound.
    """
    total: Array | np.float64 = np.float64(0)
    for leaf in jax.tree.leaves(tree):
        every_axis = tuple(range(-leaf.ndim, 0))
        bound = bound_over(leaf, every_axis)
        unit = bound * bound * np.float64(2.0 ** -bits_for_sum(leaf.size))
        wide = leaf.astype(jnp.float64)
        total = total + jnp.sum(round_to(wide * wide, unit))
    return jnp.sqrt(jnp.asarray(total)).astype(jnp.float32)


def _global_norm_forward(tree: Any) -> tuple[Array, tuple[Any, Array]]:
    norm = global_norm(tree)
    return norm, (tree, norm)


def _global_norm_backward(operands: tuple[Any, Array], gradient: Array) -> tuple[Any]:
    tree, norm = operands
    factor = gradient / norm  # both are scalars
    return (jax.tree.map(lambda leaf: pin(leaf * factor), tree),)


global_norm.defvjp(_global_norm_forward, _global_norm_backward)
