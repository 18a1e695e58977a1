"""The verification job: checks every digest of the store, and with ``rebuild`` everything derived.

Needs no jax: trainings are checked by digest here and rebuilt by ``reproduce``.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import msgspec

from tunixrt.datasets import verification as dataset_verification
from tunixrt.datasets.building import list_datasets
from tunixrt.datasets.exports import ALL_SPLITS, REBUILT_FORMATS, Export
from tunixrt.datasets.reading import DatasetReader, OmitReason
from tunixrt.derive import Answer, FileVerdict, Verdict
from tunixrt.errors import TunixrtError
from tunixrt.eval.evalsets import SUFFIX, list_evalsets, misnamed_evalsets
from tunixrt.jobs.again import Remaker
from tunixrt.jobs.training import text_of
from tunixrt.jobs.verify_since import SinceCheck, verify_since
from tunixrt.log.checkout import Checkout
from tunixrt.log.findings import DamagedError, Finding, entries, not_plain
from tunixrt.log.snapshots import verify_snapshots
from tunixrt.log.sums import MANIFEST
from tunixrt.runs.catalogue import Catalogue
from tunixrt.runs.directories import list_run_ids, verify_runs
from tunixrt.runs.manifests import (
    ContaminationManifest,
    EvaluationManifest,
    Manifest,
    ManifestError,
    ResponsesManifest,
    TrainingManifest,
    read_manifest,
)
from tunixrt.runs.promotions import read_promotions
from tunixrt.traces.importers.lines import digest_text
from tunixrt.words import plural

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tunixrt.datasets.files import Dataset
    from tunixrt.log.digests import Digest
    from tunixrt.log.eventlog import EventLog
    from tunixrt.log.layout import Layout

#: The most eval sets that a finding lists.
_N_LISTED = 8


class Counts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The numbers of checked items."""

    n_segments: int
    n_snapshots: int
    n_datasets: int
    n_runs: int
    n_evalsets: int


