"""The stream writer: durable per trace, sealed in batches, recovered after a crash."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.making.traces import Place, trace, value
from tunixrt.log.files import WriteError
from tunixrt.log.journal import Journal, journals, read_journal
from tunixrt.log.redaction import redact
from tunixrt.log.segment.sealed import MAX_PART_BYTES
from tunixrt.traces.stream import KNOWN, StreamClosedError, TraceStream, recover_streams
from tunixrt.traces.times import TimeError
from tunixrt.traces.violations import TraceError

if TYPE_CHECKING:
    from tunixrt.log.digests import Digest

_ROOT = Path(__file__).parents[2]

# It adds traces without an end, and kills itself after the first ten and so many thousandths of the
# function calls that those took.
_WRITER = """
import itertools, sys
from pathlib import Path
from tests.making.traces import trace
from tests.moments import CallLimit, before_calls
from tunixrt import Store
first, max_events, n_thousandths = map(int, sys.argv[2:])
calls = CallLimit()
with Store.open(Path(sys.argv[1])).traces.stream(max_events=max_events) as stream:
    before_calls(calls)
    for n in itertools.count(first):
        print(stream.add(trace(f"{n}?", final_answer="x" * 300)).id, flush=True)
        if n == first + 9:
            calls.last = calls.n + calls.n * n_thousandths // 1000
