"""Intervals and tests for scores, in pure Python, with the same bits on every machine.

Only operations that IEEE 754 rounds exactly are used (the four operations and the square root),
exact fractions, and ``math.fsum``; no logarithm or exponential of a C library, whose last bit
varies. Normal quantiles are a table. Proportions are 0 to 1 here; the callers convert them to
points.

Sources:

- Wilson EB (1927). Probable inference, the law of succession, and statistical inference. JASA 22,
  209-212; recommended by Newcombe RG (1998), Statistics in Medicine 17, 857-872.
- Tango T (1998). Equivalence test and confidence interval for the difference in proportions for the
  paired-sample design. Statistics in Medicine 17, 891-908.
- Fagerland MW, Lydersen S, Laake P (2013). The McNemar test for binary matched-pairs data: mid-p
  and asymptotic are better than exact conditional. BMC Medical Research Methodology 13:91.
- Connor RJ (1987). Sample size for testing differences in proportions for the paired-sample design.
  Biometrics 43, 207-211.
- Chen M et al. (2021). Evaluating large language models trained on code. arXiv:2107.03374 (pass@k).
- Efron B, Tibshirani RJ (1993). An introduction to the bootstrap, chapter 13 (percentile interval).
"""

from __future__ import annotations

import math
from array import array
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from tunixrt.errors import BadInputError
from tunixrt.traces.prng import Sha256Stream

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Standard normal quantiles for two-sided confidence levels, correctly rounded to double.
_Z_TWO_SIDED: Final = {
    0.80: 1.2815515655446004,
    0.90: 1.6448536269514722,
    0.95: 1.959963984540054,
    0.99: 2.5758293035489004,
}
#: Standard normal quantiles for the usual powers.
_Z_POWER: Final = {0.80: 0.8416212335729143, 0.90: 1.2815515655446004, 0.95: 1.6448536269514722}

DEFAULT_CONFIDENCE: Final = 0.95
#: Results are rounded to this many decimal places before they are written.
N_DIGITS: Final = 6
_BISECTIONS: Final = 100


class Interval(NamedTuple):
    """A confidence interval, both ends included."""

    low: float
    high: float


class UnsupportedLevelError(BadInputError):
    """A confidence level or power whose quantile is not in the table.

    Attributes:
        level: what was asked for.
    """

    def __init__(self, what: str, level: float, known: Sequence[float]) -> None:
        listed = ", ".join(f"{value:g}" for value in known)
        super().__init__(f"The {what} {level:g} is not supported; use one of {listed}.")
        self.level = level


def z_value(confidence: float) -> float:
    """The two-sided standard normal quantile of a confidence level.

    Raises:
        UnsupportedLevelError: the level is not 0.8, 0.9, 0.95 or 0.99.
    """
    if confidence not in _Z_TWO_SIDED:
        raise UnsupportedLevelError("confidence level", confidence, tuple(_Z_TWO_SIDED))
    return _Z_TWO_SIDED[confidence]


