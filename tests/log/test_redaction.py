"""Promise 9: forgetting works, in every merge order, and every digest stays valid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.making.events import trace, trace_id, traces, tree
from tunixrt.log.canonical import encode
from tunixrt.log.redaction import redact, redacted_traces, sweep
from tunixrt.log.segment.events import REDACTED, Envelope, EventError
from tunixrt.log.segment.sealed import MAX_PART_BYTES
from tunixrt.log.snapshots import load_snapshot, save_snapshot, take_snapshot, verify_snapshots

if TYPE_CHECKING:
    from pathlib import Path

    from tunixrt.log.eventlog import EventLog
    from tunixrt.log.findings import Finding

_REASON = encode({"reason": "asked for by its author"})

pytestmark = pytest.mark.usefixtures("without_fsync")


def _verify(log: EventLog) -> list[Finding]:
    return [*log.verify(), *verify_snapshots(log.layout)]


def _contains(log: EventLog, payload: bytes | None) -> bool:
    assert payload is not None
    return any(payload in data for data in tree(log.layout.root).values())


def test_a_redaction_removes_the_payload_from_every_segment_and_nothing_else(
    log: EventLog,
) -> None:
    log.append(traces(1, 2, 3, 2))
    log.append([trace(2), (Envelope("trace.retracted", trace=trace_id(2)), None)])
    snapshot = take_snapshot(log)
    save_snapshot(log.layout, snapshot)
    before = tree(log.layout.root)
    redaction = redact(log, [trace_id(2)], payload=_REASON, recorded_at="2026-01-31T12:00:00Z")
    after = tree(log.layout.root)

    assert not _contains(log, trace(2)[1])
    assert len(redaction.removed) == 3
    for place, number in redaction.removed:
        old, new = before[place].split(b"\n"), after[place].split(b"\n")
        assert (old[number - 1], new[number - 1]) == (trace(2)[1], b"null")
    # Save for these lines, every file of before is there with the same bytes.
    removed = {place for place, _ in redaction.removed}
    for place, data in before.items():
        expected = data.replace(trace(2)[1] or b"", b"null") if place in removed else data
        assert after[place] == expected

    assert _verify(log) == []
    assert redacted_traces(log) == {trace_id(2)}
    assert [event.payload for event in log.events() if event.envelope.payload == trace_id(2)] == [
        None,
        None,
        None,
    ]
    assert load_snapshot(log.layout, snapshot.digest) == snapshot
    assert take_snapshot(log).n_traces == snapshot.n_traces
    *_, last = log.events()
    assert last.segment == redaction.segment
    assert last.envelope.type == REDACTED
    assert last.envelope.trace == trace_id(2)
    assert last.envelope.recorded_at == "2026-01-31T12:00:00Z"
    assert last.payload == _REASON


def test_a_second_redaction_records_nothing_new(log: EventLog) -> None:
    log.append(traces(1, 2))
    redact(log, [trace_id(2)])
    before = tree(log.layout.root)
    again = redact(log, [trace_id(2)])
    assert (again.segment, again.removed) == (None, ())
    assert tree(log.layout.root) == before


def test_several_traces_are_redacted_in_one_segment(log: EventLog) -> None:
    log.append(traces(1, 2, 3))
    redaction = redact(log, [trace_id(3), trace_id(1)])
    assert redaction.segment is not None
    assert len(list(log.events([redaction.segment]))) == 2
    assert [event.payload is None for event in log.events()] == [True, False, True, True, True]
    assert _verify(log) == []


def test_a_trace_that_is_not_here_yet_can_be_redacted_before_it_comes(log: EventLog) -> None:
    redaction = redact(log, [trace_id(1)])
    assert redaction.removed == ()
    log.append(traces(1))
    (finding,) = log.verify()
    assert "redacted is here in plain text" in finding.problem
    assert "--sweep" in finding.problem
    assert len(sweep(log).removed) == 1
    assert _verify(log) == []
    assert not _contains(log, trace(1)[1])


def test_a_redaction_that_died_half_way_is_found_and_swept(log: EventLog) -> None:
    log.append(traces(1, 2))
    # The event is there, the payload still is, too: what a kill between the two steps leaves.
    log.append([(Envelope(REDACTED, trace=trace_id(1)), None)])
    (finding,) = log.verify()
    assert finding.line == 2
    assert finding.path.endswith("/0000.jsonl")
    swept = sweep(log)
    assert swept.removed == ((finding.path, 2),)
    assert swept.segment is None
    assert _verify(log) == []
    before = tree(log.layout.root)
    assert sweep(log).removed == ()
    assert tree(log.layout.root) == before


def test_a_sweep_without_redactions_reads_and_writes_nothing(log: EventLog) -> None:
    log.append(traces(1))
    before = tree(log.layout.root)
    assert sweep(log).removed == ()
    assert {**tree(log.layout.root)} == {**before, ".tunixrt/store.lock": b""}


def test_a_redaction_with_a_bad_payload_changes_nothing(log: EventLog) -> None:
    log.append(traces(1))
    with pytest.raises(EventError):
        redact(log, [trace_id(1)], recorded_at="today")
    assert _contains(log, trace(1)[1])
    assert redacted_traces(log) == set()


def test_only_the_part_that_holds_the_payload_is_written_again(log: EventLog) -> None:
    big = MAX_PART_BYTES // 2 + 1
    segment = log.append(trace(n, n_characters=big) for n in range(3))
    assert segment is not None

    def inodes() -> list[int]:
        return [path.stat().st_ino for path in sorted(log.layout.segment(segment).glob("*.jsonl"))]

    before = inodes()
    redaction = redact(log, [trace_id(1, n_characters=big)])
    place = log.layout.relative(log.layout.segment(segment) / "0001.jsonl")
    assert redaction.removed == ((place, 2),)
    after = inodes()
    assert [old == new for old, new in zip(before, after, strict=True)] == [True, False, True]
    assert _verify(log) == []


def test_a_reader_of_a_part_that_is_being_redacted_sees_the_old_part_or_the_new(
    log: EventLog, tmp_path: Path
) -> None:
    segment = log.append(traces(1, 2))
    assert segment is not None
    path = log.layout.segment(segment) / "0000.jsonl"
    old = path.read_bytes()
    with path.open("rb") as reader:
        redact(log, [trace_id(1)])
        assert reader.read() == old
    assert path.read_bytes() == old.replace(trace(1)[1] or b"", b"null")
