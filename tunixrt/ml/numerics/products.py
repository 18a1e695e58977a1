"""Exact matrix products and embeddings, forward and backward.

Forward, `y = x @ w` over K: every row of x has a bound of its own, so a row's result does not
depend on the batch composition, and every column of w has one. Each operand gets half of the bits
of a term. With q_x + q_w = 53 - ceil(log2 K), the error of an entry against the exact product
is at most

    K * bound_x * bound_w * (2**-(q_x + 1) + 2**-(q_w + 1) + 2**-(q_x + q_w + 2))

before the last rounding to float32; a bound is less than twice the largest magnitude of its row.

Backward, `dx = dy @ w.T` contracts over the M columns, so dy has bounds by row and w has bounds by
row too. `dw = x.T @ dy` contracts over the N rows. There the rows of dy keep the units they have
in dx, so that dy is rounded once, and the rows of x take the inverse units, scaled so that the
largest product of two bounds fits: condition 2 of `grids`.
"""

from __future__ import annotations

import numpy as np

from tunixrt.ml.numerics.grids import bits_for_sum, bound_over, round_to
from tunixrt.ml.numerics.shapes import product_of_columns
from tunixrt.ml.xla import Array, jax, jnp, lax


def _scale(bits: int) -> np.float64:
    return np.float64(2.0**-bits)


@jax.custom_vjp
def product(x: Array, w: Array) -> Array:
    """Multiply `x` [N, K] by `w` [K, M] into [N, M], all float32."""
    n_bits = bits_for_sum(x.shape[1])
    x_bits = n_bits // 2
    on_grid = round_to(x, bound_over(x) * _scale(x_bits))
    weights = round_to(w, bound_over(w, (-2,)) * _scale(n_bits - x_bits))
    return jnp.matmul(on_grid, weights).astype(jnp.float32)


def _product_forward(x: Array, w: Array) -> tuple[Array, tuple[Array, Array]]:
    return product(x, w), (x, w)


def _product_backward(operands: tuple[Array, Array], gradient: Array) -> tuple[Array, Array]:
    x, w = operands
    by_column, by_row = bits_for_sum(gradient.shape[1]), bits_for_sum(gradient.shape[0])
    bits = min(by_column, by_row) // 2
    bound = bound_over(gradient)
    unit = bound * _scale(bits)
    on_grid = round_to(gradient, unit)

    weights = round_to(w, bound_over(w) * _scale(by_column - bits))
    dx = lax.dot_general(on_grid, weights, (((1,), (1,)), ((), ())))

    # unit_x * unit is one number for all rows, and no product of a row exceeds `largest`.
    largest = jnp.max(bound * bound_over(x))
    inputs = round_to(x, largest * _scale(by_row) / unit)
    dw = product_of_columns(inputs, on_grid)
    return dx.astype(jnp.float32), dw.astype(jnp.float32)


product.defvjp(_product_forward, _product_backward)


def linear(x: Array, w: Array) -> Array:
    """Multiply `x` [..., K] by `w` [K, N] into [..., N]."""
    rows = x.reshape(-1, x.shape[-1])
    return product(rows, w).reshape(*x.shape[:-1], w.shape[1])


@jax.custom_vjp
def embed(table: Array, ids: Array) -> Array:
    """Take the rows `ids` [...] of `table` [V, D] into [..., D]."""
    return jnp.take(table, ids, axis=0, mode="clip")


def _embed_forward(table: Array, ids: Array) -> tuple[Array, tuple[Array, Array]]:
    return embed(table, ids), (table, ids)


def _embed_backward(operands: tuple[Array, Array], gradient: Array) -> tuple[Array, None]:
    table, ids = operands
    rows = gradient.reshape(-1, table.shape[1])
    unit = bound_over(rows, (-1, -2)) * _scale(bits_for_sum(rows.shape[0]))
    total = jnp.zeros(table.shape, jnp.float64)
    total = total.at[ids.reshape(-1)].add(round_to(rows, unit), mode="clip")
    return total.astype(jnp.float32), None


embed.defvjp(_embed_forward, _embed_backward)
