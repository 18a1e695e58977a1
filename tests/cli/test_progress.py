"""The progress line: on a terminal only, with what is left, and never in a file that is hashed."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.making.runs import made_store
from tests.making.terminals import PROGRAM, read_all
from tests.making.trainings import SMALL
from tunixrt.cli.progress import Progress

if TYPE_CHECKING:
    from pathlib import Path

TINY = (
    *SMALL,
    "training.num_steps=40",
    "training.warmup_steps=2",
    "training.logging_steps=10",
    "training.eval_steps=10",
    "training.numeric_mode=fast",
    "data.validation_split=test",
)


@pytest.mark.slow
def test_training_shows_loss_speed_and_what_is_left_on_a_terminal(tmp_path: Path) -> None:
    store = made_store(tmp_path)
    terminal, its_end = pty.openpty()
    settings = [f"--set={setting}" for setting in TINY]
    program = [sys.executable, "-c", PROGRAM, "train", "nano", "--dataset", "sums-v1"]
    process = subprocess.Popen(
        [*program, *settings, "--store", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=its_end,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "TERM": "xterm"},
    )
    os.close(its_end)
    shown = read_all(terminal)
    os.close(terminal)
    out, _ = process.communicate()
    assert process.returncode == 0, shown
    for step in (10, 20, 30, 40):
        assert f"training: step {step} of 40 ({step * 100 // 40}%), " in shown
    assert " s left, loss " in shown
    assert ", validation " in shown
    assert " learned tokens/s" in shown
    run_id = out.strip()
    for path in (store.layout.runs / run_id).glob("*.json*"):
        assert b"tokens/s" not in path.read_bytes()


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    monkeypatch.setenv("TERM", "xterm")
    return clock


def test_what_was_done_before_does_not_make_the_rest_look_quick(
    clock: Clock, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with Progress("training", "step") as progress:
        clock.now += 10
        progress.show(60, 100, "loss 1", n_before=50)
    # 10 steps took 10 seconds, so 40 take 40.
    assert "training: step 60 of 100 (60%), 40 s left, loss 1" in capsys.readouterr().err


def test_what_is_over_in_a_second_shows_nothing(
    clock: Clock, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with Progress("training", "step") as progress:
        clock.now += 0.5
        progress.show(1, None)
    assert capsys.readouterr().err == ""


def test_a_terminal_that_cannot_write_over_a_line_gets_none(
    clock: Clock, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "dumb")
    with Progress("training", "step") as progress:
        clock.now += 10
        progress.show(60, 100)
    assert capsys.readouterr().err == ""


def test_the_name_of_a_file_cannot_steer_the_terminal(
    clock: Clock, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with Progress("importing a\n\x1b[2Jb", "line") as progress:
        clock.now += 10
        progress.show(60, None)
    shown = capsys.readouterr().err
    assert shown == "\r\x1b[Kimporting a⏎␛[2Jb: line 60\r\x1b[K"
