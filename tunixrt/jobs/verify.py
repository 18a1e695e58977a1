"""The verification job: every digest of the store, and with ``rebuild`` everything that is derived.

Needs no jax: what was trained is checked by digest here and made again by ``reproduce``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tunixrt.datasets import verification as dataset_verification
from tunixrt.datasets.building import list_datasets
from tunixrt.datasets.exports import Export, ExportFormat
from tunixrt.datasets.reading import DatasetReader, OmitReason
from tunixrt.derive import Answer, FileVerdict, Verdict
from tunixrt.errors import TunixrtError
from tunixrt.eval.evalsets import SUFFIX, list_evalsets
from tunixrt.jobs.again import Remaker
from tunixrt.jobs.training import text_of
from tunixrt.jobs.verify_since import SinceCheck, verify_since
from tunixrt.log.digests import Digest, digest_file, from_hex
from tunixrt.log.findings import Finding
from tunixrt.log.snapshots import verify_snapshots
from tunixrt.runs.catalogue import Catalogue
from tunixrt.runs.directories import UnfinishedRunError, list_run_ids, verify_runs
from tunixrt.runs.manifests import (
    ContaminationManifest,
    EvaluationManifest,
    ManifestError,
    ResponsesManifest,
    TrainingManifest,
)
from tunixrt.runs.promotions import read_promotions

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from tunixrt.datasets.files import Dataset
    from tunixrt.log.eventlog import EventLog
    from tunixrt.log.layout import Layout


class Counts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many of each were checked."""

    n_segments: int
    n_snapshots: int
    n_datasets: int
    n_runs: int
    n_evalsets: int


