"""Statistics against published examples, scipy, and definitions worked out by brute force."""

from __future__ import annotations

import itertools
import json
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats  # type: ignore[import-untyped]

from tests.eval.statsmodels_table import TABLE
from tunixrt.eval.compare import statistics
from tunixrt.eval.compare.statistics import (
    UnsupportedLevelError,
    bootstrap_mean_interval,
    mcnemar_exact_p,
    mcnemar_mid_p,
    paired_difference_interval,
    pass_at_k,
    points,
    required_pairs,
    rounded,
    sign_flip_p,
    wilson_interval,
    z_value,
)


@pytest.mark.parametrize("level", [0.80, 0.90, 0.95, 0.99])
def test_the_table_of_quantiles_is_scipys(level: float) -> None:
    assert z_value(level) == pytest.approx(stats.norm.ppf((1 + level) / 2), abs=1e-14)


@pytest.mark.parametrize("power", [0.80, 0.90, 0.95])
def test_the_table_of_powers_is_scipys(power: float) -> None:
    assert statistics._Z_POWER[power] == pytest.approx(stats.norm.ppf(power), abs=1e-14)


def test_an_untabled_level_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnsupportedLevelError) as caught:
        z_value(0.97)
    assert str(caught.value) == (
        "The confidence level 0.97 is not supported; use one of 0.8, 0.9, 0.95, 0.99."
    )
    with pytest.raises(UnsupportedLevelError, match=r"The power 0\.5 is not supported"):
        required_pairs(0.3, 0.1, power=0.5)


@pytest.mark.parametrize(
    ("n_correct", "n", "low", "high"),
    [
        # Newcombe (1998), Statistics in Medicine 17, 857-872, table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_interval_of_the_published_examples(
    n_correct: int, n: int, low: float, high: float
) -> None:
    assert wilson_interval(n_correct, n) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 500), st.data(), st.sampled_from([0.8, 0.9, 0.95, 0.99]))
@settings(deadline=None)
def test_wilson_interval_is_scipys(n: int, data: st.DataObject, confidence: float) -> None:
    n_correct = data.draw(st.integers(0, n))
    theirs = stats.binomtest(n_correct, n).proportion_ci(confidence, method="wilson")
    ours = wilson_interval(n_correct, n, confidence=confidence)
    assert ours == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    assert 0 <= ours.low <= n_correct / n <= ours.high <= 1


def test_mcnemar_mid_p_of_the_published_example() -> None:
    # Fagerland, Lydersen and Laake (2013), table 1 (Bentur et al.): mid-p 0.0391, exact 0.0703.
    assert mcnemar_mid_p(1, 7) == pytest.approx(0.0391, abs=5e-5)
    assert stats.binomtest(1, 8).pvalue == pytest.approx(0.0703, abs=5e-5)


@given(st.integers(0, 300), st.integers(0, 300))
@settings(deadline=None)
def test_mid_p_is_the_exact_p_less_what_was_seen(fixed: int, broken: int) -> None:
    n, k = fixed + broken, min(fixed, broken)
    ours = mcnemar_mid_p(fixed, broken)
    assert ours == mcnemar_mid_p(broken, fixed)
    if n == 0:
        assert ours == 1.0
        return
    seen = stats.binom.pmf(k, n, 0.5)
    theirs = stats.binomtest(k, n).pvalue - (seen / 2 if fixed == broken else seen)
    assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-300)


def test_wilson_interval_is_statsmodels() -> None:
    rows = json.loads(TABLE.read_text())["wilson"]
    for n_correct, n, level, low, high in rows:
        assert wilson_interval(n_correct, n, confidence=level) == pytest.approx(
            (low, high), abs=1e-9, rel=0
        )
    assert len(rows) >= 48


def test_mcnemars_p_values_are_statsmodels() -> None:
    rows = json.loads(TABLE.read_text())["mcnemar_exact"]
    for fixed, broken, exact in rows:
        seen = stats.binom.pmf(fixed, fixed + broken, 0.5)
        mid_p = exact - (seen / 2 if fixed == broken else seen)
        assert mcnemar_exact_p(fixed, broken) == pytest.approx(exact, abs=1e-9, rel=1e-9)
        assert mcnemar_mid_p(fixed, broken) == pytest.approx(mid_p, abs=1e-9, rel=1e-9)
    assert len(rows) >= 15


@given(st.integers(0, 300), st.integers(0, 300))
@settings(deadline=None)
def test_the_exact_p_is_scipys(fixed: int, broken: int) -> None:
    ours = mcnemar_exact_p(fixed, broken)
    if fixed + broken:
        theirs = stats.binomtest(fixed, fixed + broken).pvalue
        assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-300)
    assert mcnemar_mid_p(fixed, broken) <= ours <= 1