"""


def killed_writer(root: Path, *arguments: int) -> list[str]:
    """The ids that a writer acknowledged before it was killed."""
    died = subprocess.run(
        [sys.executable, "-c", _WRITER, str(root), *map(str, arguments)],
        check=False,
        capture_output=True,
        env={
            **{name: text for name, text in os.environ.items() if "COVERAGE" not in name},
            "PYTHONPATH": str(_ROOT),
        },
    )
    assert died.returncode == -signal.SIGKILL, died.stderr
    # A line that was cut off has not been acknowledged.
    return died.stdout.decode().split("\n")[:-1]


def recorded_ids(place: Place) -> list[Digest | None]:
    return [event.envelope.payload for event in place.log.events()]


def staged(place: Place) -> list[str]:
    return sorted(path.name for path in place.layout.staging.iterdir())


def test_traces_are_on_the_disk_when_add_returns_and_in_the_log_when_sealed(place: Place) -> None:
    with TraceStream(place.log, recorded_at="2026-01-31T12:00:00Z", max_events=3) as stream:
        ids = [stream.add(trace(f"{n}?")).id for n in range(3)]
        assert recorded_ids(place) == []
        (directory,) = journals(place.layout)
        assert [envelope.payload for envelope, _ in read_journal(directory)] == ids
        ids.append(stream.add(value(prompt="3?")).id)
        assert recorded_ids(place) == ids[:3]
        assert stream.seal() is not None
        assert stream.seal() is None
        assert recorded_ids(place) == ids
        ids.append(stream.add(trace("4?")).id)
    assert recorded_ids(place) == ids
    assert [ref.n_events for ref in place.log.segments()] == [3, 1, 1]
    assert {e.envelope.recorded_at for e in place.log.events()} == {"2026-01-31T12:00:00Z"}
    assert list(place.log.verify()) == []
    assert staged(place) == []
    stream.close()
    with pytest.raises(StreamClosedError):
        stream.add(trace())


def test_a_segment_is_sealed_before_it_needs_a_second_part(place: Place) -> None:
    with TraceStream(place.log) as stream:
        for n in range(200):
            steps = [{"i": i, "type": "t", "content": "x" * 19_000} for i in range(3)]
            stream.add(trace(f"{n}?", steps=steps))
    refs = place.log.segments()
    assert len(refs) == 3
    for ref in refs:
        (part,) = ref.path.glob("*.jsonl")
        assert part.stat().st_size <= MAX_PART_BYTES


def test_nothing_is_recorded_twice_or_against_a_retraction_or_redaction(place: Place) -> None:
    from tunixrt.traces.stating import retract

    known, gone, withdrawn = place.record(trace("a?"), trace("b?"), trace("c?"))
    redact(place.log, [gone])
    retract(place.log, [withdrawn])
    with TraceStream(place.log) as stream:
        found = [stream.add(trace(f"{n}?")) for n in "abcdd"]
        assert [added.reason for added in found] == [
            KNOWN,
            "redacted before",
            "retracted before",
            None,
            KNOWN,
        ]
        assert [added.recorded for added in found] == [False] * 3 + [True, False]
    assert recorded_ids(place).count(known) == 1


def test_what_is_redacted_while_it_waits_never_reaches_the_log(place: Place) -> None:
    with TraceStream(place.log) as stream:
        first, second = (stream.add(trace(text)).id for text in ("secret?", "open?"))
        redact(place.log, [first])
        stream.seal()
        assert stream.add(trace("secret?")).reason == "redacted before"
        third = stream.add(trace("also?")).id
        redact(place.log, [third])
        assert stream.seal() is None
        place.record(trace("another writer's"))
        stream.add(trace("last?"))
    assert second in recorded_ids(place)
    assert not {first, third} & set(recorded_ids(place))
    assert list(place.log.verify()) == []


def test_a_bad_trace_stops_nothing(place: Place) -> None:
    with TraceStream(place.log) as stream:
        with pytest.raises(TraceError, match="prompt"):
            stream.add(value(prompt=""))
        good = stream.add(trace("good?")).id
    assert recorded_ids(place) == [good]
    with pytest.raises(TimeError):
        TraceStream(place.log, recorded_at="today")
    assert staged(place) == []


def test_an_exception_in_the_block_loses_nothing(place: Place) -> None:
    def work() -> None:
        with TraceStream(place.log) as stream:
            stream.add(trace("good?"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    assert len(recorded_ids(place)) == 1


def test_a_full_disk_refuses_a_trace_that_can_be_tried_again(place: Place) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with TraceStream(place.log) as stream:
        first = stream.add(trace("first?")).id
        big = trace("big?", final_answer="x" * 40_000)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        try:
            with pytest.raises(WriteError, match="File too large"):
                stream.add(big)
            small = stream.add(trace("small?")).id
        finally:
            signal.signal(signal.SIGXFSZ, handler)
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        again = stream.add(big)
        assert again.recorded
        assert stream.add(big).reason == KNOWN
    assert recorded_ids(place) == [first, small, again.id]
    assert list(place.log.verify()) == []


def test_a_journal_that_cannot_be_sealed_waits_for_the_next_stream(place: Place) -> None:
    stream = TraceStream(place.log)
    waiting = stream.add(trace("waiting?")).id
    original = place.layout.store_json.read_bytes()
    place.layout.store_json.write_bytes(b"{}")
    with pytest.raises(Exception, match="does not describe a store"):
        stream.close()
    stream._journal.close()
    place.layout.store_json.write_bytes(original)
    with TraceStream(place.log) as following:
        assert following.recovered.n_recovered == 1
        assert following.add(trace("waiting?")).reason == KNOWN
    assert recorded_ids(place) == [waiting]


@pytest.mark.parametrize("max_events", [7, 100_000])
def test_a_writer_that_is_killed_at_any_moment_loses_nothing_and_doubles_nothing(
    place: Place, max_events: int
) -> None:
    rng = random.Random(max_events)
    acknowledged: list[str] = []
    for turn in range(8):
        moment = rng.randrange(2500)
        acknowledged += killed_writer(place.layout.root, turn * 10**6, max_events, moment)
    recovery = recover_streams(place.log)
    # One that died between sealing its batch and removing the journal left a whole batch.
    assert recovery.n_known <= max_events
    found = recorded_ids(place)
    assert len(found) == len(set(found))
    assert set(acknowledged) <= set(found)
    # Of each writer, at most the trace that it was adding when it died.
    assert len(found) - len(acknowledged) <= 8
    assert len(acknowledged) >= 80
    assert list(place.log.verify()) == []
    assert [name for name in staged(place) if name.startswith("stream-")] == []


def test_a_journal_cut_at_any_byte_gives_its_whole_events_and_keeps_the_rest(
    place: Place,
) -> None:
    stream = TraceStream(place.log)
    ids = [stream.add(trace(text)).id for text in ("a?", "b?")]
    (directory,) = journals(place.layout)
    data = (directory / "journal.jsonl").read_bytes()
    first = len(b"\n".join(data.split(b"\n")[:2])) + 1
    stream.close()
    for cut in (*range(0, len(data), 23), first - 1, first, first + 1, len(data) - 1, len(data)):
        other = Place.at(place.layout.root.parent / f"cut-{cut}")
        dead = other.layout.staging / "stream-dead"
        dead.mkdir(parents=True)
        (dead / "journal.jsonl").write_bytes(data[:cut])
        recovery = recover_streams(other.log)
        n_whole = 0 if cut < first else 1 if cut < len(data) else 2
        assert recorded_ids(other) == ids[:n_whole]
        assert recovery.n_recovered == n_whole
        rest = data[first * (n_whole == 1) : cut] if n_whole < 2 else b""
        kept = [(other.layout.root / path).read_bytes() for path in recovery.torn]
        assert kept == ([rest] if rest else [])
        assert not dead.exists()
        assert list(other.log.verify()) == []
        # The next trace is never fused with the torn one.
        with TraceStream(other.log) as following:
            following.add(trace("c?"))
        assert len(recorded_ids(other)) == n_whole + 1


def test_what_was_sealed_just_before_the_death_is_not_recorded_twice(place: Place) -> None:
    stream = TraceStream(place.log)
    ids = [stream.add(trace(text)).id for text in ("a?", "b?", "c?")]
    (directory,) = journals(place.layout)
    data = (directory / "journal.jsonl").read_bytes()
    stream.close()
    redact(place.log, [ids[0]])
    dead = place.layout.staging / "stream-dead"
    dead.mkdir()
    (dead / "journal.jsonl").write_bytes(data)
    recovery = recover_streams(place.log)
    assert (recovery.n_recovered, recovery.n_known, recovery.n_redacted) == (0, 2, 1)
    assert recovery.segment is None
    assert len(recorded_ids(place)) == 4


@pytest.mark.parametrize("line", [b"{}\n{}\n", b"no json\n{}\n", b'{"type":"x"}\n{}\n'])
def test_what_is_no_event_ends_a_journal_and_is_kept(place: Place, line: bytes) -> None:
    dead = place.layout.staging / "stream-dead"
    dead.mkdir(parents=True)
    (dead / "journal.jsonl").write_bytes(line)
    (torn,) = recover_streams(place.log).torn
    assert (place.layout.root / torn).read_bytes() == line


def test_a_writer_that_is_alive_is_left_alone(place: Place) -> None:
    (place.layout.staging / "stream-empty").mkdir(parents=True)
    with TraceStream(place.log) as stream:
        stream.add(trace("mine?"))
        with TraceStream(place.log) as other:
            other.add(trace("its?"))
            assert other.recovered.n_recovered == 0
            assert len(journals(place.layout)) == 2
    assert len(recorded_ids(place)) == 2
    assert staged(place) == []


def test_a_journal_that_cannot_be_cleared_or_made_says_so(place: Place) -> None:
    place.layout.staging.rmdir() if place.layout.staging.exists() else None
    place.layout.staging.write_bytes(b"")
    with pytest.raises(WriteError):
        Journal(place.layout)
