"""Two datasets are compared by merging their sorted member lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from tests.making.traces import trace
from tunixrt.datasets.building import build_dataset
from tunixrt.datasets.diff import MemberChange, _merged, diff_datasets
from tunixrt.datasets.recipes import Split, make_recipe
from tunixrt.datasets.selection import Member
from tunixrt.log.digests import from_hex
from tunixrt.traces.stating import retract

if TYPE_CHECKING:
    from tests.making.traces import Place

_LISTS = st.dictionaries(st.integers(0, 30), st.sampled_from([Split.TRAIN, Split.TEST]))


@given(_LISTS, _LISTS)
def test_every_trace_of_either_comes_once_in_order(
    a: dict[int, Split], b: dict[int, Split]
) -> None:
    def listed(splits: dict[int, Split]) -> list[Member]:
        return [Member(split=splits[n], trace=from_hex(f"{n:064x}")) for n in sorted(splits)]

    expected = [MemberChange(from_hex(f"{n:064x}"), a.get(n), b.get(n)) for n in sorted({*a, *b})]
    assert list(_merged(iter(listed(a)), iter(listed(b)))) == expected


def test_added_removed_and_moved_traces_are_counted_by_split(place: Place) -> None:
    ids = place.record(*(trace(f"{n}?") for n in range(40)))
    first = build_dataset(place.layout, place.log, "d", "v1", make_recipe()).dataset
    retract(place.log, ids[:3])
    place.record(trace("new?"))
    recipe = make_recipe(splits={"test": "0.5"}, seed=1)
    second = build_dataset(place.layout, place.log, "d", "v2", recipe).dataset
    changes: list[MemberChange] = []
    found = diff_datasets(first, second, changes.append)
    assert found.removed == {"train": 3}
    assert sum(found.added.values()) == 1
    assert list(found.moved) == ["train -> test"]
    assert found.n_same == 37 - found.moved["train -> test"]
    assert not found.same_recipe
    assert len(changes) == 4 + found.moved["train -> test"]
    assert [c.trace for c in changes] == sorted(c.trace for c in changes)
    same = diff_datasets(first, first)
    assert (same.n_same, same.added, same.removed, same.moved) == (40, {}, {}, {})
    assert same.same_recipe