class Verification(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The result of ``tunixrt verify``.

    ``not_checked_out`` are the runs, datasets and other files that Git tracks, that a sparse
    checkout leaves out, and that could not be checked for this reason; paths relative to the root.
    """

    findings: list[Finding]
    counts: Counts
    rebuilt: list[Verdict]
    unused_evalsets: list[str]
    since: SinceCheck | None = None
    not_checked_out: list[str] = []

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.findings


def verify_store(
    layout: Layout, log: EventLog, *, rebuild: bool = False, since: str | None = None
) -> Verification:
    """Prove every digest of log, snapshots, datasets, runs and used eval sets.

    Raises:
        GitError: ``since`` is given, and the revision does not exist here.
    """
    checkout = Checkout.of(layout)
    # First, since it may raise, before the slow checks.
    compared = None if since is None else verify_since(layout, log, since, checkout)
    findings = [
        *(() if compared is None else compared.findings),
        *log.verify(),
        *verify_snapshots(layout),
        *dataset_verification.verify_datasets(layout, checkout),
        *verify_runs(layout, checkout),
    ]
    manifests = _readable_runs(layout)
    evalsets = _EvalSets(layout)
    answered = {m.identity.evalset for m in manifests if isinstance(m, ResponsesManifest)}
    findings += _verify_references(layout, manifests, checkout)
    findings += _verify_promoted(layout, log, checkout)
    findings += evalsets.findings
    findings += _verify_evalsets(layout, manifests, evalsets, checkout)
    used = answered & set(evalsets.digests.values())
    rebuilt: list[Verdict] = []
    # Nothing can be derived from damaged data; the digests have already reported it.
    if rebuild and not findings:
        rebuilt = list(_rebuild(Catalogue(layout), log))
        findings += [_rebuilt_finding(layout, v) for v in rebuilt if v.verdict is Answer.DIVERGED]
    return Verification(
        findings=findings,
        counts=Counts(
            n_segments=len(_segments(log)),
            n_snapshots=_n_files(layout.snapshots, "*.json"),
            n_datasets=_n_files(layout.datasets, "*/*/*/manifest.json"),
            n_runs=len(_run_ids(layout)),
            n_evalsets=len(used),
        ),
        rebuilt=rebuilt,
        unused_evalsets=sorted(n for n, digest in evalsets.digests.items() if digest not in used),
        since=compared,
        not_checked_out=_not_checked_out(layout, checkout),
    )


class _EvalSets:
    """The existing eval sets, each read once.

    Attributes:
        digests: of each that can be read, by name.
        findings: those that cannot be read, or that no command can name.
    """

    def __init__(self, layout: Layout) -> None:
        self.digests: dict[str, Digest] = {}
        self.findings: list[Finding] = []
        try:
            names = list_evalsets(layout.evalsets)
            misnamed = misnamed_evalsets(layout.evalsets)
        except DamagedError as error:
            self.findings.append(error.finding)
            return
        for name in names:
            path = layout.evalsets / f"{name}{SUFFIX}"
            try:
                self.digests[name] = digest_text(path)
            except OSError as error:
                problem = f"The eval set cannot be read: {error.strerror}."
                self.findings.append(Finding(layout.relative(path), problem))
        self.findings += [Finding(layout.relative(m.path), m.problem) for m in misnamed]
        # They are skipped where eval sets are listed.
        for entry in entries(layout.evalsets, layout.root):
            if entry.name.endswith(SUFFIX) and entry.is_dir(follow_symlinks=False):
                self.findings.append(not_plain(layout.evalsets / entry.name, layout.root))


def _segments(log: EventLog) -> list[object]:
    try:
        return [*log.segments()]
    except TunixrtError:
        return []  # a damaged header has a finding of its own


def _n_files(directory: Path, pattern: str) -> int:
    try:
        return sum(1 for _ in directory.glob(pattern))
    except OSError:
        return 0  # it cannot be listed, which has a finding of its own


def _run_ids(layout: Layout) -> list[str]:
    try:
        return list_run_ids(layout)
    except DamagedError:
        return []  # verify_runs has named the directory


def _readable_runs(layout: Layout) -> list[Manifest]:
    manifests = []
    for run_id in _run_ids(layout):
        # verify_runs has named the manifest that is missing or cannot be read.
        with contextlib.suppress(ManifestError):
            manifests.append(read_manifest(layout.runs / run_id / MANIFEST))
    return manifests


def _not_checked_out(layout: Layout, checkout: Checkout) -> list[str]:
    """What could not be checked: whole runs and datasets, and single files that something names."""
    for name in checkout.below(layout.relative(layout.runs)):
        if not (layout.runs / name).exists():  # no other check has covered it
            checkout.lacks(f"{layout.relative(layout.runs)}/{name}")
    missed = checkout.missed
    return sorted(p for p in missed if not any(p.startswith(f"{other}/") for other in missed))


def _verify_references(
    layout: Layout, manifests: list[Manifest], checkout: Checkout
) -> Iterator[Finding]:
    """Check that the datasets and runs that a run names by digest exist here."""
    datasets = {dataset.digest for dataset in _datasets_or_none(layout)}
    responses = {run.run_id for run in manifests if isinstance(run, ResponsesManifest)}
    for run in manifests:
        path = f"runs/{run.run_id}/manifest.json"
        if isinstance(run, TrainingManifest):
            digest = run.identity.dataset
            if digest not in datasets and not _lacks_datasets(layout, checkout):
                yield Finding(
                    path=path,
                    problem="The dataset that was trained on is not here.",
                    expected=digest,
                )
        elif isinstance(run, EvaluationManifest):
            place = f"runs/{run.responses.run_id}"
            if run.responses.run_id not in responses and not checkout.lacks(place):
                yield Finding(
                    path=path,
                    problem="The responses that were judged are not here.",
                    expected=place,
                )


def _lacks_datasets(layout: Layout, checkout: Checkout) -> bool:
    """Whether a sparse checkout excludes datasets; only their manifests name them."""
    top = layout.relative(layout.datasets)
    versions = [
        f"{top}/{name}/{version}"
        for name in checkout.below(top)
        for version in checkout.below(f"{top}/{name}")
    ]
    for version in versions:
        checkout.lacks(version)
    return bool(versions)


def _datasets_or_none(layout: Layout) -> list[Dataset]:
    """The datasets, or none where one cannot be read (``verify_datasets`` reports it)."""
    try:
        return list_datasets(layout)
    except TunixrtError:
        return []


def _verify_promoted(layout: Layout, log: EventLog, checkout: Checkout) -> Iterator[Finding]:
    """Check that promoted names refer to existing runs; earlier uses of a name do not matter."""
    try:
        names = read_promotions(log).names
    except TunixrtError:
        return  # a damaged log has a finding of its own
    here = set(_run_ids(layout))
    for name, run in names.items():
        if run not in here and not checkout.lacks(f"runs/{run}"):
            yield Finding(
                path=f"runs/{run}",
                problem=f"The name {name} was given to this run, and the run is not here.",
                expected="the directory of the run, or another run under the name",
                found="no such directory",
            )


def _verify_evalsets(
    layout: Layout, manifests: list[Manifest], evalsets: _EvalSets, checkout: Checkout
) -> Iterator[Finding]:
    """Check that the eval sets of evaluations exist unchanged."""
    known = set(evalsets.digests.values())
    answered = [m for m in manifests if isinstance(m, ResponsesManifest)]
    missing: dict[Digest, str] = {}
    for run in answered:
        if run.identity.evalset not in known:
            missing.setdefault(run.identity.evalset, run.run_id)
    if not missing:
        return
    top = layout.relative(layout.evalsets)
    # Only the bytes of the excluded files would show which one has the digest.
    if left_out := checkout.below(top):
        for name in left_out:
            checkout.lacks(f"{top}/{name}")
        return
    used = {run.identity.evalset for run in answered}
    others = [f"{top}/{n}{SUFFIX}" for n, digest in evalsets.digests.items() if digest not in used]
    more = f" and {len(others) - _N_LISTED:,} more" if len(others) > _N_LISTED else ""
    for digest, run_id in missing.items():
        yield Finding(
            path=f"runs/{run_id}/manifest.json",
            problem="The eval set that was answered is not here: no file of evalsets/ has its "
            "digest. It may have been changed: `git checkout` brings it back.",
            expected=digest,
            found=f"other digests in {', '.join(others[:_N_LISTED])}{more}" if others else None,
        )


def _rebuild(catalogue: Catalogue, log: EventLog) -> Iterator[Verdict]:
    """Rebuild every derivation that needs neither training nor a model."""
    with DatasetReader(log) as reader:
        # Grouped by snapshot, so that each is folded once.
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
    exports = [Export(export_format, split=ALL_SPLITS) for export_format in REBUILT_FORMATS]
    trained = [run for run in catalogue.trainings if run.identity.dataset == dataset.digest]
    if catalogue.dataset(dataset.digest) != dataset:
        trained = []  # done once per dataset digest, not per key
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
            files=[FileVerdict(file=file, recorded=None, rebuilt=report.sha256)],
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
            reasons=[plural(text.n_redacted, "redacted member")] if gone else [],
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
