"""The derived index: fast, and never needed, whatever is done to it."""

from __future__ import annotations

import random
import shutil
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.making.conversations import conversation, turns
from tests.making.locks import held
from tests.making.traces import Place, trace
from tunixrt.jobs.redact import redact_traces
from tunixrt.log import layout as layouts
from tunixrt.log.eventlog import EventLog
from tunixrt.log.redaction import redact
from tunixrt.log.segment.reader import read_segment
from tunixrt.traces import index_tables
from tunixrt.traces import stating as statements
from tunixrt.traces.lookup import TraceLookupError
from tunixrt.traces.saved_index import find_saved, find_with_meta, forget_index, open_index
from tunixrt.traces.state import project
from tunixrt.traces.state_table import TraceIndex

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tunixrt.log.digests import Digest
    from tunixrt.log.segment.events import StoredEvent
    from tunixrt.log.segment.header import SegmentHeader
    from tunixrt.traces.state import TraceState


@pytest.fixture
def ids(place: Place) -> list[Digest]:
    """Thirty traces in three segments, some of them with things said of them."""
    found: list[Digest] = []
    for turn in range(3):
        found += place.record(
            *(
                trace(f"{turn} {n}?", meta={"turn": turn, "parity": "odd" if n % 2 else "even"})
                for n in range(10)
            )
        )
    statements.label(place.log, found[:2], {"quality": "good"})
    statements.retract(place.log, found[2:3])
    statements.supersede(place.log, found[3:4], found[4])
    statements.score(place.log, found[5:6])
    return found


def index_path(place: Place) -> Path:
    return place.layout.derived / "index.sqlite"


def folded(place: Place, ids: list[Digest]) -> list[TraceState | None]:
    with project(place.log) as projection:
        return [projection.get(trace) for trace in ids]


def saved(place: Place, ids: list[Digest]) -> list[TraceState | None]:
    return [find_saved(place.log, trace[7:25], min_events=1) for trace in ids]


def test_the_index_says_what_folding_the_log_says(place: Place, ids: list[Digest]) -> None:
    assert saved(place, ids) == folded(place, ids)
    made = index_path(place).stat().st_ino
    assert saved(place, ids) == folded(place, ids)
    assert index_path(place).stat().st_ino == made
    with pytest.raises(TraceLookupError, match="no trace whose id begins with"):
        find_saved(place.log, "0" * 40, min_events=1)


def test_a_small_log_gets_no_index(place: Place, ids: list[Digest]) -> None:
    assert find_saved(place.log, ids[0]).id == ids[0]
    assert open_index(place.log) is None
    assert find_with_meta(place.log, {"turn": "1"}) is None
    assert not index_path(place).exists()


def test_traces_are_found_by_their_metadata_in_the_order_of_the_log(
    place: Place, ids: list[Digest]
) -> None:
    def search(**filters: str) -> list[Digest]:
        found = find_with_meta(place.log, filters, min_events=1)
        assert found is not None
        return [state.id for state in found]

    assert search(turn="1") == ids[10:20]
    assert search(turn="1", parity="odd") == ids[11:20:2]
    assert search(turn="one") == search(absent="1") == []
    assert search() == ids
    long = "x" * 300
    (last,) = place.record(trace("long?", meta={"text": long, "list": [1, 2.5]}))
    assert search(text=long) == search(text="x" * 250) == [last]
    assert search(list="[1,2.5]") == [last]
    chats = place.record(conversation(), turns("Q", "A", meta={"list": [1, 2.5]}))
    assert search(source="chat") == chats[:1]
    assert search(list="[1,2.5]") == [last, chats[1]]


def test_an_index_of_other_segments_is_made_again(place: Place, ids: list[Digest]) -> None:
    saved(place, ids)
    statements.label(place.log, ids[7:8], {"quality": "bad"})
    (new,) = place.record(trace("new?"))
    assert saved(place, [*ids, new]) == folded(place, [*ids, new])


