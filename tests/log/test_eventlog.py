from __future__ import annotations

import contextlib
import os
import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.making.events import recorded, trace, trace_id, traces, tree
from tunixrt.errors import ExitCode
from tunixrt.log import eventlog
from tunixrt.log.digests import Digest, digest_bytes, from_hex, hex_of
from tunixrt.log.eventlog import EventLog
from tunixrt.log.files import WriteError
from tunixrt.log.layout import StoreFormatError, init
from tunixrt.log.segment.events import Envelope, EventError, recorded_by, recording_line
from tunixrt.log.segment.header import DamagedError, read_header
from tunixrt.log.snapshots import save_snapshot, take_snapshot, verify_snapshots

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.making.events import Event
    from tunixrt.log.segment.header import SegmentHeader


def _ids(log: EventLog) -> list[Digest | None]:
    return [event.envelope.payload for event in log.events()]


def _copy(log: EventLog, root: Path, segments: list[Digest]) -> EventLog:
    """Another store with copies of some segments, as a merge makes one."""
    root.mkdir()
    layout = init(root)
    for digest in segments:
        target = layout.segment(digest)
        target.mkdir(parents=True)
        for path in log.layout.segment(digest).iterdir():
            (target / path.name).write_bytes(path.read_bytes())
    return EventLog(layout)


def test_a_new_log_is_empty(log: EventLog) -> None:
    assert log.segments() == []
    assert log.heads() == ([], 0)
    assert list(log.events()) == []
    assert list(log.verify()) == []


def test_an_empty_batch_writes_nothing(log: EventLog) -> None:
    before = tree(log.layout.root)
    assert log.append([]) is None
    assert tree(log.layout.root) == before


def test_a_batch_is_one_segment_and_segments_follow_each_other(log: EventLog) -> None:
    first = log.append(traces(1, 2))
    second = log.append(traces(3))
    assert first is not None
    assert second is not None
    refs = log.segments()
    assert [(ref.digest, ref.lamport, ref.n_events, ref.parents) for ref in refs] == [
        (first, 0, 2, ()),
        (second, 1, 1, (first,)),
    ]
    assert log.heads() == ([second], 2)
    assert _ids(log) == [trace_id(1), trace_id(2), trace_id(3)]
    assert _ids_of(log, [second]) == [trace_id(3)]
    assert list(log.verify()) == []


def _ids_of(log: EventLog, segments: list[Digest]) -> list[Digest | None]:
    return [event.envelope.payload for event in log.events(segments)]


def test_an_append_changes_no_file_that_is_there(log: EventLog) -> None:
    """Promise 1."""
    for n in range(4):
        before = tree(log.layout.root)
        log.append(traces(n, n + 1))
        save_snapshot(log.layout, take_snapshot(log))
        after = tree(log.layout.root)
        assert before.items() <= after.items()
        assert len(after) == len(before) + 3  # a header, a part, a snapshot


def test_an_iterable_that_fails_publishes_nothing_and_leaves_nothing(log: EventLog) -> None:
    before = tree(log.layout.root)

    def failing() -> Iterator[Event]:
        yield from traces(1, 2, 3)
        raise OSError(5, "the input broke")

    # The error is the caller's own: it is not dressed up as one of the store's.
    with pytest.raises(OSError, match="the input broke"):
        log.append(failing())
    with pytest.raises(EventError, match="Event 1 of the batch"):
        log.append([trace(1), (Envelope("bad"), None)])
    assert tree(log.layout.root) == before
    assert list(log.layout.staging.iterdir()) == []


def test_the_same_batch_on_the_same_log_has_the_same_bytes(tmp_path: Path) -> None:
    trees = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        log = EventLog(init(tmp_path / name))
        log.append(traces(1, 2))
        log.append(traces(3))
        trees.append(tree(tmp_path / name))
    assert trees[0] == trees[1]


class _LateLog(EventLog):
    """A writer that looked at the heads just before another process published."""

    def heads(self) -> tuple[list[Digest], int]:
        return [], 0


def test_lines_in_batches_make_the_bytes_that_events_one_by_one_make(tmp_path: Path) -> None:
    events = [trace(n, n_characters=1_500_000 if n % 3 else 10) for n in range(12)]
    lines = [
        (recording_line(envelope.payload or Digest("")), payload or b"")
        for envelope, payload in events
    ]
    trees = []
    for name, size in (("one", 1), ("five", 5), ("all", 12), ("events", 0)):
        (tmp_path / name).mkdir()
        log = EventLog(init(tmp_path / name))
        if size:
            log.append_lines(lines[start : start + size] for start in range(0, 12, size))
        else:
            log.append(events)
        assert list(log.verify()) == []
        trees.append(tree(tmp_path / name / "store"))
    assert trees[0] == trees[1] == trees[2] == trees[3]
    assert len(trees[0]) > 3  # several parts


