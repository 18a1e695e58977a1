"""Hold an eval set against datasets, and against what a run was trained on, its bases included."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from tunixrt.datasets.building import datasets_of_key, load_dataset
from tunixrt.datasets.exports import parse_split
from tunixrt.datasets.files import members
from tunixrt.errors import AnswerIsNoError, BadInputError
from tunixrt.eval.contamination import (
    METHOD,
    NGRAM,
    THRESHOLD,
    ContaminationCheck,
    Overlap,
    OverlapKind,
)
from tunixrt.log.snapshots import load_snapshot
from tunixrt.runs.directories import read_runs
from tunixrt.runs.manifests import Contamination, DatasetInput, TrainingManifest
from tunixrt.traces.payloads import MemberPayloads
from tunixrt.traces.schema import parse_payload

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunixrt.datasets.files import Dataset
    from tunixrt.eval.evalsets import EvalSet
    from tunixrt.log.eventlog import EventLog
    from tunixrt.log.layout import Layout

_N_EXAMPLES = 20


class ContaminatedError(AnswerIsNoError):
    """Samples of the eval set are in the training data, and the caller asked to fail then.

    Attributes:
        contamination: the counts.
    """

    def __init__(self, evalset: str, contamination: Contamination) -> None:
        found = contamination
        super().__init__(
            f"The eval set {evalset} is in the training data ({', '.join(found.datasets)}): of "
            f"{found.n_samples:,} samples {found.n_exact:,} word for word, "
            f"{found.n_normalised:,} but for case, spaces and punctuation, {found.n_overlap:,} "
            f"with at least {found.threshold:.0%} of their {found.ngram}-grams. The first are "
            f"{', '.join(found.examples[:5])}. Nothing was published; `tunixrt evalset check "
            f"{evalset} --dataset KEY` lists them all."
        )
        self.contamination = contamination


class UncheckedError(BadInputError):
    """Nobody knows what the model was trained on, so contamination cannot be ruled out."""


class CheckedEvalset(msgspec.Struct, frozen=True):
    """The result of holding an eval set against data: the counts, and every overlap."""

    contamination: Contamination
    overlaps: tuple[Overlap, ...]


def check_against_dataset(
    layout: Layout, log: EventLog, evalset: EvalSet, key: str, split: str | None = None
) -> CheckedEvalset:
    """Hold an eval set against one dataset, whole or one split of it.

    Raises:
        DatasetNotFoundError: there is none of this key.
        AmbiguousDatasetError: there are several.
        ExportError: there is no such split.
    """
    if split is not None:
        parse_split(split)
    return _check(log, evalset, [(load_dataset(layout, key), split)], complete=True)


def contamination_of(
    layout: Layout, log: EventLog, evalset: EvalSet, trained: TrainingManifest
) -> Contamination:
    """Hold an eval set against all that a training run was trained on, its bases included.

    Raises:
        BadInputError: a dataset that was trained on is not here any more.
    """
    inputs, complete = _training_data(layout, trained)
    data = [(_dataset(layout, used), used.split) for used in inputs]
    return _check(log, evalset, data, complete=complete).contamination


def require_clean(evalset: str, found: Contamination | None, *, untrained: bool) -> None:
    """Fail unless the training data is known and holds none of the samples.

    Raises:
        ContaminatedError: it holds some.
        UncheckedError: the training data is not known.
    """
    if untrained:
        return  # nothing was trained on
    if found is not None and found.n_contaminated:
        raise ContaminatedError(evalset, found)
    if found is None or not found.complete:
        raise UncheckedError(
            "Contamination cannot be ruled out: the model, or a base that it was trained from, "
            "came from elsewhere, and nobody here knows its training data. Nothing was published; "
            "leave --fail-on-contamination away to evaluate it all the same."
        )


def _training_data(layout: Layout, trained: TrainingManifest) -> tuple[list[DatasetInput], bool]:
    """The datasets of a run and of the runs it started from, and whether these are all."""
    by_weights = {m.weights: m for m in read_runs(layout) if isinstance(m, TrainingManifest)}
    inputs = [trained.dataset]
    seen = {trained.run_id}
    base = trained.identity.base
    while base is not None:
        run = by_weights.get(base)
        if run is None:
            return inputs, False
        if run.run_id in seen:
            break
        seen.add(run.run_id)
        if run.dataset not in inputs:
            inputs.append(run.dataset)
        base = run.identity.base
    return inputs, True


def _dataset(layout: Layout, used: DatasetInput) -> Dataset:
    """The very dataset that a run was trained on, also where its key became ambiguous."""
    for dataset in datasets_of_key(layout, used.key):
        if dataset.digest == used.digest:
            return dataset
    raise BadInputError(
        f"The dataset {used.key} with the digest {used.digest} was trained on and is not here, so "
        "the eval set cannot be held against it. Bring its directory back from Git."
    )


def _check(
    log: EventLog,
    evalset: EvalSet,
    data: Sequence[tuple[Dataset, str | None]],
    *,
    complete: bool,
) -> CheckedEvalset:
    check = ContaminationCheck(evalset.samples)
    n_redacted = sum(_read(log, check, dataset, split) for dataset, split in data)
    overlaps = tuple(check.overlaps())
    kinds = Counter(overlap.kind for overlap in overlaps)
    return CheckedEvalset(
        contamination=Contamination(
            method=METHOD,
            ngram=NGRAM,
            threshold=float(THRESHOLD),
            datasets=[f"{d.key}/{split}" if split else d.key for d, split in data],
            complete=complete,
            n_prompts=check.n_prompts,
            n_redacted=n_redacted,
            n_samples=len(evalset.samples),
            n_exact=kinds[OverlapKind.EXACT],
            n_normalised=kinds[OverlapKind.NORMALISED],
            n_overlap=kinds[OverlapKind.OVERLAP],
            examples=[overlap.example_id for overlap in overlaps[:_N_EXAMPLES]],
        ),
        overlaps=overlaps,
    )


def _read(log: EventLog, check: ContaminationCheck, dataset: Dataset, split: str | None) -> int:
    """Show every prompt of a dataset to the check; how many are gone."""
    n_redacted = 0
    payloads = MemberPayloads(log, load_snapshot(log.layout, dataset.manifest.snapshot).segments)
    try:
        wanted = (m.trace for m in members(dataset) if split is None or m.split == split)
        for state, payload in payloads.read(wanted):
            if payload is None:
                n_redacted += 1
            else:
                check.add(state.id, parse_payload(payload).prompt)
    finally:
        payloads.close()
    return n_redacted