def test_only_what_the_log_has_gained_is_read(
    place: Place, ids: list[Digest], monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(place, ids[:1])
    before = index_path(place).stat().st_ino
    read: list[str] = []

    def noting(path: Path, header: SegmentHeader) -> Iterator[StoredEvent]:
        read.append(path.name)
        return read_segment(path, header)

    monkeypatch.setattr(index_tables, "read_segment", noting)
    new: list[Digest] = []
    for turn in range(3):
        new += place.record(
            trace(f"new {turn}?", meta={"turn": turn, "more": "yes"}), trace("0 1?")
        )
        statements.label(place.log, [ids[0], new[-1]], {"quality": f"q{turn}"})
        statements.retract(place.log, ids[10 + turn : 11 + turn])
        known = [*ids, *new]
        assert saved(place, known) == folded(place, known)
        assert len(read) == len(set(read)) == 3 * (turn + 1)
    assert index_path(place).stat().st_ino == before  # it was never made again
    index = find_with_meta(place.log, {"more": "yes"}, min_events=1)
    assert index is not None
    assert [state.id for state in index] == [new[0], new[2], new[4]]


def test_segments_that_a_merge_puts_in_the_middle_make_another_index(
    place: Place, ids: list[Digest], tmp_path: Path
) -> None:
    branch = Place.at(tmp_path / "branch")
    others = branch.record(trace("on a branch?"))
    saved(place, ids[:1])
    for ref in branch.log.segments():
        shutil.copytree(ref.path, place.layout.segment(ref.digest))
    assert saved(place, [*ids, *others]) == folded(place, [*ids, *others])


def test_a_segment_that_disappears_makes_another_index(place: Place, ids: list[Digest]) -> None:
    saved(place, ids[:1])
    last = place.log.segments()[-1]
    shutil.rmtree(last.path)
    assert saved(place, ids) == folded(place, ids)


def test_an_index_of_another_version_is_made_again(place: Place, ids: list[Digest]) -> None:
    saved(place, ids[:1])
    database = sqlite3.connect(index_path(place))
    database.execute("UPDATE about SET version = '1', text = 'other'")
    database.execute("DELETE FROM traces")
    database.commit()
    database.close()
    assert saved(place, ids) == folded(place, ids)


def test_a_redaction_that_a_merge_brings_removes_its_metadata_from_the_index(
    place: Place, tmp_path: Path
) -> None:
    (secret,) = place.record(trace("secret?", meta={"name": "Ada Lovelace"}))
    saved(place, [secret])
    assert b"Ada Lovelace" in index_path(place).read_bytes()
    clone = tmp_path / "clone"
    shutil.copytree(place.layout.root, clone)
    there = EventLog(layouts.Layout(clone))
    redact(there, [secret])
    shutil.copytree(there.layout.store, place.layout.store, dirs_exist_ok=True)
    assert saved(place, [secret]) == folded(place, [secret])
    assert b"Ada Lovelace" not in index_path(place).read_bytes()


def test_a_process_that_dies_while_it_extends_the_index_changes_no_answer(
    place: Place, ids: list[Digest]
) -> None:
    saved(place, ids[:1])
    (new,) = place.record(trace("new?"))
    program = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from tunixrt.traces import saved_index\n"
        "from tunixrt.log import layout\n"
        "from tunixrt.log.eventlog import EventLog\n"
        "class Dying(saved_index.GrowingIndex):\n"
        "    def _copy_names(self, *arguments):\n"
        "        self._database.execute('PRAGMA cache_size = 1')\n"
        "        self._database.execute('PRAGMA cache_spill = 1')\n"
        "        self._database.execute('UPDATE traces SET offset = offset + 1')\n"
        "        os.kill(os.getpid(), 9)\n"
        "saved_index.GrowingIndex = Dying\n"
        "saved_index.open_index(EventLog(layout.Layout(Path(sys.argv[1]))), min_events=1)\n"
    )
    died = subprocess.run([sys.executable, "-c", program, str(place.layout.root)], check=False)
    assert died.returncode == -9
    assert saved(place, [*ids, new]) == folded(place, [*ids, new])


