"""Exact norms."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.ml.numerics.arrays import bits, gradients, largest_error, normal, wild
from tunixrt.ml.numerics import numerics_for
from tunixrt.ml.numerics.norms import global_norm, rms_norm

if TYPE_CHECKING:
    from collections.abc import Callable

PORTABLE: Any = numerics_for("portable")
FAST: Any = numerics_for("fast")
EPS = 1e-6
norm = jax.jit(partial(rms_norm, eps=EPS))
NORMS = {"normal": normal, "wild": wild}


@pytest.mark.parametrize("draw", NORMS.values(), ids=NORMS)
@pytest.mark.parametrize("width", [48, 100])
def test_permuting_the_width_permutes_the_result(draw: Callable[..., Any], width: int) -> None:
    x, scale, g = draw(1, 9, width), normal(2, width), normal(3, 9, width)
    order = np.random.default_rng(0).permutation(width)
    assert bits(norm(x[:, order], scale[order])) == bits(norm(x, scale)[:, order])
    dx, ds = gradients(partial(rms_norm, eps=EPS), g[:, order], x[:, order], scale[order])
    expected_dx, expected_ds = gradients(partial(rms_norm, eps=EPS), g, x, scale)
    assert bits((dx, ds)) == bits((expected_dx[:, order], expected_ds[order]))


def test_a_row_does_not_know_its_batch() -> None:
    x, scale = wild(1, 9, 48), normal(2, 48)
    assert bits(norm(x[4:5], scale)) == bits(norm(x, scale)[4:5])
    assert bits(norm(x[:8].reshape(2, 4, 48), scale)) == bits(norm(x, scale)[:8])


def test_the_gradient_of_the_scale_ignores_the_order_of_rows() -> None:
    x, scale, g = wild(1, 50, 48), normal(2, 48), wild(3, 50, 48)
    order = np.random.default_rng(0).permutation(50)
    dx, ds = gradients(partial(rms_norm, eps=EPS), g, x, scale)
    other_dx, other_ds = gradients(partial(rms_norm, eps=EPS), g[order], x[order], scale)
    assert bits((dx[order], ds)) == bits((other_dx, other_ds))


@pytest.mark.parametrize("width", [1, 2, 64, 100])
def test_values_and_gradients_are_as_good_as_float32(width: int) -> None:
    x, scale, g = normal(1, 33, width), normal(2, width), normal(3, 33, width)
    wide = [operand.astype(np.float64) for operand in (g, x, scale)]

    def reference(x: jax.Array, scale: jax.Array) -> jax.Array:
        mean_square = jnp.mean(x * x, axis=-1, keepdims=True)
        return x / jnp.sqrt(mean_square + EPS) * (1 + scale)

    assert largest_error(norm(x, scale), reference(*map(jnp.asarray, wide[1:]))) < 4e-7
    found = gradients(partial(rms_norm, eps=EPS), g, x, scale)
    expected = gradients(reference, *wide)
    # With one entry a row, x / |x|, the gradient of x is a difference of nearly equal numbers.
    assert width == 1 or largest_error(found[0], expected[0]) < 1e-6
    assert largest_error(found[1], expected[1]) < 1e-6


def test_a_row_of_zeros_stays_zero() -> None:
    assert not np.asarray(norm(np.zeros((2, 48), np.float32), normal(2, 48))).any()
    dx, _ = gradients(
        partial(rms_norm, eps=EPS), np.zeros((2, 48), np.float32), normal(1, 2, 48), normal(2, 48)
    )
    assert not np.asarray(dx).any()


def test_the_global_norm_ignores_the_order_of_entries() -> None:
    tree = {"a": wild(1, 40, 30), "b": wild(2, 7)}
    order = np.random.default_rng(0).permutation(1200)
    shuffled = {"a": tree["a"].reshape(-1)[order].reshape(30, 40), "b": tree["b"][::-1]}
    assert bits(jax.jit(global_norm)(tree)) == bits(jax.jit(global_norm)(shuffled))
    exact = np.sqrt(sum((leaf.astype(np.float64) ** 2).sum() for leaf in tree.values()))
    assert largest_error(PORTABLE.global_norm(tree), exact) < 2.0**-23


def test_the_global_norm_of_nothing_is_zero() -> None:
    assert PORTABLE.global_norm({}).dtype == jnp.float32
    assert PORTABLE.global_norm({}) == FAST.global_norm({}) == 0
    assert PORTABLE.global_norm({"a": jnp.zeros((3,), jnp.float32)}) == 0


def test_the_global_norm_has_a_gradient() -> None:
    x = normal(1, 20)
    found = jax.jit(jax.grad(lambda x: PORTABLE.global_norm({"x": x})))(x)
    assert largest_error(found, x / np.linalg.norm(x)) < 3e-7


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_number_that_is_not_finite_shows_in_the_norms(bad: float) -> None:
    x = normal(1, 3, 48)
    x[1, 7] = bad
    assert np.isnan(norm(x, normal(2, 48))[1]).all()
    assert not np.isfinite(PORTABLE.global_norm([jnp.asarray(x)]))
