"""The verification job: every digest of the store, and with ``rebuild`` everything that is derived.

Needs no jax: what was trained is checked by digest here and made again by ``reproduce``.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tunixrt.datasets import verification as dataset_verification
from tunixrt.datasets.building import list_datasets
from tunixrt.datasets.exports import ExportFormat, ExportReport, OmitReason, export_dataset
from tunixrt.errors import TunixrtError
from tunixrt.eval.evalsets import SUFFIX, list_evalsets
from tunixrt.jobs.verify_since import SinceCheck, verify_since
from tunixrt.log.digests import Digest, digest_file, from_hex
from tunixrt.log.findings import Finding
from tunixrt.log.snapshots import verify_snapshots
from tunixrt.runs.directories import UnfinishedRunError, list_run_ids, read_runs, verify_runs
from tunixrt.runs.manifests import EvaluationManifest, Manifest, ManifestError, TrainingManifest
from tunixrt.runs.promotions import read_promotions

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
    """The result of ``tunixrt verify``."""

    findings: list[Finding]
    counts: Counts
    rebuilt: list[Rebuilt]
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
    manifests = _readable_runs(layout)
    findings += _verify_references(layout, manifests)
    findings += _verify_promoted(layout, log)
    findings += _verify_evalsets(layout, manifests)
    used = {m.evalset.name for m in manifests if isinstance(m, EvaluationManifest)}
    rebuilt: list[Rebuilt] = []
    # From what is damaged nothing can be derived; the digests have told the whole story by then.
    if rebuild and not findings:
        rebuilt = _rebuild(layout, log, manifests, findings)
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
        unused_evalsets=[name for name in list_evalsets(layout.evalsets) if name not in used],
        since=compared,
    )


def _segments(log: EventLog) -> list[object]:
    try:
        return [*log.segments()]
    except TunixrtError:
        return []  # a damaged header: the findings say so


def _readable_runs(layout: Layout) -> list[Manifest]:
    try:
        return read_runs(layout)
    except (ManifestError, UnfinishedRunError):
        return []  # verify_runs has named the manifest that is missing or cannot be read


def _verify_references(layout: Layout, manifests: list[Manifest]) -> Iterator[Finding]:
    """A run names datasets and other runs by digest: they are here, and they are what was used."""
    weights = {m.run_id: m.weights for m in manifests if isinstance(m, TrainingManifest)}
    datasets = {d.digest for d in list_datasets_or_none(layout)}
    for manifest in manifests:
        path = f"runs/{manifest.run_id}/manifest.json"
        if isinstance(manifest, TrainingManifest):
            if manifest.dataset.digest not in datasets:
                yield Finding(
                    path=path,
                    problem=f"The dataset {manifest.dataset.key} that was trained on is not here.",
                    expected=manifest.dataset.digest,
                )
        elif manifest.model.run_id is not None:
            found = weights.get(manifest.model.run_id)
            if found != manifest.weights:
                yield Finding(
                    path=path,
                    problem=f"The evaluated run {manifest.model.run_id} has other weights.",
                    expected=manifest.weights,
                    found=found or "no such run",
                )


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


def _verify_evalsets(layout: Layout, manifests: list[Manifest]) -> Iterator[Finding]:
    """An eval set never changes once a run has used it."""
    seen: set[tuple[str, Digest]] = set()
    for manifest in manifests:
        if not isinstance(manifest, EvaluationManifest):
            continue
        name, digest = manifest.evalset.name, manifest.evalset.digest
        if (name, digest) in seen:
            continue
        seen.add((name, digest))
        path = layout.evalsets / f"{name}{SUFFIX}"
        found = digest_file(path) if path.is_file() else None
        if found != digest:
            yield Finding(
                path=layout.relative(path),
                problem=f"The eval set is not the one that run {manifest.run_id[:12]} has used.",
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
        report = _export(layout, log, dataset, export_format)
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
        digest = from_hex(report.sha256)
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
    split: str | None = None,
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
