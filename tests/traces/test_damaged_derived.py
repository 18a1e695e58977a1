"""What is below ``.tunixrt/`` is derived: whatever happens to it, the answers are the log's."""

from __future__ import annotations

import os
import sqlite3
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.making.traces import Place, trace
from tunixrt.log.lock import read_holder, store_lock
from tunixrt.log.redaction import redact
from tunixrt.traces.saved_index import find_saved, find_with_meta, forget_index, open_index
from tunixrt.traces.state import project

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tunixrt.log.digests import Digest


@pytest.fixture
def ids(place: Place) -> list[Digest]:
    """Four hundred traces with an index over them, so that it has many pages."""
    found = place.record(
        *(trace(f"{n}?", meta={"turn": n % 3, "text": f"{n}" * 40}) for n in range(400))
    )
    assert open_index(place.log, min_events=1) is not None
    return list(found)


def index_path(place: Place) -> Path:
    return place.layout.derived / "index.sqlite"


def right(place: Place, ids: list[Digest], filters: dict[str, str], chosen: list[Digest]) -> None:
    """Look traces up in every way, and compare with the log."""
    with project(place.log) as projection:
        expected = [projection.get(trace_id) for trace_id in ids[:5]]
    assert [find_saved(place.log, t[7:27], min_events=1) for t in ids[:5]] == expected
    found = find_with_meta(place.log, filters, min_events=1)
    # Each is to be looked at; none may be missing or come twice.
    order = ids if found is None else [state.id for state in found]
    assert len(set(order)) == len(order)
    assert [t for t in order if t in set(chosen)] == chosen


def cut(path: Path, part: float) -> None:
    os.truncate(path, int(path.stat().st_size * part))


def overwrite(path: Path, part: float, n_bytes: int = 5000) -> None:
    with path.open("r+b") as file:
        file.seek(int(path.stat().st_size * part))
        file.write(b"\xa5" * n_bytes)


def run_sql(path: Path, *statements: str) -> None:
    database = sqlite3.connect(path)
    with database:
        for statement in statements:
            database.execute(statement)
    database.close()


def replace(path: Path, make: Callable[[Path], object]) -> None:
    path.unlink()
    make(path)


def full_directory(path: Path) -> None:
    path.mkdir()
    (path / "file").write_bytes(b"x")


DAMAGE: dict[str, Callable[[Path], object]] = {
    "garbage": lambda p: p.write_bytes(b"garbage" * 999),
    "empty": lambda p: p.write_bytes(b""),
    **{f"cut at {n}%": partial(cut, part=n / 100) for n in (1, 30, 60, 99)},
    **{f"overwritten at {n}%": partial(overwrite, part=n / 100) for n in range(5, 100, 10)},
    "another schema": lambda p: run_sql(p, "DROP TABLE meta", "CREATE TABLE meta (x)"),
    "no tables": lambda p: run_sql(p, "DROP TABLE traces"),
    "another version": lambda p: run_sql(p, "UPDATE about SET version = '0', text = 'x'"),
    "text for numbers": lambda p: run_sql(p, "UPDATE traces SET part = 'x' WHERE place > 200"),
    "numbers beyond": lambda p: run_sql(p, "UPDATE traces SET part = 99 WHERE place > 200"),
    "places that are not": lambda p: run_sql(p, "UPDATE traces SET offset = 7 WHERE place > 9"),
    "short ids": lambda p: run_sql(p, "UPDATE traces SET id = x'00' WHERE place = 300"),
    "no segments": lambda p: run_sql(p, "DELETE FROM segments", "DELETE FROM parts"),
    "a directory": lambda p: replace(p, full_directory),
    "a FIFO": lambda p: replace(p, os.mkfifo),
    "a dangling link": lambda p: replace(p, lambda path: path.symlink_to("nowhere")),
    "a link to itself": lambda p: replace(p, lambda path: path.symlink_to(path.name)),
    "a directory in place of what is written": lambda p: replace(
        p, lambda path: full_directory(path.with_name("index.sqlite.partial"))
    ),
    "a directory in place of the journal": lambda p: full_directory(
        p.with_name("index.sqlite-journal")
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_index_is_made_again_and_the_answers_are_right(
    place: Place, ids: list[Digest], damage: str
) -> None:
    DAMAGE[damage](index_path(place))
    right(place, ids, {"turn": "1"}, ids[1::3])
    right(place, ids, {"turn": "1", "text": "4" * 40}, ids[4:5])
    right(place, ids, {}, ids)


@pytest.mark.parametrize("damage", [d for d in DAMAGE if "overwritten" not in d])
def test_damage_that_keeps_size_and_time_is_found_when_it_is_read(
    place: Place, ids: list[Digest], damage: str
) -> None:
    path = index_path(place)
    DAMAGE[damage](path)
    if os.path.lexists(path):
        facts = path.lstat()
        stamp = path.with_name("index.sqlite.stamp")
        stamp.write_text(f"{facts.st_size} {facts.st_mtime_ns}\n")
    right(place, ids, {"turn": "1"}, ids[1::3])


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_redaction_leaves_nothing_of_a_damaged_index(
    place: Place, ids: list[Digest], damage: str
) -> None:
    DAMAGE[damage](index_path(place))
    redact(place.log, ids[:1])
    forget_index(place.layout)
    assert not os.path.lexists(index_path(place))


def test_while_another_process_has_the_index_locked_the_log_answers(
    place: Place, ids: list[Digest]
) -> None:
    database = sqlite3.connect(index_path(place), isolation_level=None)
    database.execute("BEGIN EXCLUSIVE")
    right(place, ids, {"turn": "1"}, ids[1::3])
    database.close()


@pytest.mark.parametrize("make", [full_directory, lambda p: p.write_bytes(b"x"), os.mkfifo])
def test_where_the_whole_directory_is_something_else_the_log_answers(
    place: Place, ids: list[Digest], make: Callable[[Path], object]
) -> None:
    forget_index(place.layout)
    for path in place.layout.derived.iterdir():
        path.unlink()
    place.layout.derived.rmdir()
    make(place.layout.derived)
    right(place, ids, {"turn": "1"}, ids[1::3])


@pytest.mark.parametrize("make", [full_directory, os.mkfifo, lambda p: p.symlink_to("nowhere/x")])
def test_the_note_of_a_lock_decides_nothing_whatever_has_taken_its_place(
    place: Place, make: Callable[[Path], object]
) -> None:
    note = place.layout.derived / "store.lock.holder"
    place.layout.derived.mkdir(exist_ok=True)
    make(note)
    assert read_holder(place.layout) is None
    with store_lock(place.layout, "a test"):
        holder = read_holder(place.layout)
        assert holder is not None
        assert holder.pid == os.getpid()
    assert not os.path.lexists(note)
