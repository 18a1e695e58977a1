"""Two datasets side by side: two sorted lists of members, merged in bounded memory."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from tunixrt.datasets.files import members
from tunixrt.log.digests import Digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tunixrt.datasets.files import Dataset
    from tunixrt.datasets.selection import Member


class MemberChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A trace that two datasets list differently: its split in each, None if it is not listed."""

    trace: Digest
    a: str | None
    b: str | None


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
    """

    a: Digest
    b: Digest
    same_recipe: bool
    n_same: int
    added: dict[str, int]
    removed: dict[str, int]
    moved: dict[str, int]


def diff_datasets(
    a: Dataset, b: Dataset, on_change: Callable[[MemberChange], None] | None = None
) -> DatasetDiff:
    """Return the differences of two datasets.

    Args:
        a: The first.
        b: The second.
        on_change: Receives each trace that they list differently, in ascending order of ids.

    Raises:
        DamagedError: A member line is damaged.
    """
    n_same = 0
    added, removed, moved = Counter[str](), Counter[str](), Counter[str]()
    for change in _merged(members(a), members(b)):
        if change.a == change.b:
            n_same += 1
            continue
        if change.a is None:
            added[str(change.b)] += 1
        elif change.b is None:
            removed[change.a] += 1
        else:
            moved[f"{change.a} -> {change.b}"] += 1
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
