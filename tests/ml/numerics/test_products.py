"""Exact products: the same bits however they are computed, close to the real numbers."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.ml.numerics.arrays import bits, gradients, largest_error, normal, wild
from tunixrt.ml.numerics import numerics_for
from tunixrt.ml.numerics.products import embed, product

PORTABLE: Any = numerics_for("portable")
forward = jax.jit(product)


@pytest.fixture(params=[normal, wild], ids=["normal", "wild"])
def operands(request: pytest.FixtureRequest) -> tuple[Any, Any, Any]:
    """x [24, 100], w [100, 36] and a gradient [24, 36]."""
    draw = request.param
    return draw(1, 24, 100), draw(2, 100, 36), draw(3, 24, 36)


def test_permuting_the_contracted_axis_changes_no_bit(operands: tuple[Any, Any, Any]) -> None:
    x, w, g = operands
    order = np.random.default_rng(0).permutation(100)
    assert bits(forward(x[:, order], w[order])) == bits(forward(x, w))
    dx, dw = gradients(product, g, x[:, order], w[order])
    expected_dx, expected_dw = gradients(product, g, x, w)
    assert bits((dx, dw)) == bits((expected_dx[:, order], expected_dw[order]))


def test_permuting_rows_and_columns_permutes_the_results(operands: tuple[Any, Any, Any]) -> None:
    x, w, g = operands
    rng = np.random.default_rng(0)
    rows, columns = rng.permutation(24), rng.permutation(36)
    assert bits(forward(x[rows], w[:, columns])) == bits(forward(x, w)[rows][:, columns])
    dx, dw = gradients(product, g[rows][:, columns], x[rows], w[:, columns])
    expected_dx, expected_dw = gradients(product, g, x, w)
    assert bits((dx, dw)) == bits((expected_dx[rows], expected_dw[:, columns]))


@pytest.mark.parametrize("n_rows", [1, 2, 7])
def test_a_row_does_not_know_its_batch(operands: tuple[Any, Any, Any], n_rows: int) -> None:
    x, w, _ = operands
    assert bits(forward(x[:n_rows], w)) == bits(forward(x, w)[:n_rows])
    assert bits(PORTABLE.linear(x[:6].reshape(2, 3, 100), w)) == bits(forward(x, w)[:6])


@pytest.mark.parametrize("seed", range(3))
def test_the_error_is_within_the_stated_bound(seed: int) -> None:
    x, w = wild(seed, 30, 100), wild(seed + 100, 100, 20)
    exact = x.astype(np.float64) @ w.astype(np.float64)
    reach = _bound(x, 1)[:, None] * _bound(w, 0)[None]
    # 46 bits for 100 terms, 23 for each factor; then half a unit in the last place of a float32.
    allowed = 100 * reach * (2.0**-24 + 2.0**-24 + 2.0**-48) + np.abs(exact) * 2.0**-24
    assert (np.abs(forward(x, w) - exact) <= allowed).all()


def test_ordinary_products_are_as_good_as_float32() -> None:
    x, w, g = normal(1, 64, 128), normal(2, 128, 96), normal(3, 64, 96)
    wide = [operand.astype(np.float64) for operand in (x, w, g)]
    assert largest_error(forward(x, w), wide[0] @ wide[1]) < 4e-7
    dx, dw = gradients(product, g, x, w)
    assert largest_error(dx, wide[2] @ wide[1].T) < 6e-7
    assert largest_error(dw, wide[0].T @ wide[2]) < 6e-7


def test_rows_of_gradients_far_apart_in_size_keep_their_precision() -> None:
    """A row's dx is as good as if it were alone, though dw shares its rounding."""
    x, w, g = normal(1, 8, 64), normal(2, 64, 32), normal(3, 8, 32)
    g[3] *= np.float32(2.0**-30)
    dx, _ = gradients(product, g, x, w)
    exact = g[3].astype(np.float64) @ w.T.astype(np.float64)
    assert largest_error(dx[3], exact) < 1e-6


def test_rows_without_gradient_change_no_bit_of_the_others() -> None:
    x, w, g = normal(1, 8, 64), normal(2, 64, 32), normal(3, 8, 32)
    g[5:] = 0
    dx, dw = gradients(product, g, x, w)
    x[5:] = normal(4, 3, 64)
    other_dx, other_dw = gradients(product, g, x, w)
    assert bits((dx, dw)) == bits((other_dx, other_dw))
    assert not np.asarray(dx)[5:].any()


def test_logits_are_products_with_the_transposed_table() -> None:
    x, table = normal(1, 2, 3, 16), normal(2, 21, 16)
    assert bits(PORTABLE.logits(x, jnp.asarray(table))) == bits(PORTABLE.linear(x, table.T))


def test_embedding_takes_rows() -> None:
    table, ids = normal(1, 11, 4), np.array([[3, 3, 10], [0, 1, 3]], np.int32)
    assert bits(PORTABLE.embed(jnp.asarray(table), jnp.asarray(ids))) == bits(table[ids])


def test_the_gradient_of_an_embedding_ignores_the_order_of_tokens() -> None:
    table, g = normal(1, 11, 4), wild(2, 60, 4)
    rng = np.random.default_rng(0)
    ids, order = rng.integers(0, 5, 60).astype(np.int32), rng.permutation(60)

    @jax.jit
    def pull(ids: Any, g: Any) -> Any:
        return jax.vjp(lambda table: embed(table, ids), jnp.asarray(table))[1](g)[0]

    found = pull(ids, g)
    assert bits(pull(ids[order], g[order])) == bits(found)
    exact = np.zeros((11, 4))
    np.add.at(exact, ids, g.astype(np.float64))
    assert largest_error(found, exact) < 2.0**-24
    assert not np.asarray(found)[5:].any()


def _bound(x: Any, axis: int) -> Any:
    largest = np.maximum(np.abs(x).max(axis).astype(np.float64), 2.0**-100)
    return 2.0 ** (np.floor(np.log2(largest)) + 1)
