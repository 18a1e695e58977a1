"""Two evaluation runs, pair by pair."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunixrt.errors import BadInputError
from tunixrt.eval.compare import seeds
from tunixrt.eval.compare.metrics import METRIC
from tunixrt.eval.compare.pairs import Comparison, EvaluatedRun, compare
from tunixrt.runs.directories import find_run
from tunixrt.runs.manifests import EvaluationManifest, kind_of
from tunixrt.runs.run import Run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunixrt.eval.compare.seeds import SeedsComparison
    from tunixrt.log.layout import Layout


def compare_runs(
    layout: Layout,
    a: str,
    b: str,
    *,
    allow_differences: bool = False,
    metric: str = METRIC,
    category: str | None = None,
) -> Comparison:
    """Compare evaluation B with evaluation A on the same samples.

    Args:
        layout: where the runs are.
        a: the run before: an id, a prefix or a promoted name.
        b: the run after.
        allow_differences: compare although eval set, judge, template or generation settings differ.
        metric: what to compare.
        category: compare only the samples of one category.

    Raises:
        BadInputError: one is not an evaluation, or something other than the model differs.
    """
    return compare(
        evaluated_run(layout, find_evaluation(layout, a)),
        evaluated_run(layout, find_evaluation(layout, b)),
        allow_differences=allow_differences,
        metric=metric,
        category=category,
    )


def compare_seeds(
    layout: Layout,
    a: Sequence[str],
    b: Sequence[str],
    *,
    allow_differences: bool = False,
    metric: str = METRIC,
    category: str | None = None,
) -> SeedsComparison:
    """Compare two ways of training, each with one evaluation per seed; see `compare.seeds`.

    Args:
        layout: where the runs are.
        a: the runs of the way before, in the order of their seeds.
        b: those of the way after, in the same order.
        allow_differences: as for two runs.
        metric: what to compare.
        category: compare only the samples of one category.

    Raises:
        BadInputError: one is not an evaluation, they are not paired, or something other than
            the model differs.
    """
    return seeds.compare_seeds(
        [evaluated_run(layout, find_evaluation(layout, run)) for run in a],
        [evaluated_run(layout, find_evaluation(layout, run)) for run in b],
        allow_differences=allow_differences,
        metric=metric,
        category=category,
    )


def find_evaluation(layout: Layout, run: str) -> EvaluationManifest:
    """The evaluation run with this id prefix or promoted name.

    Raises:
        BadInputError: it does not exist, is ambiguous, or is not an evaluation.
    """
    manifest = find_run(layout, run)
    if not isinstance(manifest, EvaluationManifest):
        raise BadInputError(
            f"The run {run} is a {kind_of(manifest)} run, and only evaluations are compared: "
            "`tunixrt eval MODEL --evalset NAME` makes one."
        )
    return manifest


def evaluated_run(layout: Layout, manifest: EvaluationManifest) -> EvaluatedRun:
    """The input of a comparison: an evaluation with its predictions."""
    responses = manifest.responses
    return EvaluatedRun(
        label=manifest.run_id[:12],
        evalset=responses.evalset,
        judge=manifest.identity.judge,
        template=responses.template,
        max_new_tokens=responses.generation.max_new_tokens,
        draws=responses.generation.draws,
        overlong=manifest.results.overlong,
        predictions=tuple(Run.of(layout, manifest.run_id).predictions()),
    )
