"""Compare an eval set with datasets, and with the training data of a run and its bases."""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import msgspec

from tunixrt.datasets.building import load_dataset
from tunixrt.datasets.exports import parse_split
from tunixrt.datasets.reading import DatasetReader
from tunixrt.derive import QUIET, Derivation, NotReproducibleError, obtain
from tunixrt.errors import AnswerIsNoError, BadInputError
from tunixrt.eval.contamination import (
    METHOD,
    NGRAM,
    THRESHOLD,
    Contamination,
    ContaminationCheck,
)
from tunixrt.jobs.training import dataset_of, require_text, text_of
from tunixrt.log.sums import output_digests
from tunixrt.runs.identity import IDENTITY_FORMAT, ContaminationIdentity
from tunixrt.runs.lines import Overlap, OverlapKind, encode_lines
from tunixrt.runs.manifests import (
    MANIFEST_FORMAT,
    ContaminationManifest,
    ContaminationResults,
)
from tunixrt.runs.run import OVERLAPS_NAME, Run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tunixrt.derive import Watch
    from tunixrt.eval.evalsets import EvalSet
    from tunixrt.log.eventlog import EventLog
    from tunixrt.log.layout import Layout
    from tunixrt.runs.catalogue import Catalogue
    from tunixrt.runs.manifests import TrainingManifest

_N_EXAMPLES = 20


class ContaminatedError(AnswerIsNoError):
    """Samples of the eval set are in the training data, and the caller asked to fail.

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
    """The training data is unknown, so contamination cannot be ruled out."""


class CheckedEvalset(msgspec.Struct, frozen=True):
    """The result of comparing an eval set with data: the counts, and every overlap."""

    contamination: Contamination
    overlaps: tuple[Overlap, ...]


class TrainingCheck(Derivation[ContaminationManifest]):
    """An eval set compared with the exact texts of a training."""

    kind: ClassVar = "contamination"
    records: ClassVar = {OVERLAPS_NAME: ("sample", ("example_id",))}

    def __init__(
        self,
        catalogue: Catalogue,
        reader: DatasetReader,
        evalset: EvalSet,
        lineage: Sequence[TrainingManifest],
        identity: ContaminationIdentity,
    ) -> None:
        """Bind an identity to its inputs.

        Args:
            catalogue: the store.
            reader: reads its datasets.
            evalset: the questions.
            lineage: a training run with each text that the identity names.
            identity: what is compared.
        """
        self._catalogue = catalogue
        self._reader = reader
        self._evalset = evalset
        self._lineage = lineage
        self._identity = identity

    @property
    def identity(self) -> ContaminationIdentity:
        """The eval set, the texts and the rules."""
        return self._identity

    @cached_property
    def _checked(self) -> tuple[ContaminationResults, tuple[Overlap, ...]]:
        check = ContaminationCheck(self._evalset.samples)
        for run in self._lineage:
            text = text_of(run)
            dataset = dataset_of(self._catalogue, run)
            for member, state, trace in self._reader.read(dataset, {run.split}):
                if trace is None:
                    text.add_redacted(state.id)
                else:
                    text.add(state, trace, member.split)
                    check.add_trace(state.id, trace)
            require_text(self._catalogue, run, text)
        overlaps = tuple(check.overlaps())
        return _count(check, overlaps, len(self._evalset.samples)), overlaps

    def make(self, directory: Path, watch: Watch, work: Path | None) -> ContaminationManifest:  # noqa: ARG002
        """Write contamination.jsonl, a line per sample that was found.

        Raises:
            NotReproducibleError: a text no longer exists here.
        """
        results, overlaps = self._checked
        (directory / OVERLAPS_NAME).write_bytes(encode_lines(overlaps))
        return ContaminationManifest(
            format=MANIFEST_FORMAT,
            run_id=self.id,
            identity=self._identity,
            results=results,
            outputs=output_digests(directory),
        )

    @property
    def found(self) -> Contamination:
        """The recorded result; else that of a new comparison.

        Raises:
            NotReproducibleError: neither a record nor the texts exist here.
        """
        run = Run.of(self._catalogue.layout, self.id)
        if run.is_published:
            manifest = run.manifest
            assert isinstance(manifest, ContaminationManifest)
            return as_recorded(self._catalogue, manifest)
        results, overlaps = self._checked
        return _in_words(self._catalogue, self._identity, results, overlaps)

    def publish(self, layout: Layout, watch: Watch = QUIET) -> None:
        """Publish the check unless it exists."""
        obtain(layout, self, Run.of(layout, self.id).directory, watch)


def check_against_dataset(
    layout: Layout, log: EventLog, evalset: EvalSet, key: str, split: str | None = None
) -> CheckedEvalset:
    """Compare an eval set with one dataset, whole or one split of it.

    Raises:
        DatasetNotFoundError: no dataset has this key.
        AmbiguousDatasetError: several datasets have this key.
        ExportError: the split does not exist.
    """
    splits = None if split is None else {parse_split(split)}
    dataset = load_dataset(layout, key)
    check, n_redacted = ContaminationCheck(evalset.samples), 0
    with DatasetReader(log) as reader:
        for _, state, trace in reader.read(dataset, splits):
            if trace is None:
                n_redacted += 1
            else:
                check.add_trace(state.id, trace)
    overlaps = tuple(check.overlaps())
    results = _count(check, overlaps, len(evalset.samples))
    return CheckedEvalset(
        Contamination(
            method=METHOD,
            ngram=NGRAM,
            threshold=float(THRESHOLD),
            datasets=[f"{key}/{split}" if split else key],
            complete=True,
            n_redacted=n_redacted,
            examples=[overlap.example_id for overlap in overlaps[:_N_EXAMPLES]],
            **msgspec.structs.asdict(results),
        ),
        overlaps,
    )


def check_training(
    catalogue: Catalogue,
    reader: DatasetReader,
    evalset: EvalSet,
    trained: TrainingManifest | None,
    watch: Watch = QUIET,
) -> TrainingCheck | None:
    """Compare an eval set with all training data of a run, bases included.

    Returns:
        The check, new or found; None where the training data is unknown or no longer exists here.
    """
    if trained is None:
        return None
    lineage, complete = catalogue.lineage(trained)
    identity = ContaminationIdentity(
        format=IDENTITY_FORMAT,
        method=METHOD,
        ngram=NGRAM,
        threshold=f"{THRESHOLD}",
        evalset=evalset.digest,
        texts=sorted({run.identity.text for run in lineage}),
        complete=complete,
    )
    check = TrainingCheck(catalogue, reader, evalset, by_text(lineage), identity)
    try:
        _ = check.found
    except NotReproducibleError as error:
        watch.notice(f"warning: The eval set was not compared with the training data: {error}.")
        return None
    return check


def by_text(lineage: Sequence[TrainingManifest]) -> list[TrainingManifest]:
    """The first run of those with the same text."""
    return list({run.identity.text: run for run in reversed(lineage)}.values())


def as_recorded(catalogue: Catalogue, manifest: ContaminationManifest) -> Contamination:
    """A recorded check with this store's names for the texts."""
    overlaps = list(Run.of(catalogue.layout, manifest.run_id).overlaps())
    return _in_words(catalogue, manifest.identity, manifest.results, overlaps)


