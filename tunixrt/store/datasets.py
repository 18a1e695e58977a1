"""The datasets of a store: building them, and reading them as rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec

from tunixrt.datasets.building import (
    BuildReport,
    DatasetNotFoundError,
    build_dataset,
    list_datasets,
    load_dataset,
)
from tunixrt.datasets.exports import (
    ExportFormat,
    ExportReport,
    export_dataset,
    export_lines,
    parse_export_format,
)
from tunixrt.datasets.files import Dataset, members
from tunixrt.datasets.names import BadNameError
from tunixrt.datasets.recipes import Split, make_recipe
from tunixrt.datasets.releases import read_releases, state_release
from tunixrt.errors import BadInputError
from tunixrt.extras import MissingPackageError
from tunixrt.log.eventlog import EventLog  # noqa: TC001 - msgspec reads the annotation
from tunixrt.log.outputs import output_file
from tunixrt.store.snapshots import trace_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from decimal import Decimal

    from tunixrt.datasets.diff import DatasetDiff, MemberChange
    from tunixrt.datasets.member_proofs import MemberProof
    from tunixrt.datasets.releases import Releases, ReleaseStated
    from tunixrt.datasets.selection import Member
    from tunixrt.log.layout import Layout
    from tunixrt.log.lock import Waiting
    from tunixrt.runs.dataset_lineage import DatasetLineage


class StoredDataset(Dataset, frozen=True):
    """A dataset with the log that holds its traces."""

    log: EventLog

    def __repr__(self) -> str:
        counts = ", ".join(f"{n:,} {split}" for split, n in self.manifest.split_counts.items())
        return f"<dataset {self.key} ({counts}) {self.digest[:19]}>"

    def __len__(self) -> int:
        return self.manifest.trace_count

    def members(self) -> Iterator[Member]:
        """The members (trace id and split), in ascending order of their ids."""
        return members(self)

    def rows(
        self,
        export_format: str = ExportFormat.TUNIX_SFT,
        *,
        split: str = Split.TRAIN,
        system: str | None = None,
    ) -> Iterator[dict[str, Any]]:
        """The rows of an export as dictionaries, one at a time; what `export` writes as lines.

        Args:
            export_format: ``trace``, ``tunix_sft`` or ``training_example``.
            split: ``train``, ``validation``, ``test``; or ``all``: then each row names its split.
            system: a system instruction, put before every prompt.

        Raises:
            ExportError: there is no such format or split, or nothing is in the split.
        """
        shape = parse_export_format(export_format)
        lines = export_lines(self.log, self, shape, split=split, system=system)
        return (msgspec.json.decode(line) for line in lines)

    def export(
        self,
        out: Path | str | BinaryIO,
        export_format: str,
        *,
        split: str = Split.TRAIN,
        system: str | None = None,
    ) -> ExportReport:
        """Write a split as text that other tools read; the same bytes every time.

        Args:
            out: a path, which is replaced when the export is complete; or an open binary file.
            export_format: as for `rows`.
            split: as for `rows`.
            system: as for `rows`.

        Raises:
            ExportError: there is no such format or split, or nothing is in the split.
            OutputPathError: the path cannot be written.
        """
        shape = parse_export_format(export_format)
        if isinstance(out, Path | str):
            with output_file(Path(out)) as file:
                return export_dataset(self.log, self, shape, file, split=split, system=system)
        return export_dataset(self.log, self, shape, out, split=split, system=system)

    def arrow(
        self,
        export_format: str = ExportFormat.TUNIX_SFT,
        *,
        split: str = Split.TRAIN,
        system: str | None = None,
    ) -> Any:
        """The rows of an export as a `pyarrow.Table`, which `datasets` and pandas take.

        A column of metadata is JSON text: the keys of traces differ, and so do their types.

        Raises:
            MissingPackageError: pyarrow is not installed.
            ExportError: as for `rows`.
        """
        try:
            import pyarrow as pa
        except ImportError:
            raise MissingPackageError("An Arrow table", "pyarrow") from None
        rows = self.rows(export_format, split=split, system=system)
        return pa.Table.from_pylist([_flat(row) for row in rows])


class Datasets:
    """The datasets of a store by key, ``NAME-VERSION``; iterating yields them in that order."""

    def __init__(self, layout: Layout, log: EventLog) -> None:
        """The datasets of a store."""
        self._layout, self._log = layout, log

    def __repr__(self) -> str:
        return f"<datasets of {self._layout.root}>"

    def __iter__(self) -> Iterator[StoredDataset]:
        return map(self._stored, list_datasets(self._layout))

    def __len__(self) -> int:
        return len(list_datasets(self._layout))

    def __getitem__(self, key: str) -> StoredDataset:
        """One dataset by its key.

        Raises:
            DatasetNotFoundError: there is none of that key.
            AmbiguousDatasetError: branches built different datasets under it.
        """
        return self._stored(load_dataset(self._layout, key))

    def __contains__(self, key: object) -> bool:
        """Whether there is a dataset of this key."""
        try:
            return isinstance(key, str) and self[key] is not None
        except (DatasetNotFoundError, BadNameError):
            return False

    def build(
        self,
        name: str,
        version: str,
        *,
        where: Mapping[str, str] | None = None,
        limit: int | None = None,
        strategy: str = "latest",
        seed: int | None = None,
        splits: Mapping[str, str | float | Decimal] | None = None,
        built_at: str | None = None,
        parent: str | None = None,
        waiting: Waiting | None = None,
    ) -> BuildReport:
        """Select traces into the dataset ``name-version`` and take the snapshot it depends on.

        Args:
            name: of the dataset.
            version: of the dataset; the key is ``name-version``.
            where: metadata and labels (``label.NAME``) that a trace must have, as text.
            limit: how many traces at most.
            strategy: which are taken where a limit leaves some out: ``latest`` or ``random``.
            seed: what a random selection and the splits come from.
            splits: the fractions of ``test`` and ``validation``; the rest is ``train``.
            built_at: an RFC 3339 time for the manifest.
            parent: the key of the dataset that this one follows.
            waiting: how long to wait for the lock of the store.

        Raises:
            RecipeError: the selection makes no sense, or selects nothing.
            DatasetExistsError: the key is taken by a dataset with another digest.
        """
        recipe = make_recipe(
            filters=where, selection_strategy=strategy, limit=limit, seed=seed, splits=splits
        )
        report = build_dataset(
            self._layout,
            self._log,
            name,
            version,
            recipe,
            built_at=built_at,
            parent=parent,
            waiting=waiting,
        )
        return msgspec.structs.replace(report, dataset=self._stored(report.dataset))

    def release(
        self, key: str, *, recorded_at: str | None = None, waiting: Waiting | None = None
    ) -> ReleaseStated:
        """Record that a dataset is released, which ends a deprecation.

        Raises:
            DatasetNotFoundError, AmbiguousDatasetError: as for ``datasets[key]``.
        """
        return state_release(self._layout, self._log, key, recorded_at=recorded_at, waiting=waiting)

    def deprecate(
        self,
        key: str,
        *,
        reason: str,
        recorded_at: str | None = None,
        waiting: Waiting | None = None,
    ) -> ReleaseStated:
        """Record that a dataset should not be used any more; whatever uses it still works.

        Raises:
            DatasetNotFoundError, AmbiguousDatasetError: as for ``datasets[key]``.
            ReasonError: the reason is empty or too long.
        """
        return state_release(
            self._layout,
            self._log,
            key,
            deprecated=reason,
            recorded_at=recorded_at,
            waiting=waiting,
        )

    def releases(self) -> Releases:
        """Which datasets are released or deprecated."""
        return read_releases(self._log)

    def lineage(self, key: str) -> DatasetLineage:
        """The parents of a dataset, and the datasets and training runs that came from it."""
        from tunixrt.runs.catalogue import Catalogue
        from tunixrt.runs.dataset_lineage import lineage_of

        return lineage_of(Catalogue(self._layout), self._log, self[key])

    def diff(
        self, a: str, b: str, on_change: Callable[[MemberChange], None] | None = None
    ) -> DatasetDiff:
        """How dataset ``b`` differs from ``a``: in traces and in their splits."""
        from tunixrt.datasets.diff import diff_datasets

        return diff_datasets(self[a], self[b], on_change)

    def prove(self, trace: str, dataset: str) -> MemberProof:
        """Prove that a dataset lists a trace.

        Raises:
            NotAMemberError: it does not list it.
        """
        from tunixrt.datasets.member_proofs import prove_member

        return prove_member(self[dataset], trace_digest(self._log, trace))

    def _stored(self, dataset: Dataset) -> StoredDataset:
        return StoredDataset(dataset.manifest, dataset.path, self._log)


def dataset_key(dataset: str | Dataset | BuildReport) -> str:
    """The key of a dataset that is given as a key, as itself, or as what `build` returned."""
    if isinstance(dataset, str):
        return dataset
    found = dataset.dataset if isinstance(dataset, BuildReport) else dataset
    if isinstance(found, Dataset):
        return found.key
    raise BadInputError(f"A dataset is given by its key, such as gsm-v1; found {found!r}.")


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value if key not in {"meta", "metadata"} else msgspec.json.encode(value).decode()
        for key, value in row.items()
    }
