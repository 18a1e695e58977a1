"""Releases and deprecations of datasets: events by digest that merge and never refuse anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.making.locks import held
from tests.making.runs import made_store
from tests.making.traces import Place, merged
from tunixrt.datasets.building import DatasetNotFoundError
from tunixrt.datasets.releases import (
    DEPRECATED,
    RELEASED,
    ReasonError,
    ReleaseFact,
    ReleaseState,
)
from tunixrt.log.digests import digest_bytes
from tunixrt.log.lock import LockHeldError, Waiting
from tunixrt.log.segment.events import Envelope
from tunixrt.traces.times import TimeError

if TYPE_CHECKING:
    from pathlib import Path

    from tunixrt import Store

_RELEASED = ReleaseFact(ReleaseState.RELEASED)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return made_store(tmp_path / "a")


def _fact(store: Store, key: str = "sums-v1") -> ReleaseFact | None:
    return store.datasets.releases().of(store.datasets[key].digest)


def _deprecated(reason: str) -> ReleaseFact:
    return ReleaseFact(ReleaseState.DEPRECATED, reason)


def test_a_dataset_is_released_deprecated_and_released_again(store: Store) -> None:
    assert _fact(store) is None
    first = store.datasets.release("sums-v1", recorded_at="2026-01-31T12:00:00Z")
    assert (first.before, first.segment is not None) == (None, True)
    assert _fact(store) == _RELEASED
    second = store.datasets.deprecate("sums-v1", reason="leaks")
    assert second.before == _RELEASED
    assert _fact(store) == _deprecated("leaks")
    assert store.status().deprecated_datasets == {"sums-v1": "leaks"}
    assert store.status().released_datasets == []
    third = store.datasets.release("sums-v1")
    assert third.before == _deprecated("leaks")
    assert _fact(store) == _RELEASED
    assert store.status().released_datasets == ["sums-v1"]
    assert store.status().deprecated_datasets == {}
    assert store.verify().ok


def test_the_events_name_the_digest_and_nothing_else(store: Store) -> None:
    digest = store.datasets["sums-v1"].digest
    store.datasets.release("sums-v1")
    store.datasets.deprecate("sums-v1", reason="leaks")
    events = list(store.log.events_of(RELEASED, DEPRECATED))
    assert [(e.envelope.type, e.payload) for e in events] == [
        ("dataset.released", b'{"dataset":"%b"}' % digest.encode()),
        ("dataset.deprecated", b'{"dataset":"%b","reason":"leaks"}' % digest.encode()),
    ]


def test_the_same_members_under_another_key_have_the_same_state(store: Store) -> None:
    store.datasets.deprecate("sums-v1", reason="leaks")
    store.datasets.build("copied", "v1", splits={"test": "0.2"})
    assert _fact(store, "copied-v1") == _deprecated("leaks")
    assert list(store.status().deprecated_datasets) == ["copied-v1", "sums-v1"]
    store.datasets.build("others", "v1")
    assert _fact(store, "others-v1") is None


def test_what_the_log_states_already_is_not_recorded_again(store: Store) -> None:
    store.datasets.deprecate("sums-v1", reason="leaks")
    n = len(store.log.segments())
    assert store.datasets.deprecate("sums-v1", reason="leaks").segment is None
    assert len(store.log.segments()) == n
    assert store.datasets.deprecate("sums-v1", reason="leaks; use v2").segment is not None
    assert _fact(store) == _deprecated("leaks; use v2")


def test_branches_that_disagree_keep_both_events_until_one_decides(tmp_path: Path) -> None:
    stores = [made_store(tmp_path / name) for name in ("a", "b")]
    stores[0].datasets.release("sums-v1")
    stores[1].datasets.deprecate("sums-v1", reason="leaks")
    places = [Place(store.layout, store.log) for store in stores]
    merged(places[0], places[1])
    merged(places[1], places[0])
    facts = [_fact(store) for store in stores]
    # Both orders of the merge agree: the event that is last in the order of the log counts.
    last = list(stores[0].log.events_of(RELEASED, DEPRECATED))[-1].envelope.type
    assert facts[0] == facts[1]
    assert facts[0] == (_RELEASED if last == RELEASED else _deprecated("leaks"))
    for store in stores:
        assert store.status().disputed_releases == ["sums-v1"]
        assert store.verify().ok
    # Stating once more what counts already decides, too.
    if facts[0] == _RELEASED:
        decided = stores[0].datasets.release("sums-v1")
    else:
        decided = stores[0].datasets.deprecate("sums-v1", reason="leaks")
    assert decided.segment is not None
    assert stores[0].status().disputed_releases == []
    assert _fact(stores[0]) == facts[0]
    assert len(list(stores[0].log.events_of(RELEASED, DEPRECATED))) == 3


def test_two_reasons_are_no_conflict(tmp_path: Path) -> None:
    stores = [made_store(tmp_path / name) for name in ("a", "b")]
    for store, reason in zip(stores, ("leaks", "too short"), strict=True):
        store.datasets.deprecate("sums-v1", reason=reason)
    places = [Place(store.layout, store.log) for store in stores]
    merged(places[0], places[1])
    fact = _fact(stores[0])
    assert fact is not None
    assert fact.reason in {"leaks", "too short"}
    assert stores[0].status().disputed_releases == []


def test_what_cannot_be_stated_records_nothing(store: Store) -> None:
    n = len(store.log.segments())
    with pytest.raises(DatasetNotFoundError, match="sums-v1"):
        store.datasets.release("sums-v2")
    with pytest.raises(TimeError):
        store.datasets.release("sums-v1", recorded_at="now")
    for reason in ("", " ", "x" * 1001):
        with pytest.raises(ReasonError, match="1 to 1,000"):
            store.datasets.deprecate("sums-v1", reason=reason)
    with held(store.layout), pytest.raises(LockHeldError):
        store.datasets.release("sums-v1", waiting=Waiting(timeout_s=0.05))
    assert len(store.log.segments()) == n


def test_events_without_a_meaning_are_skipped(store: Store) -> None:
    digest = store.datasets["sums-v1"].digest.encode()
    payloads = {
        RELEASED: [b'{"dataset":"short"}', b'{"dataset":"%b","more":1}' % digest],
        DEPRECATED: [b'{"dataset":"%b"}' % digest, b"[]"],
    }
    store.log.append(
        (Envelope(type=kind, payload=digest_bytes(payload)), payload)
        for kind, several in payloads.items()
        for payload in several
    )
    store.log.append([(Envelope(type=RELEASED), None)])
    assert _fact(store) is None
