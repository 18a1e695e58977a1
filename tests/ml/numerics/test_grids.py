"""Sums on grids: rounding is right, and no order of additions can be told from another."""

from __future__ import annotations

import math
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ml.numerics.arrays import wild
from tunixrt.ml.numerics.grids import (
    bits_for_sum,
    bound_over,
    inverse_of_power,
    power_above,
    round_to,
    sum_last,
)

finite = st.floats(allow_nan=False, allow_infinity=False, width=32)


@pytest.mark.parametrize(
    ("n_terms", "n_bits"), [(1, 53), (2, 52), (3, 51), (4, 51), (5, 50), (128, 46), (129, 45)]
)
def test_terms_get_the_bits_that_their_number_leaves(n_terms: int, n_bits: int) -> None:
    assert bits_for_sum(n_terms) == n_bits
    assert n_terms * 2**n_bits <= 2**53 < 2 * n_terms * 2**n_bits


@given(st.lists(finite, min_size=5, max_size=5))
@settings(max_examples=200, deadline=None)
def test_a_bound_is_the_next_power_of_two(values: list[float]) -> None:
    bound = float(bound_over(jnp.asarray(values, jnp.float32))[0])
    largest = max(abs(value) for value in values)
    assert math.frexp(bound)[0] == 0.5
    assert largest < bound
    assert bound <= max(2 * largest, 2.0**-99)


def test_a_bound_over_rows_and_columns_covers_the_whole_matrix() -> None:
    x = wild(0, 7, 33)
    assert bound_over(jnp.asarray(x), (-1, -2)) == bound_over(jnp.asarray(x.reshape(1, -1)))
    assert bound_over(jnp.asarray(x), (-2,)).shape == (1, 33)


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_a_number_that_is_not_finite_makes_the_row_nan(bad: float) -> None:
    x = jnp.asarray([[1.0, bad, 2.0], [1.0, 2.0, 3.0]], jnp.float32)
    rounded = jax.jit(lambda x: round_to(x, bound_over(x) * np.float64(2.0**-20)))(x)
    assert np.isnan(rounded[0]).all()
    assert np.isfinite(rounded[1]).all()


@given(st.floats(2.0**-140, 2.0**100))
@settings(max_examples=200, deadline=None)
def test_a_power_above_is_the_next_one(value: float) -> None:
    power = float(power_above(jnp.asarray(value, jnp.float64)))
    assert math.frexp(power)[0] == 0.5
    assert value < power <= max(2 * value, 2.0**-99)


@given(finite, st.integers(1, 40))
@settings(max_examples=300, deadline=None)
def test_rounding_gives_the_nearest_multiple_of_the_unit(value: float, n_bits: int) -> None:
    x = jnp.asarray([value], jnp.float32)
    unit = Fraction(float(bound_over(x)[0])) / 2**n_bits
    rounded = Fraction(float(round_to(x, np.float64(float(unit)))[0]))
    assert rounded % unit == 0
    exact = Fraction(value) if abs(value) >= 2.0**-126 else Fraction(0)
    assert rounded == round(exact / unit) * unit  # Python rounds ties to even as well


def test_constant_units_are_not_simplified_away() -> None:
    """XLA would turn (x + c) - c into x."""
    x = wild(0, 100)
    rounded = jax.jit(lambda x: round_to(x, np.float64(2.0**-10)))(x)
    assert (np.asarray(rounded) * 2**10 % 1 == 0).all()
    assert not (x.astype(np.float64) * 2**10 % 1 == 0).all()


@given(st.integers(-1000, 1000))
@settings(max_examples=200, deadline=None)
def test_the_inverse_of_a_power_is_exact(exponent: int) -> None:
    power = jnp.asarray(2.0**exponent, jnp.float64)
    assert float(inverse_of_power(power)) == 2.0**-exponent


def test_the_inverse_of_infinity_does_not_make_a_sum_finite() -> None:
    assert not np.isfinite(float(inverse_of_power(jnp.asarray(np.inf, jnp.float64))))


def test_subnormal_numbers_round_to_zero() -> None:
    x = jnp.asarray(np.array([1, 0x7FFFFF], np.uint32).view(np.float32))
    assert not round_to(x, bound_over(x) * np.float64(2.0**-24)).any()


@pytest.mark.parametrize("n_terms", [1, 2, 31, 100, 261, 1000])
def test_no_order_of_additions_changes_a_sum(n_terms: int) -> None:
    """The sum of the rounded products is exact: math.fsum, which is, agrees with every order."""
    n_bits = bits_for_sum(n_terms)
    rng = np.random.default_rng(n_terms)
    x, w = (jnp.asarray(wild(seed, n_terms)) for seed in (1, 2))
    left = np.asarray(round_to(x, bound_over(x) * np.float64(2.0 ** -(n_bits // 2))))
    right = np.asarray(round_to(w, bound_over(w) * np.float64(2.0 ** (n_bits // 2 - n_bits))))
    exact = sum(Fraction(a) * Fraction(b) for a, b in zip(left, right, strict=True))
    products = left * right
    assert math.fsum(products) == exact
    assert float(sum_last(jnp.asarray(products))[0]) == exact
    for _ in range(5):
        rng.shuffle(products)
        assert np.cumsum(products)[-1] == exact
        split = int(rng.integers(0, n_terms))
        assert products[:split].sum() + products[split:].sum() == exact


def test_the_largest_possible_terms_still_add_up_exactly() -> None:
    n_terms = 2**13
    products = jnp.full((n_terms,), 2.0 ** bits_for_sum(n_terms), jnp.float64)
    assert float(sum_last(products)[0]) == 2.0**53