def test_headers_are_read_once_and_beyond_a_number_again(
    log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(4):
        log.append(traces(n))
    read: list[Path] = []

    def noting(path: Path) -> SegmentHeader:
        read.append(path)
        return read_header(path)

    monkeypatch.setattr(eventlog, "read_header", noting)
    for limit, expected in ((20_000, 4), (3, 5)):  # the fourth each time
        monkeypatch.setattr(eventlog, "_REMEMBERED", limit)
        read.clear()
        fresh = EventLog(log.layout)
        assert _ids(fresh) == _ids(fresh) == [trace_id(n) for n in range(4)]
        assert len(read) == expected


def test_batches_without_lines_write_nothing(log: EventLog) -> None:
    before = tree(log.layout.root)
    assert log.append_lines([[], []]) is None
    assert tree(log.layout.root) == before


@given(
    st.binary(max_size=120) | st.binary(max_size=32).map(lambda b: recording_line(digest_bytes(b)))
)
@example(b'{"payload":"sha256:' + b"A" * 64 + b'","type":"trace.recorded"}')
@example(b'{"payload":"sha256:' + b"a" * 63 + b'","type":"trace.recorded"}')
@example(b'{"payload":"sha256:' + b"a" * 64 + b'","type":"trace.retracted"}')
@example(b'{"payload":"sha256:' + b"a" * 64 + b'","type":"trace.recorded"} ')
def test_a_line_is_taken_for_a_recording_exactly_if_it_is_one(line: bytes) -> None:
    found = recorded_by(line)
    expected = re.fullmatch(
        rb'\{"payload":"(sha256:[0-9a-f]{64})","type":"trace\.recorded"\}', line
    )
    assert found == (None if expected is None else expected[1].decode())


def test_a_segment_that_is_there_already_is_verified_and_counted_as_published(
    log: EventLog,
) -> None:
    digest = log.append(traces(1))
    assert digest is not None
    before = tree(log.layout.root)
    late = _LateLog(log.layout)
    assert late.append(traces(1)) == digest
    assert tree(log.layout.root) == before
    (log.layout.segment(digest) / "segment.json").unlink()
    with pytest.raises(DamagedError, match="The header cannot be read"):
        late.append(traces(1))


def test_events_have_one_order_whatever_the_order_of_directories(
    tmp_path: Path, log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(6):
        log.append(traces(2 * n, 2 * n + 1))
    expected = list(log.events())
    scandir = os.scandir

    class Shuffled:
        def __init__(self, path: str) -> None:
            with scandir(path) as entries:
                self._entries = list(entries)
            random.shuffle(self._entries)

        def __enter__(self) -> Iterator[os.DirEntry[str]]:
            return iter(self._entries)

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(os, "scandir", Shuffled)
    for _ in range(5):
        assert list(log.events()) == expected
        assert list(log.verify()) == []


def test_segments_of_branches_are_ordered_by_lamport_then_by_digest(
    tmp_path: Path, log: EventLog
) -> None:
    base = log.append(traces(0))
    assert base is not None
    branches = []
    for n in (1, 2, 3):
        branch = _copy(log, tmp_path / f"branch-{n}", [base])
        branches.append((branch, branch.append(traces(n))))
    for branch, digest in branches:
        assert digest is not None
        target = log.layout.segment(digest)
        target.mkdir(parents=True)
        for path in branch.layout.segment(digest).iterdir():
            (target / path.name).write_bytes(path.read_bytes())
    digests = [digest for _, digest in branches if digest is not None]
    heads, lamport = log.heads()
    assert (heads, lamport) == (sorted(digests), 2)
    merged = log.append(traces(4))
    refs = log.segments()
    assert [ref.digest for ref in refs] == [base, *sorted(digests), merged]
    assert refs[-1].parents == tuple(sorted(digests))
    assert list(log.verify()) == []


@settings(max_examples=12, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 20)), max_size=8), st.randoms())
def test_replay_does_not_depend_on_the_order_in_which_segments_arrived(
    steps: list[tuple[int, int]], random_order: random.Random
) -> None:
    """Writers append each in a clone of their own and fetch from each other now and then."""
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)  # this is about order, not durability
        directory = Path(name)
        clones = []
        for number in range(4):
            (directory / str(number)).mkdir()
            clones.append(EventLog(init(directory / str(number))))
        for writer, number in steps:
            clones[writer].append(traces(number, number + 100))
            if number % 3 == 0:
                _fetch(clones[number % 4], clones[writer], random_order)
        for other in clones[1:]:
            _fetch(other, clones[0], random_order)
        for log in clones[1:]:
            _fetch(clones[0], log, random_order)
            for other in clones[1:]:
                _fetch(clones[0], other, random_order)
            assert list(log.events()) == list(clones[0].events())
            assert log.heads() == clones[0].heads()
            assert list(log.verify()) == []


