"""Compare two evaluations of the same samples, pair by pair.

The two scores come from the same questions, so the question "did it get better" is asked of the
pairs that changed: Tango's score interval for the difference and McNemar's mid-p test. The verdict
is ``better`` or ``worse`` only if the interval excludes 0 and both the p-value and McNemar's exact
one are below 1 minus the confidence; else ``no clear difference``, which does not mean that
the models are equal. The exact one bounds the false alarms: mid-p values keep their level on
average, but not at every number of discordant pairs.

Where several responses were drawn per sample, each sample is still one pair with one score: the
mean of the responses' scores, or the value of another metric.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

import msgspec

from tunixrt.errors import BadInputError
from tunixrt.eval.compare.conditions import (
    ConditionDifference,
    EvaluatedRun,
    NotComparableError,
    differences_of,
)
from tunixrt.eval.compare.metrics import METRIC, measured
from tunixrt.eval.compare.statistics import (
    DEFAULT_CONFIDENCE,
    bootstrap_mean_interval,
    mcnemar_exact_p,
    mcnemar_mid_p,
    paired_difference_interval,
    points,
    rounded,
    sign_flip_p,
)
from tunixrt.eval.evaluation import BOOTSTRAP_SEED, average, is_binary
from tunixrt.runs.lines import Prediction
from tunixrt.words import quoted, suggestion

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: The version of the rules of comparisons; it changes whenever a figure of any comparison might.
COMPARISON_METHOD: Final = "pairs-1"


class ComparisonVerdict(StrEnum):
    """The verdict of a comparison of B with A."""

    BETTER = "better"
    WORSE = "worse"
    NO_CLEAR_DIFFERENCE = "no clear difference"


class UnknownCategoryError(BadInputError):
    """A category that no sample of the compared evaluations has."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(
            f"No sample has the category {quoted(name)}; the categories are {', '.join(known)}."
            f"{suggestion(name, known)}"
        )
        self.name = name
        self.known = tuple(known)


