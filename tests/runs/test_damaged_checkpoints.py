"""Checkpoints and saved responses are derived: what becomes of them stops no run in silence."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from tunixrt.errors import TunixrtError
from tunixrt.jobs.response_journal import response_journal
from tunixrt.log.layout import init
from tunixrt.runs.checkpoints import (
    checkpoint_at,
    checkpoints_of,
    new_checkpoint,
    newest_whole,
    steps_saved,
    training_lock,
    unfinished_runs,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tunixrt.log.layout import Layout

RUN = "ab" * 32


def full_directory(path: Path) -> None:
    path.mkdir()
    (path / "file").write_bytes(b"x")


THINGS: dict[str, Callable[[Path], object]] = {
    "nothing": lambda path: None,
    "garbage": lambda path: path.write_bytes(b"\xff[" * 99),
    "an empty file": lambda path: path.write_bytes(b""),
    "a directory": full_directory,
    "a FIFO": os.mkfifo,
    "a dangling link": lambda path: path.symlink_to("nowhere"),
    "a link to itself": lambda path: path.symlink_to(path.name),
}


def remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def checkpoint(directory: Path, step: int) -> None:
    with new_checkpoint(directory, RUN, step) as staged:
        (staged / "model").mkdir()
        (staged / "model" / "weights").write_bytes(b"%d" % step)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return init(tmp_path)


@pytest.mark.parametrize("thing", THINGS)
@pytest.mark.parametrize("place", ["", "checkpoint.json", "model", "model/weights"])
def test_a_checkpoint_that_is_something_else_is_passed_over_and_replaced(
    layout: Layout, thing: str, place: str
) -> None:
    directory = checkpoints_of(layout, RUN)
    for step in (10, 20):
        checkpoint(directory, step)
    path = checkpoint_at(directory, 20) / place
    remove(path)
    THINGS[thing](path)
    said: list[str] = []
    newest = newest_whole(directory, RUN, said.append)
    assert newest == (10, checkpoint_at(directory, 10))
    if (thing, place) != ("nothing", ""):
        assert "The checkpoint of step 20 is damaged and not used: " in said[0]
    assert unfinished_runs(layout)
    checkpoint(directory, 20)
    assert newest_whole(directory, RUN) == (20, checkpoint_at(directory, 20))
    checkpoint(directory, 30)
    assert steps_saved(directory) == [20, 30]


@pytest.mark.parametrize("thing", THINGS)
def test_what_a_killed_process_was_writing_may_be_anything(layout: Layout, thing: str) -> None:
    directory = checkpoints_of(layout, RUN)
    directory.mkdir(parents=True)
    THINGS[thing](directory / ".writing")
    checkpoint(directory, 10)
    assert newest_whole(directory, RUN) == (10, checkpoint_at(directory, 10))


@pytest.mark.parametrize("thing", [name for name in THINGS if name != "nothing"])
@pytest.mark.parametrize(
    "place", [".tunixrt", ".tunixrt/checkpoints", f".tunixrt/checkpoints/{RUN}"]
)
def test_a_directory_of_checkpoints_that_is_something_else_gets_a_sentence(
    layout: Layout, thing: str, place: str
) -> None:
    path = layout.root / place
    path.parent.mkdir(parents=True, exist_ok=True)
    THINGS[thing](path)
    assert unfinished_runs(layout) == []
    assert newest_whole(checkpoints_of(layout, RUN), RUN) is None
    try:
        with training_lock(layout, RUN):
            pass
    except TunixrtError as error:
        assert ".tunixrt" in str(error)  # noqa: PT017
    else:
        assert thing == "a directory"


@pytest.mark.parametrize("thing", [name for name in THINGS if name != "nothing"])
@pytest.mark.parametrize("name", ["responses.jsonl", "lock"])
def test_saved_responses_that_are_something_else_are_refused_or_not_needed(
    layout: Layout, thing: str, name: str
) -> None:
    directory = layout.derived / "evaluations" / RUN
    directory.mkdir(parents=True)
    THINGS[thing](directory / name)
    try:
        with response_journal(layout, RUN) as journal:
            assert journal.responses == []
    except (TunixrtError, OSError) as error:
        assert str(directory) in str(error)  # noqa: PT017
