"""The job that rebuilds runs from what is committed and compares every file.

A training is repeated, and responses are generated with the new weights and judged again, so an
identical evaluation also confirms the training. Everything happens in staging directories;
committed files never change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tunixrt.datasets.reading import DatasetReader
from tunixrt.derive import QUIET
from tunixrt.errors import BadInputError
from tunixrt.extras import TRAIN, require
from tunixrt.jobs.again import Remaker
from tunixrt.runs.catalogue import Catalogue
from tunixrt.runs.directories import find_run
from tunixrt.runs.manifests import (
    ContaminationManifest,
    EvaluationManifest,
    ResponsesManifest,
    TrainingManifest,
)
from tunixrt.runs.run import Run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tunixrt.derive import Verdict, Watch
    from tunixrt.log.eventlog import EventLog
    from tunixrt.log.layout import Layout
    from tunixrt.runs.manifests import Manifest


def reproduce_runs(
    layout: Layout, log: EventLog, run: str | None, watch: Watch = QUIET
) -> list[Verdict]:
    """Rebuild one run, or every run here.

    Args:
        layout: where the runs are.
        log: what the datasets select from.
        run: a run id, a prefix or a name; None for every run.
        watch: receives progress and notices.

    Returns:
        A verdict on everything that was rebuilt, and on what could not be.

    Raises:
        BadInputError: the run does not exist, or the store has no runs.
        MissingExtraError: the packages that train are not installed.
    """
    catalogue = Catalogue(layout)
    chosen = catalogue.runs if run is None else [find_run(layout, run)]
    groups = groups_of(catalogue, chosen)
    require_packages(groups)
    verdicts: list[Verdict] = []
    with DatasetReader(log) as reader:
        remaker = Remaker(catalogue, reader, watch)
        for group in groups:
            verdicts += _reproduce(remaker, group)
    return verdicts


#: An earlier kind includes the kinds derived from it.
_ORDER = (TrainingManifest, ResponsesManifest, EvaluationManifest, ContaminationManifest)


@dataclass(frozen=True)
class Group:
    """Runs that are rebuilt together, since each is derived from the one before.

    Attributes:
        head: the run whose id makes `reproduce_runs` rebuild all of them.
        training: the training; None where only runs derived from it are rebuilt.
        responses: the responses of its weights, each with its evaluations.
        check: a contamination check, which is not derived from another run.
    """

    head: Manifest
    training: TrainingManifest | None = None
    responses: tuple[tuple[ResponsesManifest, tuple[EvaluationManifest, ...]], ...] = ()
    check: ContaminationManifest | None = None

    @property
    def is_fast(self) -> bool:
        """Whether bits depend on the number of threads."""
        modes = {responses.identity.numeric_mode for responses, _ in self.responses}
        if self.training is not None:
            modes.add(self.training.identity.numeric_mode)
        return "fast" in modes


def groups_of(catalogue: Catalogue, chosen: list[Manifest]) -> list[Group]:
    """The groups of runs to rebuild, in order.

    Raises:
        BadInputError: no run is chosen.
    """
    if not chosen:
        raise BadInputError("The store has no runs to reproduce. `tunixrt train` makes one.")
    groups: list[Group] = []
    covered: set[str] = set()
    for run in sorted(chosen, key=lambda run: (_ORDER.index(type(run)), run.run_id)):
        if run.run_id not in covered:
            group = _group(catalogue, run, covered)
            for responses, judged in group.responses:
                covered |= {responses.run_id, *(one.run_id for one in judged)}
            groups.append(group)
    return groups


def require_packages(groups: list[Group]) -> None:
    """Fail early where training or generation lacks its packages; checks need none.

    Raises:
        MissingExtraError: they are needed but not installed.
    """
    if any(group.check is None for group in groups):
        require(TRAIN, "Reproducing a run")


def _group(catalogue: Catalogue, run: Manifest, covered: set[str]) -> Group:
    match run:
        case TrainingManifest():
            answered = [
                r
                for r in catalogue.responses
                if r.weights == run.weights
                and r.identity.untrained is None
                and r.run_id not in covered
            ]
            return Group(run, run, tuple((r, _judged(catalogue, r)) for r in answered))
        case ResponsesManifest():
            return Group(run, None, ((run, _judged(catalogue, run)),))
        case EvaluationManifest():
            of = [r for r in catalogue.responses if r.run_id == run.responses.run_id]
            # Without its responses it still gets a verdict.
            return Group(run, None, tuple((r, (run,)) for r in of))
        case ContaminationManifest():
            return Group(run, check=run)


def _judged(catalogue: Catalogue, responses: ResponsesManifest) -> tuple[EvaluationManifest, ...]:
    return tuple(e for e in catalogue.evaluations if e.responses.run_id == responses.run_id)


def _reproduce(remaker: Remaker, group: Group) -> Iterator[Verdict]:
    if group.training is not None:
        with remaker.made(group.training) as (verdict, made):
            yield verdict
            model = None if made is None else Run(made.directory).model
            yield from _answers(remaker, group, model, verdict.reasons)
    elif not group.responses:
        yield remaker.verdict(group.head)
    else:
        yield from _answers(remaker, group, None, [])


def _answers(
    remaker: Remaker, group: Group, model: Path | None, reasons: list[str]
) -> Iterator[Verdict]:
    """Generate and judge again: with the new weights, or with the recorded ones."""
    for responses, evaluations in group.responses:
        with remaker.made(responses, model=model) as (verdict, made):
            yield verdict
            for evaluation in evaluations:
                if made is None:
                    yield remaker.verdict(evaluation)
                    continue
                why = (
                    list(dict.fromkeys([*reasons, *verdict.reasons])) if model else verdict.reasons
                )
                with remaker.made(evaluation, responses=Run(made.directory), reasons=why) as (
                    judged,
                    _,
                ):
                    yield judged