def test_a_tiny_mid_p_is_not_zero() -> None:
    assert 0 < mcnemar_mid_p(400, 0) < 1e-100


@pytest.mark.parametrize(
    ("n_plus", "n_minus", "n", "low", "high"),
    [
        # Fagerland, Lydersen and Laake (2014), Statistics in Medicine 33, 2850-2875, table V, on
        # the data of Bentur et al.: 1 and 7 discordant of 21, Tango -0.517 to -0.026.
        (1, 7, 21, -0.517, -0.026),
        (7, 1, 21, 0.026, 0.517),
    ],
)
def test_tangos_interval_of_the_published_example(
    n_plus: int, n_minus: int, n: int, low: float, high: float
) -> None:
    assert paired_difference_interval(n_plus, n_minus, n) == pytest.approx((low, high), abs=5e-4)


def tango_by_polynomial(b: int, c: int, n: int, z: float) -> tuple[float, float]:
    """Yang, Sun and Hardin (2013): Tango's limits as roots of a quartic, without iteration."""
    g = z * z
    m0 = n**2 * (n / g + 1) ** 2
    m1 = -n * (b - c) * (n / g + 1) * (4 * n / g + 1)
    m2 = 2 * n * (b - c) ** 2 * (3 * n / g + 2) / g - n**2 * ((b + c) / g + 1)
    m3 = n * (b - c) * (2 * (b + c) / g + 1) - (b - c) ** 3 * (4 * n / g + 1) / g
    m4 = (b - c) ** 2 * ((b - c) ** 2 / g - (b + c)) / g
    roots = np.roots([m0, m1, m2, m3, m4])
    real = sorted(root.real for root in roots if abs(root.imag) < 1e-4)
    return real[0], real[-1]


@given(st.integers(2, 300), st.data(), st.sampled_from([0.9, 0.95, 0.99]))
@settings(deadline=None)
def test_tangos_interval_is_the_one_that_a_polynomial_gives(
    n: int, data: st.DataObject, confidence: float
) -> None:
    plus = data.draw(st.integers(0, n))
    minus = data.draw(st.integers(0, n - plus))
    ours = paired_difference_interval(plus, minus, n, confidence=confidence)
    low, high = tango_by_polynomial(plus, minus, n, z_value(confidence))
    # Double roots of the quartic are known to about 1e-5 only.
    assert ours == pytest.approx((max(low, -1), min(high, 1)), abs=2e-4)


@pytest.mark.parametrize(
    ("plus", "minus", "n"), [(5, 2, 25), (10, 3, 40), (0, 4, 25), (30, 25, 100)]
)
def test_at_its_ends_the_likelihood_score_statistic_is_the_quantile(
    plus: int, minus: int, n: int
) -> None:
    for end in paired_difference_interval(plus, minus, n):

        def minus_log_likelihood(q: float, d: float = end) -> float:
            p = q + d
            logs = ((plus, p), (minus, q), (n - plus - minus, 1 - p - q))
            return -sum(count * math.log(max(x, 1e-300)) for count, x in logs if count)

        lowest = max(0.0, -end)
        q = optimize.minimize_scalar(
            minus_log_likelihood,
            bounds=(lowest, (1 - end) / 2),
            method="bounded",
            options={"xatol": 1e-12},
        ).x
        z = (plus - minus - n * end) / math.sqrt(n * (2 * q + end - end * end))
        assert abs(z) == pytest.approx(1.96, abs=1e-3)


def test_tangos_interval_without_differences_and_with_nothing_else() -> None:
    z2 = z_value(0.95) ** 2
    limit = z2 / (25 + z2)
    assert paired_difference_interval(0, 0, 25) == pytest.approx((-limit, limit), abs=1e-12)
    assert paired_difference_interval(25, 0, 25).high == 1.0
    assert paired_difference_interval(0, 25, 25).low == -1.0


@given(st.integers(1, 60), st.data())
@settings(deadline=None)
def test_swapping_the_two_runs_mirrors_the_interval(n: int, data: st.DataObject) -> None:
    plus = data.draw(st.integers(0, n))
    minus = data.draw(st.integers(0, n - plus))
    forth = paired_difference_interval(plus, minus, n)
    back = paired_difference_interval(minus, plus, n)
    assert forth == pytest.approx((-back.high, -back.low), abs=1e-9)
    assert forth.low <= (plus - minus) / n <= forth.high


