"""What a dataset comes from and what came from it: parents, children, trainings.

Manifests name what they were made from, by digest; the other direction is found by reading the
manifests of the store, so it shows what is here, and nothing of other branches.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import msgspec

from tunixrt.errors import TunixrtError
from tunixrt.log.digests import Digest
from tunixrt.runs.directories import list_run_ids
from tunixrt.runs.manifests import TrainingManifest
from tunixrt.runs.promotions import read_promotions
from tunixrt.runs.run import Run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunixrt.datasets.files import Dataset
    from tunixrt.log.eventlog import EventLog
    from tunixrt.log.layout import Layout
    from tunixrt.runs.catalogue import Catalogue


class DatasetRef(msgspec.Struct, frozen=True, order=True):
    """A related dataset: its key, its digest, and whether it is in this store."""

    dataset_key: str
    digest: Digest
    is_here: bool


class TrainedRun(msgspec.Struct, frozen=True):
    """A training run, with the names that it was promoted to."""

    run_id: str
    names: list[str]


class DatasetLineage(msgspec.Struct, frozen=True):
    """Where a dataset comes from, and what came from it.

    Attributes:
        parents: The datasets that its manifests name as parent; none for most.
        children: The datasets here that name it as their parent, by key.
        runs: The runs here that were trained on it, by id.
    """

    parents: list[DatasetRef]
    children: list[DatasetRef]
    runs: list[TrainedRun]


def lineage_of(catalogue: Catalogue, log: EventLog, dataset: Dataset) -> DatasetLineage:
    """Return the lineage of a dataset by its digest, whatever the keys are now.

    A parent that has another key now is listed with the key that the manifest names. Of several
    manifests of one digest, such as those that branches built, every parent is listed.

    Raises:
        DamagedError: The log is damaged.
    """
    digests = {known.digest for known in catalogue.datasets}
    parents = {
        DatasetRef(
            manifest.parent_dataset_id,
            manifest.parent_digest,
            is_here=manifest.parent_digest in digests,
        )
        for manifest in (known.manifest for known in catalogue.datasets)
        if manifest.digest == dataset.digest
        and manifest.parent_dataset_id is not None
        and manifest.parent_digest is not None
    }
    children = {
        DatasetRef(known.key, known.digest, is_here=True)
        for known in catalogue.datasets
        if known.manifest.parent_digest == dataset.digest
    }
    promotions = read_promotions(log)
    return DatasetLineage(
        parents=sorted(parents),
        children=sorted(children),
        runs=[
            TrainedRun(run.run_id, promotions.names_of(run.run_id))
            for run in _trainings(catalogue.layout)
            if run.identity.dataset == dataset.digest
        ],
    )


def _trainings(layout: Layout) -> Iterator[TrainingManifest]:
    """Yield the trainings whose manifests can be read: a damaged run does not hide the others."""
    for run_id in list_run_ids(layout):
        # `verify` reports what cannot be read, and why.
        with contextlib.suppress(TunixrtError):
            manifest = Run.of(layout, run_id).manifest
            if isinstance(manifest, TrainingManifest):
                yield manifest