@pytest.mark.parametrize("seed", range(6))
def test_a_damaged_index_never_changes_an_answer(
    place: Place, ids: list[Digest], seed: int
) -> None:
    expected = folded(place, ids)
    saved(place, ids)
    data = index_path(place).read_bytes()
    rng = random.Random(seed)
    for damaged in (
        b"",
        b"not a database",
        data[: rng.randrange(len(data))],
        data[:100] + rng.randbytes(len(data) - 100),
    ):
        index_path(place).write_bytes(damaged)
        assert saved(place, ids) == expected


def test_an_index_that_points_elsewhere_is_not_believed(place: Place, ids: list[Digest]) -> None:
    expected = folded(place, ids)
    for change in (
        "UPDATE traces SET offset = offset + 1",
        "UPDATE traces SET part = '0009.jsonl'",
        "UPDATE traces SET offset = (SELECT min(offset) FROM traces)",
        "DROP TABLE facts",
        "DELETE FROM about",
        "DROP TABLE segments",
        "DROP TABLE parts",
        "DELETE FROM parts",
    ):
        saved(place, ids[:1])
        database = sqlite3.connect(index_path(place))
        database.execute(change)
        database.commit()
        database.close()
        assert saved(place, ids) == expected


def test_a_part_that_changed_under_the_index_is_read_again(place: Place, ids: list[Digest]) -> None:
    saved(place, ids)
    # As a checkout may do it: other bytes in the parts of the same segments.
    redact(place.log, [ids[0]])
    place.layout.derived.joinpath("index.sqlite").touch()
    assert saved(place, ids) == folded(place, ids)
    saved(place, ids)
    index = index_path(place).read_bytes()
    ref = place.log.segments()[1]
    part = ref.path / "0000.jsonl"
    lines = part.read_bytes().split(b"\n")
    lines[1] = b"null"
    part.write_bytes(b"\n".join(lines))
    index_path(place).write_bytes(index)
    assert saved(place, ids[10:13]) == folded(place, ids[10:13])


def test_a_redaction_leaves_no_metadata_in_the_index(place: Place) -> None:
    secret, *_ = place.record(
        trace("secret?", meta={"owner": "Ada Lovelace"}), trace("b?"), trace("c?")
    )
    find_saved(place.log, secret, min_events=1)
    assert b"Ada Lovelace" in index_path(place).read_bytes()
    redact_traces(place.layout, place.log, [secret], reason="r")
    assert not index_path(place).exists()
    assert find_saved(place.log, secret, min_events=1).redacted
    assert b"Ada Lovelace" not in index_path(place).read_bytes()
    forget_index(place.layout)
    forget_index(place.layout)


def test_while_another_process_changes_the_store_the_log_answers(
    place: Place, ids: list[Digest]
) -> None:
    with held(place.layout):
        assert open_index(place.log, min_events=1) is None
        assert saved(place, ids) == folded(place, ids)
        assert not index_path(place).exists()
    assert open_index(place.log, min_events=1) is not None


def test_where_nothing_can_be_written_the_log_answers(place: Place, ids: list[Digest]) -> None:
    shutil.rmtree(place.layout.derived, ignore_errors=True)
    place.layout.derived.write_bytes(b"")
    assert saved(place, ids[:3]) == folded(place, ids[:3])


def test_a_disk_that_fills_while_the_index_is_made_leaves_nothing(
    place: Place, ids: list[Digest], monkeypatch: pytest.MonkeyPatch
) -> None:
    place.record(*(trace(f"{n}?", meta={"n": n}) for n in range(3000)))

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(TraceIndex, "copy_to", full)
    assert saved(place, ids[:1]) == folded(place, ids[:1])
    assert [path for path in place.layout.derived.iterdir() if "index" in path.name] == []


def test_payloads_that_are_no_traces_are_passed_over(place: Place, ids: list[Digest]) -> None:
    from tests.making.events import recorded

    place.say(recorded({"no": "meta"}), recorded({"meta": 3}))
    assert saved(place, ids) == folded(place, ids)