@pytest.mark.slow
def test_the_interval_covers_the_true_difference_as_often_as_it_says() -> None:
    p_plus, p_minus, n = 0.25, 0.10, 25
    covered = 0.0
    for plus in range(n + 1):
        for minus in range(n + 1 - plus):
            low, high = paired_difference_interval(plus, minus, n)
            if low <= p_plus - p_minus <= high:
                covered += stats.multinomial.pmf(
                    [plus, minus, n - plus - minus], n, [p_plus, p_minus, 1 - p_plus - p_minus]
                )
    assert 0.93 < covered < 0.97


@pytest.mark.parametrize(
    ("p_fixed", "p_broken", "power", "n"),
    [
        # Connor (1987); the same worked out by the public calculators of powerandsamplesize.com
        # (0.45 and 0.05 at power 0.8: 23 pairs) and clinicaltrials-tools (0.30 and 0.15: 155).
        (0.45, 0.05, 0.8, 23),
        (0.30, 0.15, 0.8, 155),
        (0.15, 0.30, 0.8, 155),
    ],
)
def test_required_pairs_of_the_published_examples(
    p_fixed: float, p_broken: float, power: float, n: int
) -> None:
    assert required_pairs(p_fixed, p_broken, power=power) == n


def test_more_power_needs_more_pairs() -> None:
    assert required_pairs(0.3, 0.1) < required_pairs(0.3, 0.1, power=0.9)
    assert required_pairs(0.3, 0.1) < required_pairs(0.3, 0.1, confidence=0.99)


@pytest.mark.parametrize(("n", "c", "k"), [(5, 2, 1), (6, 3, 2), (7, 0, 3), (7, 7, 3), (6, 2, 6)])
def test_pass_at_k_is_the_share_of_draws_with_a_right_one(n: int, c: int, k: int) -> None:
    draws = list(itertools.combinations(range(n), k))
    share = Fraction(sum(any(i < c for i in draw) for draw in draws), len(draws))
    assert pass_at_k(n, c, k) == float(share)


def test_pass_at_1_is_the_share_of_right_ones() -> None:
    assert pass_at_k(10, 3, 1) == 0.3


def test_the_bootstrap_is_a_function_of_its_arguments() -> None:
    values = [0.0, 25.0, 50.0, 100.0, 100.0, 75.0]
    first = bootstrap_mean_interval(values, seed=1, n_resamples=500)
    assert first == bootstrap_mean_interval(values, seed=1, n_resamples=500)
    assert first == (
        29.166666666666668,
        83.33333333333333,
    )  # golden: SHA-256 decides, not the platform
    assert first != bootstrap_mean_interval(values, seed=2, n_resamples=500)


def test_the_bootstrap_interval_is_near_scipys() -> None:
    values = [float(i % 7) * 10 for i in range(60)]
    ours = bootstrap_mean_interval(values, seed=0)
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=4000, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    assert ours == pytest.approx((theirs.low, theirs.high), abs=1.0)


def test_a_constant_has_an_interval_of_width_zero() -> None:
    assert bootstrap_mean_interval([40.0] * 10, seed=0, n_resamples=50) == (40.0, 40.0)


def test_sign_flips_are_near_the_exact_permutation_test() -> None:
    differences = [10.0, 20.0, -5.0, 30.0, 15.0, -10.0, 25.0, 5.0]
    observed = abs(sum(differences))
    exact = sum(
        abs(sum(s * d for s, d in zip(signs, differences, strict=True))) >= observed
        for signs in itertools.product((1, -1), repeat=len(differences))
    ) / 2 ** len(differences)
    assert sign_flip_p(differences, seed=0) == pytest.approx(exact, abs=0.02)
    assert sign_flip_p([0.0, 0.0], seed=0) == 1.0


def test_impossible_counts_are_errors_of_the_caller() -> None:
    for call in (
        lambda: wilson_interval(3, 2),
        lambda: wilson_interval(0, 0),
        lambda: mcnemar_mid_p(-1, 2),
        lambda: mcnemar_exact_p(1, -2),
        lambda: paired_difference_interval(3, 3, 5),
        lambda: paired_difference_interval(0, 0, 0),
        lambda: required_pairs(0.2, 0.2),
        lambda: required_pairs(0.9, 0.2),
        lambda: pass_at_k(3, 1, 4),
        lambda: bootstrap_mean_interval([], seed=0),
        lambda: sign_flip_p([], seed=0),
    ):
        with pytest.raises(ValueError, match=r"must|impossible"):
            call()


def test_results_are_rounded_and_zero_has_no_sign() -> None:
    assert points(1 / 3) == 33.333333
    assert math.copysign(1, rounded(-1e-12)) == 1.0
