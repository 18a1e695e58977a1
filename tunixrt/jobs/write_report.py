"""The report job: evaluation runs in, a directory of report files out."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import msgspec

from tunixrt.derive.delivery import Delivery, delivered_identity
from tunixrt.eval.compare.pairs import compare
from tunixrt.eval.compare.seeds import compare_seeds
from tunixrt.jobs.compare_runs import find_evaluation
from tunixrt.jobs.models import training_of
from tunixrt.report import (
    TEMPLATE,
    Experiment,
    Pair,
    ShownRun,
    ShownTraining,
    render_report,
)
from tunixrt.runs.catalogue import Catalogue
from tunixrt.runs.run import Run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tunixrt.derive import Watch
    from tunixrt.log.layout import Layout
    from tunixrt.runs.manifests import EvaluationManifest, TrainingManifest


class ReportedRun(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What decides how an evaluation is shown: runs by id, and the names that are printed.

    Attributes:
        evaluation: the evaluation.
        evalset: the name of its eval set here.
        training: the run that trained the model, if it is here.
        dataset: the name of its dataset here.
        base: the run that it started from, if it is here.
        contamination: the recorded check of the eval set against the training data.
    """

    evaluation: str
    evalset: str
    training: str | None
    dataset: str | None
    base: str | None
    contamination: str | None


class ReportIdentity(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="report"
):
    """What decides the bytes of a report: the runs of both sides, and the template."""

    template: str
    before: list[ReportedRun]
    after: list[ReportedRun]


class ReportManifest(msgspec.Struct, frozen=True):
    """The manifest of a report."""

    identity: ReportIdentity


class Report(Delivery[ReportManifest]):
    """Evaluations compared with evaluations, for people: ``report.md``, a page and charts."""

    kind: ClassVar = "report"
    manifest_name: ClassVar = "report.json"
    made_by: ClassVar = "tunixrt report"
    records: ClassVar = {"report.md": ("the text", ()), "report.html": ("the text", ())}

    def __init__(self, layout: Layout, before: Sequence[str], after: Sequence[str]) -> None:
        """Find the runs.

        Args:
            layout: where the runs are.
            before: the evaluations to compare with, ids, prefixes or names: one, or one per seed.
            after: the evaluations to compare, in the same order of seeds.

        Raises:
            BadInputError: one does not exist or is not an evaluation.
        """
        self._catalogue = Catalogue(layout)
        self._before, self._after = (
            [find_evaluation(layout, run) for run in runs] for runs in (before, after)
        )

    @property
    def identity(self) -> ReportIdentity:
        """The runs, the names that are printed, and the template."""
        before, after = (
            [_reported(self._catalogue, run) for run in runs]
            for runs in (self._before, self._after)
        )
        return ReportIdentity(TEMPLATE, before, after)

    def make(self, directory: Path, watch: Watch, work: Path | None) -> ReportManifest:  # noqa: ARG002
        """Write the files of the report.

        Raises:
            UnpairedRunsError: the sides have different numbers of runs, or a run is given twice.
            NotComparableError: the evaluations answer different questions.
        """
        before, after = (
            [shown_run(self._catalogue, run) for run in runs]
            for runs in (self._before, self._after)
        )
        shown: Pair | Experiment
        if len(before) == len(after) == 1:
            shown = shown_pair(before[0], after[0])
        else:
            sides = ([run.evaluation for run in runs] for runs in (before, after))
            comparison = compare_seeds(*sides)
            shown = Experiment(tuple(map(shown_pair, before, after)), comparison)
        for name, data in render_report(shown).items():
            (directory / name).write_bytes(data)
        return ReportManifest(self.identity)


def runs_of_report(directory: Path) -> tuple[list[str], list[str]]:
    """Return the ids of the runs before and after that a report in a directory shows.

    Raises:
        BadInputError: the directory does not contain a report that states them.
    """
    identity = delivered_identity(directory, Report, ReportIdentity)
    before, after = ([run.evaluation for run in side] for side in (identity.before, identity.after))
    return before, after


def _reported(catalogue: Catalogue, manifest: EvaluationManifest) -> ReportedRun:
    trained = catalogue.evaluated(manifest.responses)
    check = catalogue.contamination_of(manifest)
    return ReportedRun(
        evaluation=manifest.run_id,
        evalset=catalogue.evalset_name(manifest.evalset),
        training=None if trained is None else trained.run_id,
        dataset=None if trained is None else catalogue.dataset_name(trained.identity.dataset),
        base=None if trained is None else _base(catalogue, trained),
        contamination=None if check is None else check.run_id,
    )


def shown_pair(before: ShownRun, after: ShownRun) -> Pair:
    """Return two evaluations with their comparison.

    Raises:
        NotComparableError: the two answer different questions.
    """
    return Pair(before, after, compare(before.evaluation, after.evaluation))


def shown_run(catalogue: Catalogue, manifest: EvaluationManifest) -> ShownRun:
    """Return an evaluation with what is shown of it and of its model."""
    trained = catalogue.evaluated(manifest.responses)
    return ShownRun(
        manifest=manifest,
        evalset=catalogue.evalset_name(manifest.evalset),
        predictions=tuple(Run.of(catalogue.layout, manifest.run_id).predictions()),
        training=None if trained is None else shown_training(catalogue, trained),
        contamination=catalogue.contamination_of(manifest),
    )


def shown_training(catalogue: Catalogue, manifest: TrainingManifest) -> ShownTraining:
    """Return a training run with what is shown of it."""
    run = Run.of(catalogue.layout, manifest.run_id)
    return ShownTraining(
        manifest=manifest,
        dataset=catalogue.dataset_name(manifest.identity.dataset),
        base=_base(catalogue, manifest),
        metrics=tuple(run.metrics()),
        ledger=tuple(run.ledger()),
    )


def _base(catalogue: Catalogue, manifest: TrainingManifest) -> str | None:
    base = manifest.identity.base
    run = None if base is None else training_of(catalogue, base)
    return None if run is None else run.run_id
