"""Builds and finds datasets: versioned, immutable selections of traces, named by content.

A dataset's digest depends only on its recipe and its members, so two people who build the same
selection have the same dataset, in any order of their logs. Its manifest records its origin:
name, version, snapshot, lineage, and a time only if one was given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tunixrt.datasets.derivation import DatasetDerivation, DatasetIdentity
from tunixrt.datasets.files import (
    MANIFEST_NAME,
    Dataset,
    DatasetManifest,
    directories,
    members,
    read_manifest,
)
from tunixrt.datasets.names import BadNameError, key_of, parse_key
from tunixrt.datasets.selection import Member
from tunixrt.derive import QUIET
from tunixrt.errors import BadInputError
from tunixrt.log.canonical import encode
from tunixrt.log.digests import Digest, digest_bytes
from tunixrt.log.files import publish_directory, staging_directory, writing
from tunixrt.log.lock import store_lock
from tunixrt.log.segment.header import DamagedError
from tunixrt.log.snapshots import name_snapshot, save_snapshot
from tunixrt.traces.state import project
from tunixrt.traces.times import check_utc
from tunixrt.words import did_you_mean, quoted, suggestion

if TYPE_CHECKING:
    from pathlib import Path

    from tunixrt.datasets.recipes import Recipe
    from tunixrt.log.eventlog import EventLog
    from tunixrt.log.layout import Layout
    from tunixrt.log.lock import Waiting

__all__ = [
    "AmbiguousDatasetError",
    "BuildReport",
    "Dataset",
    "DatasetExistsError",
    "DatasetManifest",
    "DatasetNotFoundError",
    "Member",
    "build_dataset",
    "datasets_of_key",
    "list_datasets",
    "load_dataset",
    "members",
]


class BuildReport(msgspec.Struct, frozen=True):
    """A dataset that was built; ``created`` is False if it existed."""

    dataset_key: str
    digest: Digest
    trace_count: int
    split_counts: dict[str, int]
    created: bool
    dataset: Dataset


class DatasetNotFoundError(BadInputError):
    """The dataset of this key does not exist."""

    def __init__(self, key: str, known: list[str]) -> None:
        hint = (
            did_you_mean(key, known)
            if known
            else "The store has none yet; `tunixrt dataset build` makes one."
        )
        super().__init__(f"There is no dataset {quoted(key)}. {hint}")
        self.key = key


class DatasetExistsError(BadInputError):
    """The key is taken by a dataset with another digest."""

    def __init__(self, key: str, digest: Digest, existing: list[Digest]) -> None:
        super().__init__(
            f"The dataset {key} exists already with the digest {' and '.join(existing)}; what "
            f"would be built now has the digest {digest}. A dataset never changes: choose another "
            "version."
        )
        self.key = key
        self.digest = digest
        self.existing = existing


class AmbiguousDatasetError(BadInputError):
    """Two branches built different datasets under one key, and a merge brought both here."""

    def __init__(self, key: str, digests: list[Digest]) -> None:
        super().__init__(
            f"The key {key} names {len(digests)} different datasets, built on different branches: "
            f"{' and '.join(digests)}. Build the one that you mean under a version of its own, or "
            "remove the directory of the other one from Git."
        )
        self.key = key
        self.digests = digests


def build_dataset(
    layout: Layout,
    log: EventLog,
    name: str,
    version: str,
    recipe: Recipe,
    *,
    built_at: str | None = None,
    parent: str | None = None,
    waiting: Waiting | None = None,
) -> BuildReport:
    """Publish the traces that a recipe selects from the current log as a dataset.

    Building a key again with the same digest changes nothing: the existing dataset is kept.

    Args:
        layout: Where to publish.
        log: What to select from.
        name: The name of the dataset.
        version: Its version.
        recipe: What to select.
        built_at: The time to state in the manifest, RFC 3339 in UTC; None states none.
        parent: The key of the dataset that this one follows.
        waiting: How to wait for the store's lock, which is held only to publish: no other process
            may take the key between the check and the publication.

    Raises:
        BadNameError: Name or version cannot be used.
        RecipeError: Nothing matches.
        DatasetExistsError: The key is taken by a dataset with another digest; nothing is written.
        DatasetNotFoundError: The parent does not exist.
        LockHeldError: Another process holds the store's lock; nothing is written.
    """
    key_of(name, version)
    if built_at is not None:
        check_utc(built_at, "time of the build")
    ancestor = load_dataset(layout, parent) if parent is not None else None
    refs = log.segments()
    segments = [ref.digest for ref in refs]
    with project(log, segments) as projection, staging_directory(layout) as staged:
        snapshot = name_snapshot(refs, projection.n_traces)
        identity = DatasetIdentity(
            name=name,
            version=version,
            recipe=recipe,
            snapshot=snapshot.digest,
            parent=ancestor.key if ancestor else None,
            parent_digest=ancestor.digest if ancestor else None,
            built_at=built_at,
        )
        derivation = DatasetDerivation(log, projection, identity)
        with writing(staged):
            manifest = derivation.make(staged, QUIET, None)
        standing = _standing(layout, manifest)
        if standing is not None:
            return _report(standing, created=False)
        with store_lock(layout, "dataset build", waiting):
            standing = _standing(layout, manifest)
            if standing is not None:
                return _report(standing, created=False)
            save_snapshot(layout, snapshot)
            return _report(_publish(layout, manifest, staged), created=True)


def _standing(layout: Layout, manifest: DatasetManifest) -> Dataset | None:
    """Return the existing dataset under the key of a manifest, if it is the same one.

    Raises:
        DatasetExistsError: Another one has the key.
    """
    existing = datasets_of_key(layout, manifest.dataset_key)
    taken = sorted({dataset.digest for dataset in existing})
    if taken and taken != [manifest.digest]:
        raise DatasetExistsError(manifest.dataset_key, manifest.digest, taken)
    return existing[0] if existing else None


def load_dataset(layout: Layout, key: str) -> Dataset:
    """Return the dataset of a key.

    Raises:
        BadNameError: The text is not a key.
        DatasetNotFoundError: It does not exist.
        AmbiguousDatasetError: Several with different digests exist; the message lists them.
        DamagedError: A manifest does not match its name.
    """
    try:
        found = datasets_of_key(layout, key)
    except BadNameError as error:
        raise BadNameError(f"{error}{suggestion(key, _known_keys(layout))}", key) from None
    if not found:
        raise DatasetNotFoundError(key, _known_keys(layout))
    digests = sorted({dataset.digest for dataset in found})
    if len(digests) > 1:
        raise AmbiguousDatasetError(key, digests)
    # Manifests of one digest differ in the origin of the dataset. Which one is returned must not
    # depend on the order of a directory listing: `datasets_of_key` sorts them.
    return found[0]


def _known_keys(layout: Layout) -> list[str]:
    return sorted({dataset.key for dataset in list_datasets(layout)})


def list_datasets(layout: Layout) -> list[Dataset]:
    """Return every dataset, by key and directory; an ambiguous key is listed repeatedly.

    Raises:
        DamagedError: A manifest does not match its name.
    """
    return [
        _load(layout, path)
        for name in directories(layout.datasets, layout.root)
        for version in directories(name, layout.root)
        for path in directories(version, layout.root)
    ]


def datasets_of_key(layout: Layout, key: str) -> list[Dataset]:
    """Return every dataset of a key, by directory: several if branches built it separately.

    Raises:
        BadNameError: The text is not a key.
        DamagedError: A manifest does not match its name.
    """
    name, version = parse_key(key)
    paths = directories(layout.datasets / name / version, layout.root)
    return [_load(layout, path) for path in paths]


def _load(layout: Layout, path: Path) -> Dataset:
    manifest, findings = read_manifest(layout, path)
    if manifest is None or findings:
        raise DamagedError(findings[0])
    return Dataset(manifest, path)


def _publish(layout: Layout, manifest: DatasetManifest, staged: Path) -> Dataset:
    data = encode(manifest)
    path = layout.datasets / manifest.dataset_name / manifest.dataset_version
    path /= digest_bytes(data).removeprefix("sha256:")
    with writing(staged):
        (staged / MANIFEST_NAME).write_bytes(data)
    publish_directory(staged, path)
    return Dataset(manifest, path)


def _report(dataset: Dataset, *, created: bool) -> BuildReport:
    manifest = dataset.manifest
    return BuildReport(
        dataset_key=manifest.dataset_key,
        digest=manifest.digest,
        trace_count=manifest.trace_count,
        split_counts=manifest.split_counts,
        created=created,
        dataset=dataset,
    )
