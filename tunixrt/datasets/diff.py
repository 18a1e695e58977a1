"""Two datasets side by side: two sorted lists of members, merged in bounded memory.

For each trace that only one of them lists, the reason is found in the snapshot of the other: a
trace of A is not in B because it was retracted, superseded or redacted there, because B was built
without it or left it out as a duplicate, or because the recipe of B does not select it.
"""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec

from tunixrt.datasets.files import duplicates, members
from tunixrt.log.digests import Digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tunixrt.datasets.files import Dataset
    from tunixrt.datasets.reading import DatasetReader
    from tunixrt.datasets.selection import Member


class Reason(StrEnum):
    """Why one of two datasets does not list a trace that the other one lists."""

    UNKNOWN = "not recorded yet"
    RETRACTED = "retracted"
    SUPERSEDED = "superseded"
    REDACTED = "redacted"
    DUPLICATE = "duplicate"
    NOT_SELECTED = "not selected by the recipe"


class MemberChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A trace that two datasets list differently.

    Attributes:
        trace: its id.
        a: its split in A, None if A does not list it.
        b: its split in B, None if B does not list it.
        reason: why the other one does not list it; None if both do.
        superseded_by: the trace that takes its place, if it was superseded.
        duplicate_of: the trace that it repeats, if the other one left it out for that.
    """

    trace: Digest
    a: str | None
    b: str | None
    reason: Reason | None = None
    superseded_by: Digest | None = None
    duplicate_of: Digest | None = None


class DatasetDiff(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The differences of dataset B from dataset A.

    Attributes:
        a: The digest of A.
        b: The digest of B.
        same_recipe: Whether both were selected by one recipe.
        n_same: How many traces both list in the same split.
        added: How many traces only B lists, by split.
        removed: How many traces only A lists, by split.
        moved: How many traces changed the split, by ``A -> B``.
        added_because: Why A does not list the added ones, by reason.
        removed_because: Why B does not list the removed ones, by reason.
    """

    a: Digest
    b: Digest
    same_recipe: bool
    n_same: int
    added: dict[str, int]
    removed: dict[str, int]
    moved: dict[str, int]
    added_because: dict[str, int]
    removed_because: dict[str, int]


def diff_datasets(
    reader: DatasetReader,
    a: Dataset,
    b: Dataset,
    on_change: Callable[[MemberChange], None] | None = None,
) -> DatasetDiff:
    """Return the differences of two datasets; a snapshot is folded only if a reason needs it.

    Args:
        reader: Reads the log of both.
        a: The first.
        b: The second.
        on_change: Receives each trace that they list differently, in ascending order of ids.

    Raises:
        DamagedError: A member line or the log is damaged.
        SnapshotNotFoundError: A snapshot does not exist here.
    """
    n_same = 0
    explain_a, explain_b = _Explanations(reader, a), _Explanations(reader, b)
    added, removed, moved = Counter[str](), Counter[str](), Counter[str]()
    added_because, removed_because = Counter[str](), Counter[str]()
    for merged in _merged(members(a), members(b)):
        if merged.a == merged.b:
            n_same += 1
            continue
        change = merged
        if merged.a is None:
            change = explain_a(merged)
            added[str(change.b)] += 1
            added_because[str(change.reason)] += 1
        elif merged.b is None:
            change = explain_b(merged)
            removed[merged.a] += 1
            removed_because[str(change.reason)] += 1
        else:
            moved[f"{merged.a} -> {merged.b}"] += 1
        if on_change is not None:
            on_change(change)
    return DatasetDiff(
        a=a.digest,
        b=b.digest,
        same_recipe=a.manifest.recipe == b.manifest.recipe,
        n_same=n_same,
        added=dict(sorted(added.items())),
        removed=dict(sorted(removed.items())),
        moved=dict(sorted(moved.items())),
        added_because=dict(sorted(added_because.items())),
        removed_because=dict(sorted(removed_because.items())),
    )


class _Explanations:
    """Why one dataset does not list the traces that another one lists."""

    def __init__(self, reader: DatasetReader, dataset: Dataset) -> None:
        self._reader, self._dataset = reader, dataset

    @cached_property
    def _repeats(self) -> dict[Digest, Digest]:
        return {one.trace: one.duplicate_of for one in duplicates(self._dataset)}

    def __call__(self, change: MemberChange) -> MemberChange:
        """Return a change with the reason for which the dataset does not list the trace."""
        snapshot = self._dataset.manifest.snapshot
        state = self._reader.fold(snapshot).projection.get(change.trace)
        by, original = None, None
        if state is None or state.place is None:
            reason = Reason.UNKNOWN
        elif state.redacted:
            reason = Reason.REDACTED
        elif state.retracted:
            reason = Reason.RETRACTED
        elif state.superseded_by is not None:
            reason, by = Reason.SUPERSEDED, state.superseded_by
        elif change.trace in self._repeats:
            reason, original = Reason.DUPLICATE, self._repeats[change.trace]
        else:
            reason = Reason.NOT_SELECTED
        return msgspec.structs.replace(
            change, reason=reason, superseded_by=by, duplicate_of=original
        )


def _merged(a: Iterator[Member], b: Iterator[Member]) -> Iterator[MemberChange]:
    left, right = next(a, None), next(b, None)
    while left is not None or right is not None:
        if right is None or (left is not None and left.trace < right.trace):
            assert left is not None
            yield MemberChange(left.trace, left.split, None)
            left = next(a, None)
        elif left is None or right.trace < left.trace:
            yield MemberChange(right.trace, None, right.split)
            right = next(b, None)
        else:
            yield MemberChange(left.trace, left.split, right.split)
            left, right = next(a, None), next(b, None)
