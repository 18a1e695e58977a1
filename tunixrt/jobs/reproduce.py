"""The job that makes runs again from what is committed and compares every output.

A training run is trained again and its evaluations are made again with the new weights, so an
evaluation that comes out identical says something of the training as well. Everything happens in
staging directories; nothing that is committed changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tunixrt.errors import BadInputError
from tunixrt.eval.judge.judges import judge_by_name
from tunixrt.jobs.evaluation.evaluate import judge_responses
from tunixrt.jobs.evaluation.plan import plan_evaluation_again
from tunixrt.jobs.evaluation.responses import generate_responses
from tunixrt.jobs.training import NotReproducibleError, execute_training, plan_training
from tunixrt.log.files import staging_directory
from tunixrt.runs.config import RunConfig
from tunixrt.runs.directories import find_run, read_runs
from tunixrt.runs.identity import current_code
from tunixrt.runs.manifests import EvaluationManifest, Manifest, TrainingManifest
from tunixrt.runs.verdict import RunVerdict, judge_rebuilt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tunixrt.log.eventlog import EventLog
    from tunixrt.log.layout import Layout
    from tunixrt.runs.numeric_class import NumericClass


def reproduce_runs(
    layout: Layout,
    log: EventLog,
    run: str | None,
    *,
    on_start: Callable[[str], None] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[RunVerdict]:
    """Make one run again, or every run here.

    Args:
        layout: where the runs are.
        log: what the datasets select from.
        run: a run id or its beginning; None for every run.
        on_start: called with what is being made again.
        on_progress: called with how far it is and how far it goes.

    Raises:
        BadInputError: there is no such run, or no run at all.
        NotReproducibleError: members of the dataset were redacted.
    """
    runs = read_runs(layout)
    chosen = runs if run is None else [find_run(layout, run)]
    again = _Again(layout, log, on_start, on_progress)
    verdicts: list[RunVerdict] = []
    for group in groups_of(runs, chosen):
        if group.training is not None:
            verdicts += again.training(group.training, group.evaluations)
        else:
            verdicts += [again.evaluation(run, None) for run in group.evaluations]
    return verdicts


@dataclass(frozen=True)
class Group:
    """Runs that are made again together, and that no other has to wait for.

    A training with the evaluations of its weights, or one evaluation without a training.
    """

    training: TrainingManifest | None
    evaluations: list[EvaluationManifest]

    @property
    def run_id(self) -> str:
        """The run by whose id `reproduce_runs` makes all of them."""
        return (self.training or self.evaluations[0]).run_id

    @property
    def is_fast(self) -> bool:
        """Whether bits depend on the number of threads."""
        runs: list[Manifest] = [*self.evaluations, *([self.training] if self.training else [])]
        return any(run.identity.numeric_mode == "fast" for run in runs)


def groups_of(runs: list[Manifest], chosen: list[Manifest]) -> list[Group]:
    """What is made again for the chosen ones of all runs, in order.

    Raises:
        BadInputError: none is chosen.
    """
    if not chosen:
        raise BadInputError("There are no runs here to reproduce. `tunixrt train` makes one.")
    evaluations = [run for run in runs if isinstance(run, EvaluationManifest)]
    groups = [
        Group(run, [one for one in evaluations if one.model.run_id == run.run_id])
        for run in chosen
        if isinstance(run, TrainingManifest)
    ]
    covered = {one.run_id for group in groups for one in group.evaluations}
    return groups + [
        Group(None, [run])
        for run in chosen
        if isinstance(run, EvaluationManifest) and run.run_id not in covered
    ]


class _Again:
    """Makes runs again, one at a time."""

    def __init__(
        self,
        layout: Layout,
        log: EventLog,
        on_start: Callable[[str], None] | None,
        on_progress: Callable[[int, int], None] | None,
    ) -> None:
        self._layout = layout
        self._log = log
        self._on_start = on_start
        self._on_progress = on_progress

    def training(
        self, manifest: TrainingManifest, evaluations: list[EvaluationManifest]
    ) -> Iterator[RunVerdict]:
        """Train again, then evaluate again with the new weights."""
        self._start(f"training {manifest.run_id[:12]} again")
        plan = plan_training(
            self._layout,
            self._log,
            RunConfig.from_resolved(manifest.config),
            dataset_key=manifest.dataset.key,
            base=manifest.base,
        )
        if plan.n_redacted != manifest.ledger.n_redacted:
            raise NotReproducibleError(
                f"The run {manifest.run_id[:12]} is not reproducible: "
                f"{plan.n_redacted:,} redacted members of {manifest.dataset.key}."
            )
        with staging_directory(self._layout) as staged:
            execute_training(
                plan,
                staged,
                on_progress=lambda p: self._progress(p.step, p.num_steps),
            )
            yield judge_rebuilt(
                manifest,
                self._layout.runs / manifest.run_id,
                staged,
                rebuilt_score=None,
                reasons=_reasons(manifest, plan.numeric_class),
            )
            for evaluation in evaluations:
                yield self.evaluation(evaluation, staged / "model")

    def evaluation(self, manifest: EvaluationManifest, model: Path | None) -> RunVerdict:
        """Evaluate again: the given model, or the one that the manifest names.

        Every response is generated again; those of finished runs are what is being checked.
        """
        self._start(f"evaluating {manifest.run_id[:12]} again")
        with (
            plan_evaluation_again(self._layout, manifest, model) as plan,
            staging_directory(self._layout) as staged,
        ):
            responses = generate_responses(
                plan.identity, plan.evalset, plan.directory, on_progress=self._progress
            )
            rebuilt = judge_responses(plan, responses, staged)
            return judge_rebuilt(
                manifest,
                self._layout.runs / manifest.run_id,
                staged,
                rebuilt_score=rebuilt.results.avg_score,
                reasons=_reasons(manifest, plan.numeric_class),
            )

    def _start(self, what: str) -> None:
        if self._on_start is not None:
            self._on_start(what)

    def _progress(self, done: int, total: int) -> None:
        if self._on_progress is not None:
            self._on_progress(done, total)


def _reasons(manifest: Manifest, here: NumericClass) -> list[str]:
    """Why identity is not promised for this run on this machine; empty where it is."""
    recorded = manifest.identity.code.packages
    reasons = _judge_reasons(manifest) + [
        f"{name} is {version} here and was {recorded.get(name, 'absent')}"
        for name, version in current_code().packages.items()
        if recorded.get(name) != version
    ]
    if manifest.numeric_class is not None:
        reasons += [
            f"numeric mode fast, and {field} differs here"
            for field in manifest.numeric_class.differences(here)
            if field != "packages"
        ]
    return reasons


def _judge_reasons(manifest: Manifest) -> list[str]:
    if isinstance(manifest, TrainingManifest):
        return []
    recorded = manifest.identity.judge
    here = judge_by_name(recorded.name).version
    if here == recorded.version:
        return []
    return [f"the judge {recorded.name} is version {here} here and was {recorded.version}"]
