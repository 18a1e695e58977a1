"""The verification job: every digest of the store, and with ``rebuild`` everything that is derived.

Needs no jax: what was trained is checked by digest here and made again by ``reproduce``.
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tunixrt.datasets import verification as dataset_verification
from tunixrt.datasets.building import list_datasets
from tunixrt.datasets.exports import (
    ALL_SPLITS,
    ExportFormat,
    ExportReport,
    OmitReason,
    export_dataset,
)
from tunixrt.errors import TunixrtError
from tunixrt.eval.evalsets import SUFFIX, list_evalsets, misnamed_evalsets
from tunixrt.jobs.verify_since import SinceCheck, verify_since
from tunixrt.log.checkout import Checkout
from tunixrt.log.digests import Digest, from_hex
from tunixrt.log.findings import DamagedError, Finding, entries
from tunixrt.log.snapshots import verify_snapshots
from tunixrt.runs.directories import MANIFEST, list_run_ids, verify_runs
from tunixrt.runs.manifests import (
    EvaluationManifest,
    Manifest,
    ManifestError,
    TrainingManifest,
    read_manifest,
)
from tunixrt.runs.promotions import read_promotions
from tunixrt.traces.importers.lines import digest_text

if TYPE_CHECKING:
    from collections.abc import Iterator

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


class Rebuilt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something that was derived again: what, of which name, and its digest.

    ``recorded`` is the digest it should have: the dataset's own, or the one that a training run
    recorded of the export it saw; null for an export that no run has used.
    """

    what: str
    name: str
    rows: int
    digest: Digest
    recorded: Digest | None
    identical: bool


class Verification(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The result of ``tunixrt verify``.

    ``not_checked_out`` are the runs, datasets and other files that Git tracks, that a sparse
    checkout leaves out, and that could not be checked for this reason; paths relative to the root.
    """

    findings: list[Finding]
    counts: Counts
    rebuilt: list[Rebuilt]
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
        GitError: ``since`` is given, and names no revision that is here.
    """
    checkout = Checkout.of(layout)
    # First, since it may raise, and then nobody waits for the rest.
    compared = None if since is None else verify_since(layout, log, since, checkout)
    findings = [
        *(() if compared is None else compared.findings),
        *log.verify(),
        *verify_snapshots(layout),
        *dataset_verification.verify_datasets(layout, checkout),
        *verify_runs(layout, checkout),
    ]
    manifests = _readable_runs(layout)
    findings += _verify_references(layout, manifests, checkout)
    findings += _verify_promoted(layout, log, checkout)
    findings += _verify_evalsets(layout, manifests, checkout)
    used = {m.evalset.name for m in manifests if isinstance(m, EvaluationManifest)}
    rebuilt: list[Rebuilt] = []
    # From what is damaged nothing can be derived; the digests have told the whole story by then.
    if rebuild and not findings:
        rebuilt = _rebuild(layout, log, manifests, findings)
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
        unused_evalsets=[name for name in _evalsets(layout) if name not in used],
        since=compared,
        not_checked_out=_not_checked_out(layout, checkout),
    )


def _segments(log: EventLog) -> list[object]:
    try:
        return [*log.segments()]
    except TunixrtError:
        return []  # a damaged header: the findings say so


def _n_files(directory: Path, pattern: str) -> int:
    try:
        return sum(1 for _ in directory.glob(pattern))
    except OSError:
        return 0  # it cannot be listed, and a finding says so


def _run_ids(layout: Layout) -> list[str]:
    try:
        return list_run_ids(layout)
    except DamagedError:
        return []  # verify_runs has named the directory


def _evalsets(layout: Layout) -> tuple[str, ...]:
    try:
        return list_evalsets(layout.evalsets)
    except DamagedError:
        return ()  # _verify_evalsets has named the directory


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
        if not (layout.runs / name).exists():  # no other check has asked about it
            checkout.lacks(f"{layout.relative(layout.runs)}/{name}")
    missed = checkout.missed
    return sorted(p for p in missed if not any(p.startswith(f"{other}/") for other in missed))


def _verify_references(
    layout: Layout, manifests: list[Manifest], checkout: Checkout
) -> Iterator[Finding]:
    """A run names datasets and other runs by digest: they are here, and they are what was used."""
    weights = {m.run_id: m.weights for m in manifests if isinstance(m, TrainingManifest)}
    datasets = {d.digest for d in list_datasets_or_none(layout)}
    for manifest in manifests:
        path = f"runs/{manifest.run_id}/manifest.json"
        if isinstance(manifest, TrainingManifest):
            name, _, version = manifest.dataset.key.rpartition("-")
            place = layout.relative(layout.datasets / name / version)
            if manifest.dataset.digest not in datasets and not checkout.lacks(place):
                yield Finding(
                    path=path,
                    problem=f"The dataset {manifest.dataset.key} that was trained on is not here.",
                    expected=manifest.dataset.digest,
                )
        elif manifest.model.run_id is not None:
            found = weights.get(manifest.model.run_id)
            is_left_out = found is None and checkout.lacks(f"runs/{manifest.model.run_id}")
            if found != manifest.weights and not is_left_out:
                yield Finding(
                    path=path,
                    problem=f"The evaluated run {manifest.model.run_id} has other weights.",
                    expected=manifest.weights,
                    found=found or "no such run",
                )