def _fetch(source: EventLog, target: EventLog, random_order: random.Random) -> None:
    refs = source.segments()
    random_order.shuffle(refs)
    for ref in refs:
        path = target.layout.segment(ref.digest)
        if not path.exists():
            path.mkdir(parents=True)
            for file in ref.path.iterdir():
                (path / file.name).write_bytes(file.read_bytes())


def test_a_payload_can_be_read_again_where_it_was_found(log: EventLog) -> None:
    log.append([trace(1), (Envelope("trace.retracted", trace=trace_id(1)), None), trace(2)])
    for event in log.events():
        assert (
            log.read_payload(event.segment, event.part, event.offset, event.length) == event.payload
        )


def test_a_payload_that_was_redacted_since_reads_as_none_and_a_moved_one_is_not_guessed(
    log: EventLog,
) -> None:
    log.append(traces(1, 2))
    first, second = log.events()
    path = log.layout.segment(first.segment) / first.part
    assert first.payload is not None
    path.write_bytes(path.read_bytes().replace(first.payload, b"null"))
    assert log.read_payload(first.segment, first.part, first.offset, first.length) is None
    with pytest.raises(DamagedError, match="run the command again"):
        log.read_payload(second.segment, second.part, second.offset, second.length)
    again = list(log.events())[1]
    assert log.read_payload(again.segment, again.part, again.offset, again.length) == again.payload


@pytest.mark.parametrize(
    ("offset", "length"), [(0, 5), (-1, 5), (1, 5), (10**9, 5), (103, 10**6), (103, 3)]
)
def test_a_place_where_no_payload_begins_gets_a_sentence(
    log: EventLog, offset: int, length: int
) -> None:
    segment = log.append(traces(1))
    assert segment is not None
    with pytest.raises(DamagedError, match="No line of"):
        log.read_payload(segment, "0000.jsonl", offset, length)


def test_a_payload_of_a_part_that_is_gone_gets_a_sentence(log: EventLog) -> None:
    with pytest.raises(DamagedError, match="The part cannot be read: No such file"):
        log.read_payload(from_hex("00" * 32), "0000.jsonl", 10, 5)


def test_events_of_a_segment_that_is_not_there_get_a_sentence(log: EventLog) -> None:
    log.append(traces(1))
    with pytest.raises(DamagedError, match=f"store/log/00/{'00' * 32}: The segment is missing"):
        list(log.events([from_hex("00" * 32)]))


def test_a_log_with_a_missing_parent_is_not_read_as_if_it_were_whole(log: EventLog) -> None:
    first = log.append(traces(1))
    log.append(traces(2))
    assert first is not None
    for path in log.layout.segment(first).iterdir():
        path.unlink()
    log.layout.segment(first).rmdir()
    for read in (
        log.segments,
        log.heads,
        lambda: list(log.events()),
        lambda: log.append(traces(3)),
    ):
        with pytest.raises(DamagedError, match="A parent of the segment is missing"):
            read()


def test_a_store_of_another_format_is_not_appended_to(log: EventLog) -> None:
    log.layout.store_json.write_bytes(b'{"format":"tunixrt-store-2"}')
    with pytest.raises(StoreFormatError):
        log.append(traces(1))


def test_a_log_that_cannot_be_listed_gets_a_sentence(log: EventLog) -> None:
    log.layout.log.write_bytes(b"")
    with pytest.raises(DamagedError, match="store/log: The directory cannot be listed") as caught:
        log.segments()
    assert caught.value.exit_code == ExitCode.ANSWER_IS_NO
    assert {finding.path for finding in log.verify()} == {"store/log"}


@pytest.mark.parametrize("read_only", ["store/.tmp", "store/log"])
def test_a_read_only_store_gets_a_sentence_and_stays_readable(
    refusable: Path, read_only: str
) -> None:
    log = EventLog(init(refusable))
    log.append(traces(1))
    (refusable / read_only).chmod(0o555)
    before = tree(refusable)
    with pytest.raises(WriteError, match="could not be written: Permission denied"):
        log.append(traces(2))
    assert tree(refusable) == before
    assert list(log.verify()) == []


