"""Two datasets are compared by merging their sorted member lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from tests.making.traces import trace
from tunixrt.datasets.building import build_dataset
from tunixrt.datasets.diff import DatasetDiff, MemberChange, Reason, _merged, diff_datasets
from tunixrt.datasets.reading import DatasetReader
from tunixrt.datasets.recipes import Split, make_recipe
from tunixrt.datasets.selection import Member
from tunixrt.jobs.redact import redact_traces
from tunixrt.log.digests import from_hex
from tunixrt.traces.stating import label, retract, supersede

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.making.traces import Place
    from tunixrt.datasets.files import Dataset

_LISTS = st.dictionaries(st.integers(0, 30), st.sampled_from([Split.TRAIN, Split.TEST]))


@given(_LISTS, _LISTS)
def test_every_trace_of_either_comes_once_in_order(
    a: dict[int, Split], b: dict[int, Split]
) -> None:
    def listed(splits: dict[int, Split]) -> list[Member]:
        return [Member(split=splits[n], trace=from_hex(f"{n:064x}")) for n in sorted(splits)]

    expected = [MemberChange(from_hex(f"{n:064x}"), a.get(n), b.get(n)) for n in sorted({*a, *b})]
    assert list(_merged(iter(listed(a)), iter(listed(b)))) == expected


def difference(
    place: Place, a: Dataset, b: Dataset, on_change: Callable[[MemberChange], None] | None = None
) -> DatasetDiff:
    with DatasetReader(place.log) as reader:
        return diff_datasets(reader, a, b, on_change)


def test_added_removed_and_moved_traces_are_counted_by_split(place: Place) -> None:
    ids = place.record(*(trace(f"{n}?") for n in range(40)))
    first = build_dataset(place.layout, place.log, "d", "v1", make_recipe()).dataset
    retract(place.log, ids[:3])
    place.record(trace("new?"))
    recipe = make_recipe(splits={"test": "0.5"}, seed=1)
    second = build_dataset(place.layout, place.log, "d", "v2", recipe).dataset
    changes: list[MemberChange] = []
    found = difference(place, first, second, changes.append)
    assert found.removed == {"train": 3}
    assert sum(found.added.values()) == 1
    assert list(found.moved) == ["train -> test"]
    assert found.n_same == 37 - found.moved["train -> test"]
    assert not found.same_recipe
    assert len(changes) == 4 + found.moved["train -> test"]
    assert [c.trace for c in changes] == sorted(c.trace for c in changes)
    same = difference(place, first, first)
    assert (same.n_same, same.added, same.removed, same.moved) == (40, {}, {}, {})
    assert same.same_recipe


def test_each_trace_that_one_dataset_does_not_list_comes_with_the_reason(place: Place) -> None:
    kept, gone, old, secret, other = place.record(*(trace(f"{n}?") for n in range(5)))
    label(place.log, [kept, gone, old, secret], {"use": "yes"})
    label(place.log, [other], {"use": "no"})
    chosen = make_recipe(filters={"label.use": "yes"})
    first = build_dataset(place.layout, place.log, "d", "v1", chosen).dataset
    (new,) = place.record(trace("new?"))
    label(place.log, [new, other], {"use": "yes"})
    retract(place.log, [gone])
    supersede(place.log, [old], new)
    redact_traces(place.layout, place.log, [secret], reason="asked to")
    second = build_dataset(place.layout, place.log, "d", "v2", chosen).dataset
    changes: dict[str, MemberChange] = {}
    found = difference(place, first, second, lambda c: changes.update({c.trace: c}))
    assert {trace: change.reason for trace, change in changes.items()} == {
        gone: Reason.RETRACTED,
        old: Reason.SUPERSEDED,
        secret: Reason.REDACTED,
        new: Reason.UNKNOWN,
        other: Reason.NOT_SELECTED,
    }
    assert changes[old].superseded_by == new
    assert changes[gone].superseded_by is None
    assert found.removed_because == {"redacted": 1, "retracted": 1, "superseded": 1}
    assert found.added_because == {"not recorded yet": 1, "not selected by the recipe": 1}
    assert (found.n_same, found.removed, found.added) == (1, {"train": 3}, {"train": 2})
    narrow = make_recipe(filters={"label.use": "yes"}, limit=1)
    third = build_dataset(place.layout, place.log, "d", "v3", narrow).dataset
    assert difference(place, second, third).removed_because == {"not selected by the recipe": 2}