def _verify_promoted(layout: Layout, log: EventLog, checkout: Checkout) -> Iterator[Finding]:
    """A name means a run that is here; one that was given away since is no matter any more."""
    try:
        names = read_promotions(log).names
    except TunixrtError:
        return  # a damaged log: the findings say so
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
    layout: Layout, manifests: list[Manifest], checkout: Checkout
) -> Iterator[Finding]:
    """An eval set never changes once a run has used it, and has a name that commands can say."""
    try:
        entries(layout.evalsets, layout.root)
    except DamagedError as error:
        yield error.finding
        return
    used: dict[tuple[str, Digest], str] = {}
    for manifest in manifests:
        if isinstance(manifest, EvaluationManifest):
            used.setdefault((manifest.evalset.name, manifest.evalset.digest), manifest.run_id)
    for (name, digest), run_id in used.items():
        yield from _verify_evalset(layout, name, digest, run_id, checkout)
    named = {name for name, _ in used}
    for misnamed in misnamed_evalsets(layout.evalsets):
        if misnamed.path.stem not in named:
            yield Finding(layout.relative(misnamed.path), misnamed.problem)


def _verify_evalset(
    layout: Layout, name: str, digest: Digest, run_id: str, checkout: Checkout
) -> Iterator[Finding]:
    path = layout.evalsets / f"{name}{SUFFIX}"
    place = layout.relative(path)
    found = None
    try:
        found = digest_text(path)
    except FileNotFoundError:
        if checkout.lacks(place):
            return
    except OSError as error:
        yield Finding(place, f"The eval set cannot be read: {error.strerror}.", expected=digest)
        return
    if found != digest:
        yield Finding(
            path=place,
            problem=f"The eval set is not the one that run {run_id[:12]} has used.",
            expected=digest,
            found=found or "no such file",
        )


def list_datasets_or_none(layout: Layout) -> list[Dataset]:
    """The datasets, or none where one cannot be read (``verify_datasets`` says which)."""
    try:
        return list_datasets(layout)
    except TunixrtError:
        return []


def _rebuild(
    layout: Layout, log: EventLog, manifests: list[Manifest], findings: list[Finding]
) -> list[Rebuilt]:
    """Derive datasets and exports again; what differs is added to the findings."""
    trained = [m for m in manifests if isinstance(m, TrainingManifest)]
    datasets = list_datasets(layout)
    n_of_key = Counter(dataset.key for dataset in datasets)
    rebuilt: list[Rebuilt] = []
    for dataset in datasets:
        again = dataset_verification.rebuild(layout, log, dataset)
        findings += again.findings
        rebuilt.append(
            Rebuilt(
                what="dataset",
                name=dataset.key,
                rows=dataset.manifest.trace_count,
                digest=dataset.digest,
                recorded=dataset.digest,
                identical=not again.findings,
            )
        )
        # Two builds under one key cannot be exported by that key; `status` reports them.
        if n_of_key[dataset.key] == 1:
            exports = list(_exports(layout, log, dataset, trained))
            findings += [_export_finding(entry) for entry in exports if not entry.identical]
            rebuilt += exports
    return rebuilt


def _exports(
    layout: Layout, log: EventLog, dataset: Dataset, trained: list[TrainingManifest]
) -> Iterator[Rebuilt]:
    """Derive every export of a dataset, and the text that each run trained on it has seen."""
    for export_format in ExportFormat:
        report = _export(layout, log, dataset, export_format, split=ALL_SPLITS)
        yield Rebuilt(
            what=f"export {export_format}",
            name=dataset.key,
            rows=report.rows,
            digest=from_hex(report.sha256),
            recorded=None,
            identical=True,
        )
    for run in trained:
        if run.dataset.digest != dataset.digest or run.dataset.export is None:
            continue
        template = run.identity.template
        report = _export(
            layout,
            log,
            dataset,
            ExportFormat(template.format),
            split=run.dataset.split,
            system=template.system_instruction,
        )
        # Runs of earlier versions name the canonical bytes of the same rows.
        canonical = from_hex(report.canonical_sha256)
        digest = canonical if canonical == run.dataset.export else from_hex(report.sha256)
        yield Rebuilt(
            what=f"text of run {run.run_id[:12]}",
            name=dataset.key,
            rows=report.rows,
            digest=digest,
            recorded=run.dataset.export,
            # Members that were redacted since are missing from the text, and `status` says so.
            identical=digest == run.dataset.export or OmitReason.REDACTED in report.omitted,
        )


def _export(
    layout: Layout,
    log: EventLog,
    dataset: Dataset,
    export_format: ExportFormat,
    *,
    split: str,
    system: str | None = None,
) -> ExportReport:
    with Path(os.devnull).open("wb") as nowhere:
        return export_dataset(
            layout, log, dataset.key, export_format, nowhere, split=split, system=system
        )


def _export_finding(entry: Rebuilt) -> Finding:
    return Finding(
        path="runs",
        problem=f"The {entry.what}, derived again from {entry.name}, is not what was trained on.",
        expected=entry.recorded,
        found=entry.digest,
    )