def require_clean(evalset: str, found: Contamination | None, *, untrained: bool) -> None:
    """Fail unless the training data is known and contains none of the samples.

    Raises:
        ContaminatedError: it contains some.
        UncheckedError: the training data is unknown.
    """
    if untrained:
        return  # nothing was trained on
    if found is not None and found.n_contaminated:
        raise ContaminatedError(evalset, found)
    if found is None or not found.complete:
        raise UncheckedError(
            "Contamination cannot be ruled out: the model, or a base that it was trained from, "
            "is external, or its training data no longer exists here. Nothing was "
            "published; omit --fail-on-contamination to evaluate it anyway."
        )


def _count(
    check: ContaminationCheck, overlaps: Sequence[Overlap], n_samples: int
) -> ContaminationResults:
    kinds = Counter(overlap.kind for overlap in overlaps)
    return ContaminationResults(
        n_prompts=check.n_prompts,
        n_samples=n_samples,
        n_exact=kinds[OverlapKind.EXACT],
        n_normalised=kinds[OverlapKind.NORMALISED],
        n_overlap=kinds[OverlapKind.OVERLAP],
    )


def _in_words(
    catalogue: Catalogue,
    identity: ContaminationIdentity,
    results: ContaminationResults,
    overlaps: Sequence[Overlap],
) -> Contamination:
    numerator, _, denominator = identity.threshold.partition("/")
    return Contamination(
        method=identity.method,
        ngram=identity.ngram,
        threshold=int(numerator) / int(denominator or 1),
        datasets=catalogue.text_names(identity.texts),
        complete=identity.complete,
        n_redacted=0,
        examples=[overlap.example_id for overlap in overlaps[:_N_EXAMPLES]],
        **msgspec.structs.asdict(results),
    )
