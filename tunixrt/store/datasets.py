"""The datasets of a store: building, comparing, releasing and finding them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tunixrt.datasets.building import (
    BuildReport,
    DatasetNotFoundError,
    build_dataset,
    list_datasets,
    load_dataset,
)
from tunixrt.datasets.expressions.where import parse_where
from tunixrt.datasets.files import Dataset
from tunixrt.datasets.names import BadNameError
from tunixrt.datasets.recipes import make_recipe
from tunixrt.datasets.releases import read_releases, state_release
from tunixrt.errors import BadInputError
from tunixrt.log.eventlog import EventLog  # noqa: TC001 - msgspec reads the annotation
from tunixrt.store.snapshots import trace_digest
from tunixrt.store.stored_dataset import StoredDataset
from tunixrt.store.stored_trace import StoredTrace
from tunixrt.traces.saved_index import find_saved

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from decimal import Decimal

    from tunixrt.datasets.diff import DatasetDiff, MemberChange
    from tunixrt.datasets.member_proofs import MemberProof
    from tunixrt.datasets.releases import Releases, ReleaseStated
    from tunixrt.log.digests import Digest
    from tunixrt.log.layout import Layout
    from tunixrt.log.lock import Waiting
    from tunixrt.runs.dataset_lineage import DatasetLineage
    from tunixrt.traces.schema import Trace


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
            DatasetNotFoundError: no dataset has that key.
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
        where: Mapping[str, str] | Iterable[str] | str | None = None,
        sql: str | None = None,
        limit: int | None = None,
        strategy: str = "latest",
        seed: int | None = None,
        splits: Mapping[str, str | float | Decimal] | None = None,
        group_by: str | None = None,
        stratify: str | None = None,
        dedupe: str | None = None,
        built_at: str | None = None,
        parent: str | None = None,
        waiting: Waiting | None = None,
    ) -> BuildReport:
        """Select traces into the dataset ``name-version`` and take the snapshot it depends on.

        Args:
            name: of the dataset.
            version: of the dataset; the key is ``name-version``.
            where: an expression that a trace must match, several texts as ``--where`` takes them,
                or a mapping of metadata and labels (``label.NAME``) to their texts.
            sql: a query over the views ``traces``, ``labels`` and ``scores`` that returns ids.
            limit: how many traces at most.
            strategy: which are taken where a limit leaves some out: ``latest`` or ``random``.
            seed: what a random selection and the splits come from.
            splits: the fractions of ``test`` and ``validation``; the rest is ``train``.
            group_by: the field whose values share a split, such as ``meta.problem``.
            stratify: the field for whose values the manifest counts the splits.
            dedupe: leaves out traces that repeat an earlier one: ``prompt``, ``normalised`` or
                ``near:THRESHOLD``; `duplicates` of the dataset names what each repeats.
            built_at: an RFC 3339 time for the manifest.
            parent: the key of the dataset that this one follows.
            waiting: how long to wait for the lock of the store.

        Raises:
            RecipeError: the selection makes no sense, or selects nothing.
            ExpressionError: a text is not an expression.
            SqlError: the query may not be run, or fails.
            DedupeError: the rule for duplicates does not exist.
            DatasetExistsError: the key is taken by a dataset with another digest.
        """
        asked = parse_where(where)
        recipe = make_recipe(
            filters=asked.filters,
            where=asked.text,
            sql=sql,
            selection_strategy=strategy,
            limit=limit,
            seed=seed,
            splits=splits,
            group_by=group_by,
            stratify=stratify,
            dedupe=dedupe,
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
        """Report how dataset ``b`` differs from ``a``: in traces, in their splits, and why."""
        from tunixrt.datasets.diff import diff_datasets
        from tunixrt.datasets.reading import DatasetReader

        with DatasetReader(self._log) as reader:
            return diff_datasets(reader, self[a], self[b], on_change)

    def diff_markdown(
        self, a: str, b: str, found: DatasetDiff, changes: Sequence[MemberChange]
    ) -> str:
        """Return a difference as Markdown for a pull request.

        Args:
            a: the first dataset.
            b: the second.
            found: their difference, as `diff` returned it.
            changes: those to list.
        """
        from tunixrt.report.dataset_diff import ShownChange, diff_document
        from tunixrt.report.markdown import render_markdown

        def flat(trace: Digest | None) -> Trace | None:
            if trace is None:
                return None
            stored = StoredTrace(self._log, find_saved(self._log, trace))
            return stored.flat if stored.is_readable else None

        shown = [ShownChange(c, flat(c.trace), flat(c.superseded_by)) for c in changes]
        return render_markdown(diff_document(self[a], self[b], found, shown))

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
