"""Host-side tables: right to the last bit, and the same bytes everywhere."""

from __future__ import annotations

import hashlib
import math
import sys
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.moments import CallLimit, before_calls
from tunixrt.ml import tables

if TYPE_CHECKING:
    from numpy.typing import NDArray


def digest(*arrays: NDArray[np.float32]) -> str:
    assert all(array.dtype == np.float32 and array.flags.c_contiguous for array in arrays)
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()[:16]


@pytest.mark.parametrize("theta", [10_000.0, 1_000_000.0, 100.5])
def test_rope_entries_are_the_cosines_and_sines_of_their_angles(theta: float) -> None:
    cos, sin = tables.rope_table(300, 32, theta)
    angles = np.arange(300)[:, None] * theta ** (-2 * np.arange(16) / 32)
    assert cos.shape == sin.shape == (300, 16)
    np.testing.assert_allclose(cos, np.cos(angles), rtol=0, atol=2.0**-25 + 1e-13)
    np.testing.assert_allclose(sin, np.sin(angles), rtol=0, atol=2.0**-25 + 1e-13)


def test_rope_position_zero_is_no_rotation() -> None:
    cos, sin = tables.rope_table(1, 8, 10_000.0)
    assert cos.tolist() == [[1.0] * 4]
    assert sin.tolist() == [[0.0] * 4]


def test_rope_angles_stay_exact_at_far_positions() -> None:
    cos, sin = tables.rope_table(2**17 + 1, 2, 10_000.0)
    assert cos[-1, 0] == np.float32(math.cos(2**17))
    assert sin[-1, 0] == np.float32(math.sin(2**17))


def test_warm_up_never_has_rate_zero_and_ends_at_the_peak() -> None:
    rates = tables.learning_rates("constant", learning_rate=0.4, num_steps=6, warmup_steps=3)
    assert rates.tolist() == np.array([0.1, 0.2, 0.3, 0.4, 0.4, 0.4], np.float32).tolist()


def test_linear_decay_ends_one_step_above_zero() -> None:
    rates = tables.learning_rates("linear", learning_rate=1.0, num_steps=5, warmup_steps=1)
    assert rates.tolist() == [0.5, 1.0, 0.75, 0.5, 0.25]


def test_cosine_decay_is_half_way_down_in_the_middle() -> None:
    rates = tables.learning_rates("cosine", learning_rate=2.0, num_steps=6)
    expected = [1 + math.cos(math.pi * k / 6) for k in range(6)]
    np.testing.assert_allclose(rates, expected, rtol=2.0**-24)
    assert rates[3] == 1.0


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_a_run_may_end_within_its_warm_up(schedule: tables.Schedule) -> None:
    rates = tables.learning_rates(schedule, learning_rate=1.0, num_steps=2, warmup_steps=7)
    assert rates.tolist() == [0.125, 0.25]


def test_a_learning_rate_is_the_decimal_number_that_was_written() -> None:
    rates = tables.learning_rates("constant", learning_rate=0.1, num_steps=1, warmup_steps=0)
    assert rates[0] == np.float32(0.1)


def test_adam_corrections_undo_the_bias_of_constant_gradients() -> None:
    first, second = tables.adam_corrections(0.9, 0.999, 50)
    for factors, decay in ((first, Fraction(9, 10)), (second, Fraction(999, 1000))):
        exact = [1 / (1 - decay**t) for t in range(1, 51)]
        assert factors.tolist() == [_nearest_float32(value) for value in exact]


def test_a_moment_without_decay_needs_no_correction() -> None:
    assert tables.adam_corrections(0.0, 0.0, 3)[0].tolist() == [1.0, 1.0, 1.0]


def test_initial_weights_look_normal() -> None:
    x = tables.normal_matrix(0, "w", (400, 500), 1.0).astype(np.float64)
    assert abs(x.mean()) < 0.01
    assert abs(x.std() - 1) < 0.005
    assert abs((x**3).mean()) < 0.03
    assert abs((x**4).mean() - 2.9) < 0.06  # 12 uniform summands: 3 - 0.1
    assert abs(x).max() <= 6


def test_initial_weights_depend_on_seed_and_name_only() -> None:
    one = tables.normal_matrix(1, "a", (70_000,), 0.5)
    assert (one[:10] == tables.normal_matrix(1, "a", (2, 5), 0.5).reshape(-1)).all()
    for seed, name in ((2, "a"), (1, "b")):
        other = tables.normal_matrix(seed, name, (70_000,), 0.5)
        assert abs(np.corrcoef(one, other)[0, 1]) < 0.02


def test_blocks_of_initial_weights_are_independent() -> None:
    x = tables.normal_matrix(0, "w", (2, 32768), 1.0)
    assert abs(np.corrcoef(x[0], x[1])[0, 1]) < 0.03


def test_initial_weights_are_computed_by_the_block_and_not_one_by_one() -> None:
    calls = CallLimit()
    before_calls(calls)
    try:
        tables.normal_matrix(0, "w", (1000, 500), 0.02)
    finally:
        sys.setprofile(None)
    assert calls.n < 500_000 / 100


def test_a_scale_of_zero_draws_zeros() -> None:
    assert not tables.normal_matrix(0, "norm", (64,), 0.0).any()


@given(st.integers(-(2**200), 2**200))
def test_fixed_point_numbers_are_rounded_once(value: int) -> None:
    rounded = tables._round_all([value])[0]
    assert float(rounded) == _nearest_float32(Fraction(value, 2**192))


def test_results_below_the_normal_numbers_become_zero() -> None:
    assert tables._round_all([2 ** (192 - 127), 2 ** (192 - 126)]).tolist() == [0.0, 2.0**-126]


def test_tables_have_the_bytes_they_always_had() -> None:
    assert digest(*tables.rope_table(64, 16, 10_000.0)) == "475ee91e89f63e9c"
    assert (
        digest(tables.learning_rates("cosine", learning_rate=0.003, num_steps=40, warmup_steps=7))
        == "7b48ee47c7eb186f"
    )
    assert digest(*tables.adam_corrections(0.9, 0.95, 40)) == "847819957c8c6ee2"
    assert (
        digest(tables.normal_matrix(7, "model.norm.weight", (300, 200), 0.02)) == "a08bdaa1ef4730e0"
    )


def _nearest_float32(value: Fraction) -> float:
    """Round to 24 bits, ties to even, with integers alone; zero below 2**-126."""
    if abs(value) < Fraction(1, 2**126):
        return 0.0
    magnitude, exponent = abs(value), 0
    while magnitude >= 2**24:
        magnitude, exponent = magnitude / 2, exponent + 1
    while magnitude < 2**23:
        magnitude, exponent = magnitude * 2, exponent - 1
    return math.copysign(math.ldexp(round(magnitude), exponent), value)