class Verification(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The result of ``tunixrt verify``."""

    findings: list[Finding]
    counts: Counts
    rebuilt: list[Verdict]
    unused_evalsets: list[str]
    since: SinceCheck | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.findings


def verify_store(
    layout: Layout, log: EventLog, *, rebuild: bool = False, since: str | None = None
) -> Verification:
    """Prove every digest of log, snapshots, datasets, runs and used eval sets.

    Raises:
        GitError: ``since`` is given, and names no revision that is here.
    """
    # First, since it may raise, and then nobody waits for the rest.
    compared = None if since is None else verify_since(layout, log, since)
    findings = [
        *(() if compared is None else compared.findings),
        *log.verify(),
        *verify_snapshots(layout),
        *dataset_verification.verify_datasets(layout),
    ]
    findings += verify_runs(layout)
    catalogue = Catalogue(layout)
    evalsets = _evalsets(layout)
    if _is_readable(catalogue):
        findings += _verify_references(catalogue, evalsets)
        used = {m.identity.evalset for m in catalogue.responses} & evalsets.keys()
    else:
        used = set()
    findings += _verify_promoted(layout, log)
    rebuilt: list[Verdict] = []
    # From what is damaged nothing can be derived; the digests have told the whole story by then.
    if rebuild and not findings:
        rebuilt = list(_rebuild(catalogue, log))
        findings += [_rebuilt_finding(layout, v) for v in rebuilt if v.verdict is Answer.DIVERGED]
    return Verification(
        findings=findings,
        counts=Counts(
            n_segments=len(_segments(log)),
            n_snapshots=len(list(layout.snapshots.glob("*.json"))),
            n_datasets=len(list(layout.datasets.glob("*/*/*/manifest.json"))),
            n_runs=len(list_run_ids(layout)),
            n_evalsets=len(used),
        ),
        rebuilt=rebuilt,
        unused_evalsets=sorted(name for digest, name in evalsets.items() if digest not in used),
        since=compared,
    )


def _evalsets(layout: Layout) -> dict[Digest, str]:
    """The name of every eval set by the digest of its file."""
    names = list_evalsets(layout.evalsets)
    return {digest_file(layout.evalsets / f"{name}{SUFFIX}"): name for name in names}


def _segments(log: EventLog) -> list[object]:
    try:
        return [*log.segments()]
    except TunixrtError:
        return []  # a damaged header: the findings say so


def _is_readable(catalogue: Catalogue) -> bool:
    try:
        return catalogue.runs is not None
    except (ManifestError, UnfinishedRunError):
        return False  # verify_runs has named the manifest that is missing or cannot be read


def _verify_references(catalogue: Catalogue, evalsets: Collection[Digest]) -> Iterator[Finding]:
    """What a run names by digest is here, and an eval set never changes once it was used."""
    try:
        datasets = {dataset.digest for dataset in list_datasets(catalogue.layout)}
    except TunixrtError:
        return  # verify_datasets has named what cannot be read
    responses = {run.run_id for run in catalogue.responses}
    for run in catalogue.runs:
        path = f"runs/{run.run_id}/manifest.json"
        match run:
            case TrainingManifest() if run.identity.dataset not in datasets:
                yield Finding(
                    path=path,
                    problem="The dataset that was trained on is not here.",
                    expected=run.identity.dataset,
                )
            case ResponsesManifest() if run.identity.evalset not in evalsets:
                yield Finding(
                    path=path,
                    problem="The eval set that was answered is not here: no file of evalsets/ has "
                    "its digest. It may have been changed: `git checkout` brings it back.",
                    expected=run.identity.evalset,
                )
            case EvaluationManifest() if run.responses.run_id not in responses:
                yield Finding(
                    path=path,
                    problem="The responses that were judged are not here.",
                    expected=f"runs/{run.responses.run_id}",
                )
            case _:
                pass


def _verify_promoted(layout: Layout, log: EventLog) -> Iterator[Finding]:
    """A name means a run that is here; one that was given away since is no matter any more."""
    try:
        names = read_promotions(log).names
    except TunixrtError:
        return  # a damaged log: the findings say so
    here = set(list_run_ids(layout))
    for name, run in names.items():
        if run not in here:
            yield Finding(
                path=f"runs/{run}",
                problem=f"The name {name} was given to this run, and the run is not here.",
                expected="the directory of the run, or another run under the name",
                found="no such directory",
            )


def _rebuild(catalogue: Catalogue, log: EventLog) -> Iterator[Verdict]:
    """Make every derivation again that takes no training and no model."""
    with DatasetReader(log) as reader:
        # By snapshot, so that each is folded once.
        datasets = list_datasets(catalogue.layout)
        for dataset in sorted(datasets, key=lambda d: (d.manifest.snapshot, d.key)):
            yield dataset_verification.rebuild(reader, dataset)
            yield from _derive_text(catalogue, reader, dataset)
        remaker = Remaker(catalogue, reader)
        for run in catalogue.runs:
            if isinstance(run, EvaluationManifest | ContaminationManifest):
                yield remaker.verdict(run)


def _derive_text(
    catalogue: Catalogue, reader: DatasetReader, dataset: Dataset
) -> Iterator[Verdict]:
    """Derive every export of a dataset, and the text of each run trained on it, in one pass."""
    exports = [Export(export_format) for export_format in ExportFormat]
    trained = [run for run in catalogue.trainings if run.identity.dataset == dataset.digest]
    if catalogue.dataset(dataset.digest) != dataset:
        trained = []  # another key of the same members is taken for these
    wanted = {_text_key(run): text_of(run) for run in trained}
    reader.pour(dataset, [*exports, *wanted.values()])
    for export in exports:
        report = export.report()
        file = f"{dataset.key}.{report.format}.jsonl"
        yield Verdict(
            kind="export",
            id=dataset.path.name,
            name=f"{dataset.key} as {report.format}",
            verdict=Answer.DERIVED,
            n_rows=report.rows,
            n_redacted=report.omitted.get(OmitReason.REDACTED, 0),
            files=[FileVerdict(file=file, recorded=None, rebuilt=from_hex(report.sha256))],
        )
    for run in trained:
        text = wanted[_text_key(run)]
        same = text.digest == run.identity.text
        gone = not same and text.n_redacted
        yield Verdict(
            kind="text",
            id=run.run_id,
            name=f"{dataset.key}, as run {run.run_id[:12]} read it",
            verdict=Answer.IDENTICAL
            if same
            else Answer.NOT_REPRODUCIBLE
            if gone
            else Answer.DIVERGED,
            reasons=[f"{text.n_redacted:,} redacted members"] if gone else [],
            first_difference=None if same else "The text is not the one that was trained on.",
            n_rows=text.n_examples,
            n_redacted=text.n_redacted,
            files=[FileVerdict(file="text", recorded=run.identity.text, rebuilt=text.digest)],
        )


def _text_key(run: TrainingManifest) -> tuple[str, str, str | None]:
    template = run.identity.template
    return run.split, template.format, template.system_instruction


def _rebuilt_finding(layout: Layout, verdict: Verdict) -> Finding:
    directory = {"dataset": "store/datasets"}.get(verdict.kind, f"runs/{verdict.id}")
    if verdict.kind == "dataset":
        found = next(layout.datasets.glob(f"*/*/{verdict.id}"), None)
        directory = directory if found is None else layout.relative(found)
    different = next((file for file in verdict.files if not file.same), None)
    return Finding(
        path=f"{directory}/{verdict.file or 'manifest.json'}",
        problem=f"The {verdict.kind} {verdict.name} is not what follows from its inputs: "
        f"{verdict.first_difference}",
        line=verdict.line,
        expected=None if different is None else different.rebuilt,
        found=None if different is None else different.recorded,
    )
