"""The job that makes runs again from what is committed and compares every file.

A training is trained again, responses are generated again with the new weights, and judged again,
so an evaluation that comes out identical says something of the training as well. Everything happens
in staging directories; nothing that is committed changes.
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
    """Make one run again, or every run here.

    Args:
        layout: where the runs are.
        log: what the datasets select from.
        run: a run id, its beginning or a name; None for every run.
        watch: who hears of it.

    Returns:
        A verdict on everything that was made again, and on what could not be.

    Raises:
        BadInputError: there is no such run, or no run at all.
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


#: What comes earlier covers what follows from it.
_ORDER = (TrainingManifest, ResponsesManifest, EvaluationManifest, ContaminationManifest)


@dataclass(frozen=True)
class Group:
    """Runs that are made again together, since each follows from the one before.

    Attributes:
        head: the run by whose id `reproduce_runs` makes all of them.
        training: the training; None where only what follows from it is made again.
        responses: the responses of its weights, each with the evaluations of them.
        check: a contamination check, which follows from no other run.
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
    """What is made again for the chosen runs, in order.

    Raises:
        BadInputError: none is chosen.
    """
    if not chosen:
        raise BadInputError("There are no runs here to reproduce. `tunixrt train` makes one.")
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
    """Refuse to train and to generate without the packages that do; checks need none.

    Raises:
        MissingExtraError: they are needed, and not installed.
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
            # Without its responses here it gets a verdict all the same.
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
    """Generate and judge again: with the new weights, or the recorded ones where there are none."""
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
