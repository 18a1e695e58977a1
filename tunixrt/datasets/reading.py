"""Reads the traces of datasets: a snapshot is folded once for all that is derived from it."""

from __future__ import annotations

import itertools
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol, Self

from tunixrt.datasets.files import members
from tunixrt.log.snapshots import load_snapshot
from tunixrt.traces.payloads import MemberPayloads, OpenParts
from tunixrt.traces.schema import parse_payload

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Collection, Iterator, Sequence

    from tunixrt.datasets.files import Dataset
    from tunixrt.datasets.recipes import Split
    from tunixrt.datasets.selection import Member
    from tunixrt.log.digests import Digest
    from tunixrt.log.eventlog import EventLog
    from tunixrt.traces.schema import AnyTrace
    from tunixrt.traces.state import TraceState


#: Each is a table on disk. Datasets of one snapshot are read one after the other, so N is small.
_KEPT_FOLDS: Final = 4


class OmitReason(StrEnum):
    """Why a member of the dataset is not in what is derived from it."""

    OTHER_SPLIT = "in another split"
    REDACTED = "redacted"
    NOTHING_LEARNED = "no turn is learned"
    NO_STEP_LABELS = "no labels on its steps"


class Sink(Protocol):
    """A receiver of the traces of a dataset, one at a time.

    Attributes:
        split: the only split that it wants; None for all members.
        omitted: counts the members that it did not receive, by reason.
    """

    split: Split | None
    omitted: Counter[str]

    def add(self, state: TraceState, trace: AnyTrace, split: Split) -> None:
        """Receive one trace of a split; traces arrive in ascending order of their ids."""

    def add_redacted(self, trace: Digest) -> None:
        """Count a member of a split whose text is gone."""


class DatasetReader:
    """Reads datasets of one log, and caches the folds of the snapshots that were read last."""

    def __init__(self, log: EventLog) -> None:
        self.log = log
        self._parts = OpenParts(log)
        self._folds: dict[Digest, MemberPayloads] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the folds and close the files."""
        for folded in self._folds.values():
            folded.close()
        self._folds.clear()
        self._parts.close()

    def fold(self, snapshot: Digest) -> MemberPayloads:
        """Return the state of every trace at a snapshot, with the payloads that can be read.

        Raises:
            SnapshotNotFoundError: the snapshot does not exist here.
            DamagedError: it, or the log, does not match its digest.
        """
        folded = self._folds.pop(snapshot, None)
        if folded is None:
            segments = load_snapshot(self.log.layout, snapshot).segments
            if len(self._folds) >= _KEPT_FOLDS:
                self._folds.pop(next(iter(self._folds))).close()
            folded = MemberPayloads(self.log, segments, self._parts)
        self._folds[snapshot] = folded  # the last is the most recently used
        return folded

    def read(
        self, dataset: Dataset, splits: Collection[Split] | None = None
    ) -> Iterator[tuple[Member, TraceState, AnyTrace | None]]:
        """Yield the members of some splits with their traces; None for a redacted one.

        Raises:
            DamagedError: a file of the store does not match its digest.
        """
        wanted = (m for m in members(dataset) if splits is None or m.split in splits)
        listed, asked = itertools.tee(wanted)
        payloads = self.fold(dataset.manifest.snapshot).read(member.trace for member in asked)
        for member, (state, payload) in zip(listed, payloads, strict=True):
            yield member, state, None if payload is None else parse_payload(payload)

    def pour(self, dataset: Dataset, sinks: Sequence[Sink]) -> None:
        """Read a dataset once, and pass every trace to each sink that takes its split.

        Raises:
            DamagedError: a file of the store does not match its digest.
        """
        asked = {sink.split for sink in sinks}
        splits = None if None in asked else {split for split in asked if split is not None}
        for member, state, trace in self.read(dataset, splits):
            for sink in sinks:
                if sink.split not in (None, member.split):
                    continue
                if trace is None:
                    sink.add_redacted(state.id)
                else:
                    sink.add(state, trace, member.split)
        for sink in sinks:
            counts = dataset.manifest.split_counts.items()
            n_others = sum(n for split, n in counts if sink.split not in (None, split))
            if n_others:
                sink.omitted[OmitReason.OTHER_SPLIT] = n_others
