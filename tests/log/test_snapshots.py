from __future__ import annotations

import hashlib
import tempfile
from typing import TYPE_CHECKING, Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.making.events import trace, trace_id, traces, tree
from tests.making.golden import GOLDEN_SNAPSHOT, GOLDEN_SNAPSHOT_NAME
from tunixrt.errors import ExitCode
from tunixrt.log.canonical import encode
from tunixrt.log.census import Buckets, Census
from tunixrt.log.digests import Digest, digest_bytes, from_hex
from tunixrt.log.files import ImmutableFileError, WriteError
from tunixrt.log.layout import Layout
from tunixrt.log.segment.events import RECORDED, Envelope, StoredEvent
from tunixrt.log.segment.header import DamagedError
from tunixrt.log.snapshots import (
    SNAPSHOT_FORMAT,
    Snapshot,
    SnapshotNotFoundError,
    list_snapshots,
    load_snapshot,
    save_snapshot,
    take_snapshot,
    verify_snapshots,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tunixrt.log.eventlog import EventLog


# The same snapshot stands in docs/format.md: two segments of three events, two traces.
GOLDEN_SEGMENTS = (from_hex("00" * 32), from_hex("11" * 32))


def test_a_snapshot_is_written_as_the_format_page_says(tmp_path: Path) -> None:
    root = Digest("sha256:8ab671c69294e69917042ed794e5ea9dda18710ca307a65b986226344b87552a")
    snapshot = Snapshot(SNAPSHOT_FORMAT, 3, 2, 2, root, GOLDEN_SEGMENTS)
    digest = save_snapshot(Layout(tmp_path), snapshot)
    assert tree(tmp_path) == {f"store/snapshots/{GOLDEN_SNAPSHOT_NAME}.json": GOLDEN_SNAPSHOT}
    assert digest == from_hex(GOLDEN_SNAPSHOT_NAME)
    assert load_snapshot(Layout(tmp_path), digest) == snapshot


def test_the_digests_of_the_golden_snapshot_follow_from_its_bytes() -> None:
    leaves = [hashlib.sha256(b"\x00" + bytes([byte]) * 32).digest() for byte in (0x00, 0x11)]
    root = hashlib.sha256(b"\x01" + leaves[0] + leaves[1]).hexdigest()
    fields: dict[str, Any] = {
        "format": "tunixrt-snapshot-1",
        "n_events": 3,
        "n_segments": 2,
        "n_traces": 2,
        "root": f"sha256:{root}",
    }
    assert hashlib.sha256(rfc8785.dumps(fields)).hexdigest() == GOLDEN_SNAPSHOT_NAME


def test_a_snapshot_names_all_segments_and_counts_traces_once(log: EventLog) -> None:
    empty = take_snapshot(log)
    assert (empty.n_events, empty.n_segments, empty.n_traces, empty.segments) == (0, 0, 0, ())
    assert empty.root == digest_bytes(b"")
    first = log.append(traces(1, 2, 2))
    second = log.append([trace(2), (Envelope("trace.retracted", trace=trace_id(1)), None)])
    snapshot = take_snapshot(log)
    assert first is not None
    assert second is not None
    assert snapshot.segments == tuple(sorted((first, second)))
    assert (snapshot.n_events, snapshot.n_segments, snapshot.n_traces) == (5, 2, 2)
    assert snapshot.digest != empty.digest


def test_taking_a_snapshot_writes_nothing_and_saving_it_twice_writes_once(log: EventLog) -> None:
    log.append(traces(1))
    before = tree(log.layout.root)
    snapshot = take_snapshot(log)
    assert tree(log.layout.root) == before
    assert list_snapshots(log.layout) == []
    assert save_snapshot(log.layout, snapshot) == snapshot.digest
    after = tree(log.layout.root)
    assert save_snapshot(log.layout, snapshot) == snapshot.digest
    assert tree(log.layout.root) == after
    assert list_snapshots(log.layout) == [snapshot.digest]
    assert load_snapshot(log.layout, snapshot.digest) == snapshot
    assert list(verify_snapshots(log.layout)) == []


def test_old_snapshots_stay_true_while_the_log_grows(log: EventLog) -> None:
    for n in range(4):
        log.append(traces(n, n + 1))
        save_snapshot(log.layout, take_snapshot(log))
    assert len(list_snapshots(log.layout)) == 4
    assert [
        load_snapshot(log.layout, digest).n_traces for digest in list_snapshots(log.layout)
    ].count(5) == 1
    assert list(verify_snapshots(log.layout)) == []


def test_a_snapshot_that_is_not_there_gets_a_sentence(log: EventLog) -> None:
    with pytest.raises(SnapshotNotFoundError, match="The snapshot sha256:00") as caught:
        load_snapshot(log.layout, from_hex("00" * 32))
    assert caught.value.exit_code == ExitCode.BAD_INPUT
    assert caught.value.digest == from_hex("00" * 32)


def test_a_damaged_snapshot_is_not_loaded(log: EventLog) -> None:
    log.append(traces(1))
    digest = save_snapshot(log.layout, take_snapshot(log))
    path = log.layout.snapshot(digest)
    path.write_bytes(path.read_bytes().replace(b'"n_events":1', b'"n_events":2'))
    with pytest.raises(DamagedError, match="The name of the snapshot is not the digest"):
        load_snapshot(log.layout, digest)
    path.write_bytes(b"{")
    with pytest.raises(DamagedError, match="This is not a snapshot"):
        load_snapshot(log.layout, digest)
    with pytest.raises(ImmutableFileError):
        save_snapshot(log.layout, take_snapshot(log))


def test_a_damaged_log_stops_the_counting_with_a_sentence(log: EventLog) -> None:
    segment = log.append(traces(1))
    assert segment is not None
    digest = save_snapshot(log.layout, take_snapshot(log))
    (log.layout.segment(segment) / "0000.jsonl").write_bytes(b"")
    (finding,) = verify_snapshots(log.layout)
    assert finding.path == log.layout.relative(log.layout.snapshot(digest))
    assert "because the log is damaged: store/log/" in finding.problem


def _event(trace_number: int, segment: int) -> StoredEvent:
    return StoredEvent(
        Envelope(RECORDED, payload=digest_bytes(b"%d" % trace_number)),
        None,
        digest_bytes(b"segment %d" % segment),
        0,
        "0000.jsonl",
        1,
        0,
        4,
    )


@settings(deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 30), max_size=20), max_size=6),
    st.sets(st.integers(0, 7)),
    st.sampled_from([1, 100, 10**9]),
)
def test_a_census_counts_distinct_traces_of_any_set_of_segments(
    contents: list[list[int]], wanted: set[int], max_bytes: int
) -> None:
    events = [
        _event(number, segment) for segment, numbers in enumerate(contents) for number in numbers
    ]
    census = Census(events, max_bytes)
    expected = {
        number
        for segment, numbers in enumerate(contents)
        if segment in wanted
        for number in numbers
    }
    assert census.n_traces({digest_bytes(b"segment %d" % n) for n in wanted}) == len(expected)


def test_a_census_without_room_for_its_temporary_file_names_the_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with Buckets(max_bytes=40) as buckets:
        buckets.add(bytes(36))
        with pytest.raises(WriteError, match=r"gone.* could not be written: No such file"):
            buckets.add(bytes(36))


def test_a_snapshot_is_canonical_json(log: EventLog) -> None:
    log.append(traces(1))
    snapshot = take_snapshot(log)
    path = log.layout.snapshot(save_snapshot(log.layout, snapshot))
    assert path.read_bytes() == encode(snapshot)
