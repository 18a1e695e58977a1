"""The comparison job: evaluations in, a derivation with the score of every sample out."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import msgspec

from tunixrt.derive.delivery import Delivery
from tunixrt.errors import BadInputError
from tunixrt.eval.compare.conditions import EvaluatedRun, evaluated_run
from tunixrt.eval.compare.metrics import METRIC
from tunixrt.eval.compare.pairs import COMPARISON_METHOD, Comparison, compare, scored_samples
from tunixrt.eval.compare.seeds import SeedsComparison, compare_seeds
from tunixrt.runs.directories import find_run
from tunixrt.runs.lines import encode_lines
from tunixrt.runs.manifests import EvaluationManifest, kind_of
from tunixrt.runs.run import Run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tunixrt.derive import Watch
    from tunixrt.log.layout import Layout

SAMPLES_NAME = "samples.jsonl"


class ComparisonIdentity(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="comparison"
):
    """What decides the figures of a comparison.

    Attributes:
        method: the version of the rules, see `tunixrt.eval.compare.pairs`.
        a: the evaluations before, by run id.
        b: the evaluations after, by run id.
        metric: what is compared.
        category: the only category of samples; None for all.
        allow_differences: whether something other than the model may differ.
        by_seed: whether the runs are two ways of training, with a pair per seed.
    """

    method: str
    a: list[str]
    b: list[str]
    metric: str
    category: str | None
    allow_differences: bool
    by_seed: bool


class ComparisonManifest(msgspec.Struct, frozen=True):
    """The manifest of a comparison: of two runs, or of two ways of training."""

    identity: ComparisonIdentity
    results: Comparison | SeedsComparison


class RunComparison(Delivery[ComparisonManifest]):
    """Evaluations compared with evaluations: one with one, or a pair per seed."""

    kind: ClassVar = "comparison"
    manifest_name: ClassVar = "comparison.json"
    made_by: ClassVar = "tunixrt run compare"
    records: ClassVar = {SAMPLES_NAME: ("sample", ("example_id", "pair"))}

    def __init__(
        self,
        layout: Layout,
        a: Sequence[str],
        b: Sequence[str],
        *,
        allow_differences: bool = False,
        metric: str = METRIC,
        category: str | None = None,
        by_seed: bool = False,
    ) -> None:
        """Find the runs.

        Args:
            layout: where the runs are.
            a: the evaluations before, ids, prefixes or names: one, or one per seed.
            b: the evaluations after, in the same order of seeds.
            allow_differences: compare although eval set, judge, template or generation differ.
            metric: what to compare.
            category: compare only the samples of one category.
            by_seed: compare two ways of training; else there is one run on each side.

        Raises:
            BadInputError: one does not exist or is not an evaluation.
        """
        self._layout = layout
        self._a, self._b = ([find_evaluation(layout, run) for run in runs] for runs in (a, b))
        self._identity = ComparisonIdentity(
            method=COMPARISON_METHOD,
            a=[run.run_id for run in self._a],
            b=[run.run_id for run in self._b],
            metric=metric,
            category=category,
            allow_differences=allow_differences,
            by_seed=by_seed,
        )

    @property
    def identity(self) -> ComparisonIdentity:
        """The runs and the settings."""
        return self._identity

    @cached_property
    def _runs(self) -> tuple[list[EvaluatedRun], list[EvaluatedRun]]:
        a, b = (
            [
                evaluated_run(run, tuple(Run.of(self._layout, run.run_id).predictions()))
                for run in runs
            ]
            for runs in (self._a, self._b)
        )
        return a, b

    @cached_property
    def results(self) -> Comparison | SeedsComparison:
        """The figures.

        Raises:
            BadInputError: the runs are not paired, something other than the model differs, or the
                metric or the category does not exist.
        """
        (a, b), chosen = self._runs, self._identity
        if not chosen.by_seed:
            return compare(
                a[0],
                b[0],
                allow_differences=chosen.allow_differences,
                metric=chosen.metric,
                category=chosen.category,
            )
        return compare_seeds(
            a,
            b,
            allow_differences=chosen.allow_differences,
            metric=chosen.metric,
            category=chosen.category,
        )

    def make(self, directory: Path, watch: Watch, work: Path | None) -> ComparisonManifest:  # noqa: ARG002
        """Write samples.jsonl, a line per sample and pair of runs."""
        results, chosen = self.results, self._identity
        pairs = list(zip(*self._runs, strict=True))
        with (directory / SAMPLES_NAME).open("wb") as file:
            for number, (a, b) in enumerate(pairs, start=1):
                pair = number if chosen.by_seed else None
                file.write(
                    encode_lines(
                        scored_samples(
                            a, b, metric=chosen.metric, category=chosen.category, pair=pair
                        )
                    )
                )
        return ComparisonManifest(chosen, results)


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
