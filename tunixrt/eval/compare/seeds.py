"""Compare two ways of training, each tried with several seeds, on the same samples.

One run measures one set of weights; another seed gives other weights. Here the runs of the two
ways are paired in order (seed 0 with seed 0), and the difference between the ways is the mean over
pairs and samples. Its interval comes from the pigeonhole bootstrap (Owen 2007, "The pigeonhole
bootstrap"): pairs of runs and samples are drawn again independently of each other, since every run
answers every sample. So the interval covers both the choice of questions and the choice of seeds,
and is conservative (too wide) with few seeds. The p-value comes from sign flips over samples and
holds for the given seeds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from tunixrt.errors import BadInputError
from tunixrt.eval.compare.conditions import NotComparableError
from tunixrt.eval.compare.metrics import METRIC
from tunixrt.eval.compare.pairs import (
    Comparison,
    ComparisonVerdict,
    compare,
    measured_run,
    only_category,
    significant,
    verdict_of,
)
from tunixrt.eval.compare.statistics import (
    DEFAULT_CONFIDENCE,
    mean,
    percentile_interval,
    rounded,
    sign_flip_p,
)
from tunixrt.eval.evaluation import BOOTSTRAP_SEED
from tunixrt.traces.prng import Sha256Stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunixrt.eval.compare.conditions import EvaluatedRun
    from tunixrt.eval.compare.statistics import Interval

N_RESAMPLES: Final = 2_000


class UnpairedRunsError(BadInputError):
    """Two ways with different numbers of runs, or with a run given twice."""


class CategoryDifference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The two ways within one category, as means over the runs; points, 0 to 100."""

    n_samples: int
    a: float
    b: float
    delta: float


class SeedsComparison(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Way B compared with way A; scores and differences in points, 0 to 100.

    Attributes:
        metric: what is compared.
        a: the average score of A over runs and samples.
        b: that of B.
        delta: ``b - a``.
        interval: the confidence interval of ``delta``.
        interval_method: how it was computed.
        confidence: its level.
        p_value: two-sided, under the hypothesis of no difference, given the seeds.
        p_value_method: how it was computed.
        verdict: as for two runs, see :mod:`tunixrt.eval.compare.pairs`.
        n_samples: samples that all runs answered.
        categories: the same per category.
        pairs: the comparisons of single runs, in order.
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
    n_samples: int
    categories: dict[str, CategoryDifference]
    pairs: tuple[Comparison, ...]


def compare_seeds(
    a: Sequence[EvaluatedRun],
    b: Sequence[EvaluatedRun],
    *,
    allow_differences: bool = False,
    confidence: float = DEFAULT_CONFIDENCE,
    metric: str = METRIC,
    category: str | None = None,
) -> SeedsComparison:
    """Compare two ways, each with one run per seed.

    Args:
        a: the runs of the one way, in the order of their seeds.
        b: those of the other, in the same order.
        allow_differences: as in :func:`tunixrt.eval.compare.pairs.compare`.
        confidence: the level of the interval: 0.8, 0.9, 0.95 or 0.99.
        metric: what to compare.
        category: compare only samples of this category.

    Raises:
        UnpairedRunsError: the sides have different numbers of runs, or a run is given twice.
        NotComparableError: something other than the model differs, or the runs have no sample in
            common.
        UnknownMetricError: the metric does not exist.
        UnknownCategoryError: no sample has the category.
    """
    _check(a, b)
    pairs = tuple(
        compare(
            x,
            y,
            allow_differences=allow_differences,
            confidence=confidence,
            metric=metric,
            category=category,
        )
        for x, y in zip(a, b, strict=True)
    )
    scores_a, scores_b = ([_scores(run, metric, category) for run in runs] for runs in (a, b))
    shared = [
        sample for sample in scores_a[0] if all(sample in run for run in [*scores_a, *scores_b])
    ]
    if not shared:
        raise NotComparableError(a[0].label, b[-1].label, "the runs share no sample.", ())
    differences = [
        [y[sample] - x[sample] for sample in shared]
        for x, y in zip(scores_a, scores_b, strict=True)
    ]
    by_sample = [mean(column) for column in zip(*differences, strict=True)]
    low, high = _pigeonhole_interval(differences, confidence)
    interval = rounded(low), rounded(high)
    p_value = significant(sign_flip_p(by_sample, seed=BOOTSTRAP_SEED))
    mean_a, mean_b = (_mean_over(runs, shared) for runs in (scores_a, scores_b))
    return SeedsComparison(
        metric=metric,
        a=rounded(mean_a),
        b=rounded(mean_b),
        delta=rounded(mean(by_sample)),
        interval=interval,
        interval_method="pigeonhole bootstrap over samples and seeds",
        confidence=confidence,
        p_value=p_value,
        p_value_method="paired sign flips over samples",
        verdict=verdict_of(interval, p_value, confidence),
        n_samples=len(shared),
        categories=_categories(a[0], shared, scores_a, scores_b),
        pairs=pairs,
    )


def _check(a: Sequence[EvaluatedRun], b: Sequence[EvaluatedRun]) -> None:
    if len(a) != len(b):
        raise UnpairedRunsError(
            f"There are {len(a)} runs on one side and {len(b)} on the other. Runs are compared in "
            "pairs, the first with the first: give as many of each."
        )
    for runs in (a, b):
        labels = [run.label for run in runs]
        twice = sorted({label for label in labels if labels.count(label) > 1})
        if twice:
            raise UnpairedRunsError(
                f"The run {twice[0]} is given twice on one side, and would count twice. Give each "
                "run once."
            )


def _scores(run: EvaluatedRun, metric: str, category: str | None) -> dict[tuple[str, str], float]:
    """The score of each sample; a sample is its id and its question."""
    scored = measured_run(only_category(run, category), metric).predictions
    return {(prediction.example_id, prediction.prompt): prediction.score for prediction in scored}


def _mean_over(
    runs: Sequence[dict[tuple[str, str], float]], samples: Sequence[tuple[str, str]]
) -> float:
    return mean([run[sample] for run in runs for sample in samples])


def _pigeonhole_interval(differences: Sequence[Sequence[float]], confidence: float) -> Interval:
    """The percentile interval of the mean over runs (rows) and samples (columns)."""
    stream = Sha256Stream(f"pigeonhole {BOOTSTRAP_SEED}")
    n_runs, n_samples = len(differences), len(differences[0])
    means = []
    for _ in range(N_RESAMPLES):
        rows = [differences[stream.below(n_runs)] for _ in range(n_runs)]
        columns = [stream.below(n_samples) for _ in range(n_samples)]
        means.append(mean([row[column] for row in rows for column in columns]))
    return percentile_interval(means, confidence)


def _categories(
    run: EvaluatedRun,
    shared: Sequence[tuple[str, str]],
    scores_a: Sequence[dict[tuple[str, str], float]],
    scores_b: Sequence[dict[tuple[str, str], float]],
) -> dict[str, CategoryDifference]:
    category_of = {(p.example_id, p.prompt): p.category for p in run.predictions}
    categories = {}
    for name in sorted({category_of[sample] for sample in shared}):
        members = [sample for sample in shared if category_of[sample] == name]
        a, b = _mean_over(scores_a, members), _mean_over(scores_b, members)
        categories[name] = CategoryDifference(
            n_samples=len(members), a=rounded(a), b=rounded(b), delta=rounded(b - a)
        )
    return categories