def test_a_directory_that_may_not_be_listed_gets_a_sentence(refusable: Path) -> None:
    log = EventLog(init(refusable))
    digest = log.append(traces(1))
    assert digest is not None
    shelf = log.layout.segment(digest).parent
    shelf.chmod(0)
    with pytest.raises(DamagedError, match="cannot be listed: Permission denied"):
        log.segments()
    assert [finding.path for finding in log.verify()] == [log.layout.relative(shelf)]


def test_files_that_may_not_be_read_are_findings(refusable: Path) -> None:
    log = EventLog(init(refusable))
    digest = log.append(traces(1))
    assert digest is not None
    snapshot = log.layout.snapshot(save_snapshot(log.layout, take_snapshot(log)))
    part = log.layout.segment(digest) / "0000.jsonl"
    for path in (part, snapshot):
        path.chmod(0)
    findings = [*log.verify(), *verify_snapshots(log.layout)]
    assert {finding.path for finding in findings} >= {
        log.layout.relative(part),
        log.layout.relative(snapshot),
    }
    assert "cannot be read: Permission denied" in findings[0].problem
    for directory in (part.parent, log.layout.store):
        directory.chmod(0o111)  # what is in it can be reached, and not be listed
        findings = list(log.verify())
        assert findings[0].path == log.layout.relative(directory)
        assert "cannot be listed: Permission denied" in findings[0].problem


class _Unseen:
    """A listing of a directory that was made before some of its entries appeared."""

    def __init__(self, name: str, scandir: Callable[[Path], Any]) -> None:
        self._name = name
        self._scandir = scandir
        self.n_calls = 0

    def __call__(self, path: Path) -> contextlib.nullcontext[list[os.DirEntry[str]]]:
        with self._scandir(path) as entries:
            found = [entry for entry in entries if entry.name != self._name]
        self.n_calls += 1
        return contextlib.nullcontext(found)


def test_a_parent_that_appeared_while_directories_were_listed_is_seen(
    log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent, child = log.append(traces(1)), log.append(traces(2))
    assert parent is not None
    monkeypatch.setattr(os, "scandir", unseen := _Unseen(hex_of(parent), os.scandir))
    assert [ref.digest for ref in log.segments()] == [parent, child]
    assert _ids(log) == [trace_id(1), trace_id(2)]
    assert list(log.verify()) == []
    path = log.layout.segment(parent) / "0000.jsonl"
    path.write_bytes(path.read_bytes().replace(b"What", b"Whet"))
    assert [finding.path for finding in log.verify()] == [log.layout.relative(path)]
    assert unseen.n_calls


_DETERMINISM = """
import sys
import tempfile
from pathlib import Path
from tests.making.events import recorded, traces
from tunixrt.log.eventlog import EventLog
from tunixrt.log.layout import init
from tunixrt.log.snapshots import take_snapshot
root = Path(sys.argv[1])
root.mkdir()
log = EventLog(init(root))
log.append(traces(1, 2, 3))
log.append([recorded({name: [name] for name in {"a", "b", "\\ue000", "\\U00010000", "d"}})])
print(take_snapshot(log).digest)
"""


def test_nothing_of_the_process_reaches_a_byte_that_is_hashed(tmp_path: Path) -> None:
    found = set()
    stores = []
    for n, (seed, language) in enumerate([("0", "C"), ("1", "C.UTF-8"), ("2", "POSIX")]):
        root = tmp_path / f"store-{n}"
        environment = {
            **os.environ,
            "PYTHONHASHSEED": seed,
            "LC_ALL": language,
            "TZ": f"UTC{n}",
            "PYTHONPATH": str(Path(__file__).parents[2]),
        }
        found.add(
            subprocess.run(
                [sys.executable, "-c", _DETERMINISM, str(root)],
                env=environment,
                cwd=tmp_path,
                check=True,
                capture_output=True,
            ).stdout
        )
        stores.append(tree(root))
    assert len(found) == 1
    assert stores[0] == stores[1] == stores[2]


def test_a_trace_may_be_anything_that_json_can_say(log: EventLog) -> None:
    values = ["", {}, [], 0, -1.5, True, "\U0001f600", {"a": None}, {"x": 1e16}]
    log.append([recorded(value) for value in values])
    assert list(log.verify()) == []