def wilson_interval(
    n_correct: float, n: int, *, confidence: float = DEFAULT_CONFIDENCE
) -> Interval:
    """Wilson's score interval for one proportion (Wilson 1927), without continuity correction.

    ``n_correct`` may be a sum of scores of 0 to 1: their variance is at most that of right and
    wrong answers with the same mean, so the interval is then too wide rather than too narrow.
    """
    if not 0 <= n_correct <= n or n == 0:
        raise ValueError(f"n_correct must be 0 to n and n at least 1: {n_correct} of {n}")
    z = z_value(confidence)
    p = n_correct / n
    middle = p + z * z / (2 * n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    # The exact ends are 0 and 1; the formula leaves a few units in the last place.
    low = 0.0 if n_correct == 0 else (middle - half) / scale
    high = 1.0 if n_correct == n else (middle + half) / scale
    return Interval(low, high)


def mcnemar_mid_p(n_fixed: int, n_broken: int) -> float:
    """Two-sided mid-p value of McNemar's test (Fagerland 2013, and its supplement, equation 2).

    The exact conditional p-value minus the probability of the observed counts, or half of it if
    both counts are equal. Without a discordant pair the value is 1.
    Exact: the sum is of integers and rounded once.

    Args:
        n_fixed: pairs that were wrong before and are right after.
        n_broken: pairs that were right before and are wrong after.
    """
    n, below, at = _outcomes(n_fixed, n_broken)
    if n == 0:
        return 1.0
    if n_fixed == n_broken:
        return float(1 - Fraction(at, 2 ** (n + 1)))
    return float(Fraction(2 * below + at, 2**n))


def mcnemar_exact_p(n_fixed: int, n_broken: int) -> float:
    """Two-sided exact conditional p-value of McNemar's test: twice the smaller tail, at most 1.

    At any number of discordant pairs it is below a level in at most that share of comparisons of
    equal models. Mid-p values keep that on average only: at 16 discordant pairs, 7.7% are below 5%.

    Args:
        n_fixed: as of :func:`mcnemar_mid_p`.
        n_broken: as of :func:`mcnemar_mid_p`.
    """
    n, below, at = _outcomes(n_fixed, n_broken)
    return float(min(Fraction(2 * (below + at), 2**n), Fraction(1)))


def _outcomes(n_fixed: int, n_broken: int) -> tuple[int, int, int]:
    """The number n of discordant pairs, and how many of the 2^n outcomes have X < k and X = k.

    X ~ Binomial(n, 1/2), and k is the smaller count.
    """
    if n_fixed < 0 or n_broken < 0:
        raise ValueError(f"counts must not be negative: {n_fixed}, {n_broken}")
    n = n_fixed + n_broken
    at, below = 1, 0
    for k in range(min(n_fixed, n_broken)):
        below += at
        at = at * (n - k) // (k + 1)
    return n, below, at


def paired_difference_interval(
    n_fixed: int, n_broken: int, n_pairs: int, *, confidence: float = DEFAULT_CONFIDENCE
) -> Interval:
    """Tango's score interval for the difference of two paired proportions (Tango 1998).

    The ends are the differences d at which the score statistic, with the nuisance parameter
    maximised under d, equals the normal quantile; they are found by bisection. It keeps its level
    for small samples and without any discordant pairs, where Wald's interval has width zero.

    Args:
        n_fixed: pairs that count for the difference (wrong before, right after).
        n_broken: pairs that count against it.
        n_pairs: all pairs.
        confidence: the confidence level.

    Returns:
        The interval of P(right after) - P(right before), within -1 to 1.
    """
    if min(n_fixed, n_broken) < 0 or n_fixed + n_broken > n_pairs or n_pairs == 0:
        raise ValueError(f"impossible counts: {n_fixed} and {n_broken} of {n_pairs} pairs")
    z = z_value(confidence)
    low = -1.0 if n_broken == n_pairs else _tango_limit(n_fixed, n_broken, n_pairs, z)
    high = 1.0 if n_fixed == n_pairs else _tango_limit(n_fixed, n_broken, n_pairs, -z)
    return Interval(low, high)


def _tango_limit(n_fixed: int, n_broken: int, n: int, target: float) -> float:
    low, high = -1.0, 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if _tango_exceeds(n_fixed, n_broken, n, middle, target):
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _tango_exceeds(n_fixed: int, n_broken: int, n: int, difference: float, target: float) -> bool:
    """Whether the score statistic at ``difference`` is above ``target``; decreasing in it."""
    linear = (2 * n - n_fixed + n_broken) * difference - n_fixed - n_broken
    constant = -n_broken * difference * (1 - difference)
    root = math.sqrt(max(linear * linear - 8 * n * constant, 0.0))
    q = (root - linear) / (4 * n)  # the maximum likelihood estimate of P(broken) under it
    variance = n * (2 * q + difference * (1 - difference))
    numerator = n_fixed - n_broken - n * difference
    if variance <= 0:  # the statistic is 0 when nothing differs, else without bound
        return numerator > 0 or (numerator == 0 and target < 0)
    return numerator / math.sqrt(variance) > target


def mean(values: Sequence[float]) -> float:
    """The mean, from a sum that is rounded once."""
    return math.fsum(values) / len(values)


def bootstrap_mean_interval(
    values: Sequence[float],
    *,
    seed: int,
    n_resamples: int = 2_000,
    confidence: float = DEFAULT_CONFIDENCE,
) -> Interval:
    """Percentile bootstrap interval of a mean (Efron and Tibshirani 1993, chapter 13).

    For scores that are not 0 or 1, and for paired differences of them. The resamples come from
    SHA-256 in counter mode, so the interval is a function of its arguments on every machine.
    """
    if not values:
        raise ValueError("there must be at least one value")
    n = len(values)
    places = _resamples(seed, n, n_resamples)
    means = [
        mean([values[place] for place in places[start : start + n]])
        for start in range(0, n * n_resamples, n)
    ]
    return percentile_interval(means, confidence)


def percentile_interval(resampled: Sequence[float], confidence: float) -> Interval:
    """The percentile interval of resampled values: their order statistics at either end.

    Of R values, the k-th from below and from above, with k = (R + 1) * alpha / 2 (Efron and
    Tibshirani 1993, chapter 13).
    """
    z_value(confidence)
    tail = Fraction(str(round((1 - confidence) / 2, 12)))
    k = max(int((len(resampled) + 1) * tail), 1)
    means = sorted(resampled)
    return Interval(means[k - 1], means[-k])


@lru_cache(maxsize=8)
def _resamples(seed: int, n: int, n_resamples: int) -> array[int]:
    """The indices from which the resamples of ``n`` values are taken, resample after resample.

    Cached: the metrics of an evaluation use the same resamples, and drawing takes most of the time.
    """
    stream = Sha256Stream(f"bootstrap {seed}")
    return array("L", (stream.below(n) for _ in range(n * n_resamples)))


def sign_flip_p(differences: Sequence[float], *, seed: int, n_resamples: int = 2_000) -> float:
    """Two-sided p-value of the paired sign-flip permutation test of a mean difference of 0.

    The estimate (1 + hits) / (1 + resamples) is never 0 (Phipson and Smyth 2010).
    """
    if not differences:
        raise ValueError("there must be at least one difference")
    stream = Sha256Stream(f"sign flip {seed}")
    observed = abs(math.fsum(differences))
    hits = 0
    for _ in range(n_resamples):
        flipped = math.fsum(d if stream.below(2) else -d for d in differences)
        # Sums of the same numbers in other signs are compared; one rounding must not decide a tie.
        hits += abs(flipped) >= observed - 1e-9 * max(observed, 1.0)
    return (1 + hits) / (1 + n_resamples)


def required_pairs(
    p_fixed: float, p_broken: float, *, confidence: float = DEFAULT_CONFIDENCE, power: float = 0.8
) -> int:
    """How many samples an eval set needs for McNemar's test to detect a difference (Connor 1987).

    Args:
        p_fixed: the expected share of samples that turn from wrong to right.
        p_broken: the expected share that turn from right to wrong.
        confidence: 1 minus the two-sided significance level.
        power: the probability of detecting the difference: 0.8, 0.9 or 0.95.

    Raises:
        UnsupportedLevelError: the confidence or the power is not in the table.
    """
    z = z_value(confidence)
    if power not in _Z_POWER:
        raise UnsupportedLevelError("power", power, tuple(_Z_POWER))
    discordant, difference = p_fixed + p_broken, p_fixed - p_broken
    if min(p_fixed, p_broken) < 0 or discordant > 1 or difference == 0:
        raise ValueError(f"shares must be 0 to 1 and differ: {p_fixed} and {p_broken}")
    root = z * math.sqrt(discordant) + _Z_POWER[power] * math.sqrt(discordant - difference**2)
    return math.ceil((root / difference) ** 2)


def pass_at_k(n: int, n_correct: int, k: int) -> float:
    """The unbiased estimate of pass@k: 1 - C(n - c, k) / C(n, k) (Chen 2021, equation 1).

    Args:
        n: samples drawn for the problem.
        n_correct: how many of them are right.
        k: how many may be tried, 1 to n.
    """
    if not (1 <= k <= n and 0 <= n_correct <= n):
        raise ValueError(f"impossible counts: n={n}, n_correct={n_correct}, k={k}")
    return float(1 - Fraction(math.comb(n - n_correct, k), math.comb(n, k)))


def points(proportion: float) -> float:
    """A proportion of 0 to 1 as points of 0 to 100, rounded to ``N_DIGITS`` digits."""
    return rounded(100 * proportion)


def rounded(value: float) -> float:
    """A result as it is written: ``N_DIGITS`` digits, and never a negative zero."""
    return round(value, N_DIGITS) + 0.0