class CategoryComparison(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A and B within one category; points, 0 to 100."""

    n_pairs: int
    a: float
    b: float
    delta: float
    interval: tuple[float, float]
    n_fixed: int
    n_broken: int


class Comparison(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """B compared with A on the same samples; scores and differences in points, 0 to 100.

    Attributes:
        metric: what is compared, see ``tunixrt.eval.compare.metrics``.
        a: the average score of A over the pairs.
        b: that of B.
        delta: ``b - a``.
        interval: the confidence interval of ``delta``.
        interval_method: how it was computed.
        confidence: its level.
        p_value: two-sided, under the hypothesis of no difference.
        p_value_method: how it was computed.
        p_value_exact: of McNemar's exact test; None for scores that are not right or wrong.
        verdict: see the module.
        n_pairs: how many samples both answered.
        n_both_correct: pairs right in both.
        n_both_wrong: pairs wrong in both.
        fixed: the ids of samples that were wrong in A and are right in B, in A's order; of several
            responses, at least half have to be right.
        broken: the ids of samples that were right in A and are wrong in B.
        categories: the same per category; intervals are not adjusted for multiple comparisons.
        differences: what else differs, where the caller allowed differences.
        n_only_a: samples that only A has; not compared.
        n_only_b: samples that only B has; not compared.
    """

    metric: str
    a: float
    b: float
    delta: float
    interval: tuple[float, float]
    interval_method: str
    confidence: float
    p_value: float
    p_value_method: str
    verdict: ComparisonVerdict
    n_pairs: int
    n_both_correct: int
    n_both_wrong: int
    fixed: tuple[str, ...]
    broken: tuple[str, ...]
    categories: dict[str, CategoryComparison]
    differences: tuple[ConditionDifference, ...]
    n_only_a: int
    n_only_b: int
    p_value_exact: float | None = None


class ScoredSample(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The scores of one sample, 0 to 100.

    Attributes:
        example_id: the id of the sample.
        category: of the sample.
        a: the score in A.
        b: the score in B.
        pair: the number of the pair of runs, from 1; None, and absent, if there is only one.
    """

    example_id: str
    category: str
    a: float
    b: float
    pair: int | None = None


class _Pairs(msgspec.Struct, frozen=True):
    """Predictions of A and B for the same samples, in A's order."""

    a: tuple[Prediction, ...]
    b: tuple[Prediction, ...]

    @property
    def fixed(self) -> tuple[str, ...]:
        return tuple(a.example_id for a, b in self if b.correct and not a.correct)

    @property
    def broken(self) -> tuple[str, ...]:
        return tuple(a.example_id for a, b in self if a.correct and not b.correct)

    @property
    def delta(self) -> float:
        return rounded(average(self.b) - average(self.a))

    def __iter__(self) -> Iterator[tuple[Prediction, Prediction]]:
        return zip(self.a, self.b, strict=True)

    def score_differences(self) -> list[float]:
        return [b.score - a.score for a, b in self]

    def is_binary(self) -> bool:
        return is_binary(self.a) and is_binary(self.b)

    def of_category(self, category: str) -> _Pairs:
        members = [(a, b) for a, b in self if a.category == category]
        return _Pairs(tuple(a for a, _ in members), tuple(b for _, b in members))


def compare(
    a: EvaluatedRun,
    b: EvaluatedRun,
    *,
    allow_differences: bool = False,
    confidence: float = DEFAULT_CONFIDENCE,
    metric: str = METRIC,
    category: str | None = None,
) -> Comparison:
    """Compare two evaluations.

    Args:
        a: the run before.
        b: the run after.
        allow_differences: compare although eval set, judge, template or generation limit differ;
            over the samples that are the same in both, with the differences in the result.
        confidence: the level of the interval: 0.8, 0.9, 0.95 or 0.99.
        metric: what to compare; "right" then means what the metric counts, in points of 100.
        category: compare only samples of this category.

    Raises:
        NotComparableError: something other than the model differs, or no sample is in both.
        UnknownMetricError: the metric does not exist, or needs more responses than were drawn.
        UnknownCategoryError: no sample has the category.
        UnsupportedLevelError: the confidence is not one of these.
    """
    differences = tuple(differences_of(a, b))
    if differences and not allow_differences:
        listed = ", and ".join(str(difference) for difference in differences)
        raise NotComparableError(a.label, b.label, f"{listed}.", differences)
    a, b = (measured_run(only_category(run, category), metric) for run in (a, b))
    pairs = _pair(a.predictions, b.predictions)
    if not pairs.a:
        raise NotComparableError(a.label, b.label, "they have no sample in common.", differences)
    interval = _interval(pairs, confidence)
    p_value, p_value_exact = _p_value(pairs), _p_value_exact(pairs)
    fixed, broken = pairs.fixed, pairs.broken
    return Comparison(
        metric=metric,
        a=average(pairs.a),
        b=average(pairs.b),
        delta=pairs.delta,
        interval=interval,
        interval_method="Tango score" if pairs.is_binary() else "paired bootstrap",
        confidence=confidence,
        p_value=p_value,
        p_value_method="McNemar mid-p" if pairs.is_binary() else "paired sign flips",
        p_value_exact=p_value_exact,
        verdict=verdict_of(interval, max(p_value, p_value_exact or 0.0), confidence),
        n_pairs=len(pairs.a),
        n_both_correct=sum(x.correct and y.correct for x, y in pairs),
        n_both_wrong=sum(not x.correct and not y.correct for x, y in pairs),
        fixed=fixed,
        broken=broken,
        categories=_categories(pairs, confidence),
        differences=differences,
        n_only_a=len(a.predictions) - len(pairs.a),
        n_only_b=len(b.predictions) - len(pairs.b),
    )


def scored_samples(
    a: EvaluatedRun,
    b: EvaluatedRun,
    *,
    metric: str = METRIC,
    category: str | None = None,
    pair: int | None = None,
) -> Iterator[ScoredSample]:
    """Yield the samples that `compare` compares, with both scores, in A's order.

    Raises:
        UnknownMetricError: the metric does not exist.
        UnknownCategoryError: no sample has the category.
    """
    mine, others = (
        measured_run(only_category(run, category), metric).predictions for run in (a, b)
    )
    for x, y in _pair(mine, others):
        yield ScoredSample(x.example_id, x.category, x.score, y.score, pair)


def only_category(run: EvaluatedRun, category: str | None) -> EvaluatedRun:
    """The samples of one category; all of them without one.

    Raises:
        UnknownCategoryError: no sample has it.
    """
    if category is None:
        return run
    kept = tuple(p for p in run.predictions if p.category == category)
    if not kept:
        raise UnknownCategoryError(category, sorted({p.category for p in run.predictions}))
    return msgspec.structs.replace(run, predictions=kept)


def measured_run(run: EvaluatedRun, metric: str) -> EvaluatedRun:
    """The run with one prediction per sample, scored by the metric.

    Raises:
        UnknownMetricError: the metric does not exist.
        TooFewDrawsError: the metric needs more responses than were drawn.
    """
    return msgspec.structs.replace(run, predictions=measured(run.predictions, metric))


def _pair(a: Sequence[Prediction], b: Sequence[Prediction]) -> _Pairs:
    """Pairs of the same question with the same expected answer."""
    others = {prediction.example_id: prediction for prediction in b}
    pairs = []
    for mine in a:
        other = others.get(mine.example_id)
        if other is not None and _question(mine) == _question(other):
            pairs.append((mine, other))
    return _Pairs(tuple(x for x, _ in pairs), tuple(y for _, y in pairs))


def _question(prediction: Prediction) -> tuple[str, str | None]:
    return prediction.prompt, prediction.expected_response


def _interval(pairs: _Pairs, confidence: float) -> tuple[float, float]:
    if pairs.is_binary():
        low, high = paired_difference_interval(
            len(pairs.fixed), len(pairs.broken), len(pairs.a), confidence=confidence
        )
        return points(low), points(high)
    low, high = bootstrap_mean_interval(
        pairs.score_differences(), seed=BOOTSTRAP_SEED, confidence=confidence
    )
    return rounded(low), rounded(high)


def _p_value(pairs: _Pairs) -> float:
    if pairs.is_binary():
        return significant(mcnemar_mid_p(len(pairs.fixed), len(pairs.broken)))
    return significant(sign_flip_p(pairs.score_differences(), seed=BOOTSTRAP_SEED))


def _p_value_exact(pairs: _Pairs) -> float | None:
    if not pairs.is_binary():
        return None
    return significant(mcnemar_exact_p(len(pairs.fixed), len(pairs.broken)))


def significant(p_value: float) -> float:
    """A p-value as it is written."""
    return float(f"{p_value:.6g}")  # significant digits: a small p-value is not 0


def verdict_of(
    interval: tuple[float, float], p_value: float, confidence: float
) -> ComparisonVerdict:
    """The verdict from an interval of the difference and a p-value (the largest, if several)."""
    low, high = interval
    sure = p_value < 1 - confidence
    if sure and low > 0:
        return ComparisonVerdict.BETTER
    if sure and high < 0:
        return ComparisonVerdict.WORSE
    return ComparisonVerdict.NO_CLEAR_DIFFERENCE


def _categories(pairs: _Pairs, confidence: float) -> dict[str, CategoryComparison]:
    categories = {}
    for name in sorted({a.category for a in pairs.a}):
        members = pairs.of_category(name)
        categories[name] = CategoryComparison(
            n_pairs=len(members.a),
            a=average(members.a),
            b=average(members.b),
            delta=members.delta,
            interval=_interval(members, confidence),
            n_fixed=len(members.fixed),
            n_broken=len(members.broken),
        )
    return categories
