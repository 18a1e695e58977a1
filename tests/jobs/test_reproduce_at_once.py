"""Several runs made again at a time: the same answers, and no trace of those that had to end."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from tests.making.runs import made_evaluation, made_store, made_training, reseal
from tests.moments import WAIT, Moment, program, rendezvous
from tunixrt.errors import ExitCode
from tunixrt.jobs.reproduce_at_once import RunProcessError, reproduce_at_once
from tunixrt.runs.manifests import TrainingManifest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunixrt import Store


def command(root: Path, *more: str) -> list[str]:
    program = [sys.executable, "-m", "tunixrt.cli.main", "reproduce", "--store", str(root)]
    return [*program, "--all", "--json", *more]


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}


@pytest.mark.slow
def test_two_at_a_time_say_what_one_at_a_time_says(copy: Store) -> None:
    fast = ["training.seed=2", "training.numeric_mode=fast"]
    copy.runs.train(str(copy.root / "tiny.toml"), dataset="sums-v1", overrides=fast)
    answers = [
        subprocess.run(
            command(copy.root, "--jobs", n), env=environment(), check=True, capture_output=True
        ).stdout
        for n in ("1", "2")
    ]
    assert answers[0] == answers[1]
    assert msgspec.json.decode(answers[0])["verdict"] == "identical"
    assert len(msgspec.json.decode(answers[0])["runs"]) == 7


def is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


#: The command line, with another program in place of Python for the processes of the runs, which
#: may take as long as they like to clear up on a busy machine.
WITH_CHILDREN = """
import signal, sys
from tunixrt.cli.main import main
from tunixrt.jobs import reproduce_at_once
reproduce_at_once._PATIENCE_S = 600.0
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.executable = sys.argv.pop(1)
main()
"""


@contextlib.contextmanager
def two_at_work(
    store: Store, tmp_path: Path
) -> Iterator[tuple[subprocess.Popen[bytes], list[int]]]:
    """`reproduce` with two trainings in progress: both wait in their staging directories."""
    for seed in (0, 1):
        made_training(store, seed=seed)
    with rendezvous(tmp_path / "fifo") as place:
        waiting = program(Moment("open", "/staged/metrics.jsonl", 1), WAIT, place=place)
        python = tmp_path / "python"
        python.write_text(f'#!/bin/sh\nexec {shlex.join(waiting)} "$@"\n')
        python.chmod(0o755)
        command_line = command(store.root, "--jobs", "2")[3:]
        with subprocess.Popen(
            [sys.executable, "-c", WITH_CHILDREN, str(python), *command_line],
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            yield process, place.arrived(2, process)


@pytest.mark.slow
def test_ctrl_c_ends_the_processes_and_leaves_nothing(tmp_path: Path) -> None:
    store = made_store(tmp_path / "store")
    with two_at_work(store, tmp_path) as (process, children):
        assert all(map(is_alive, children))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert process.returncode == ExitCode.INTERRUPTED
    assert (out, err.decode().strip()) == (b"", "interrupted")
    assert not any(map(is_alive, children))
    assert list(store.layout.staging.iterdir()) == []


@pytest.mark.slow
def test_a_process_that_is_killed_gets_a_sentence_and_ends_the_others(tmp_path: Path) -> None:
    with two_at_work(made_store(tmp_path / "store"), tmp_path) as (process, children):
        os.kill(children[0], signal.SIGKILL)
        out, err = process.communicate()
    assert process.returncode == ExitCode.BAD_INPUT
    assert out == b""
    assert b"was ended by SIGKILL; a system that is out of memory does that." in err
    assert b"Traceback" not in err
    assert not any(map(is_alive, children))


#: Stands in for the command: says which run it was given, and how many threads. Of the first two,
#: which are at work at the same time, the first ends after the second.
ECHO = """
import json, os, sys
first, second, pipe, run, *_ = sys.argv[1:]
if run == first:
    open(pipe).read()  # until the other process ends
elif run == second:
    held = open(pipe, "w")
threads = os.environ.get("NPROC", "all")
verdict = dict(id=run, kind=threads, name=run, verdict="identical", expected="identical")
print(json.dumps({"runs": [verdict]}))
"""


def test_verdicts_keep_their_order_and_fast_runs_their_threads(tmp_path: Path) -> None:
    store = made_store(tmp_path)
    trainings = [made_training(store, seed=seed) for seed in range(4)]
    made_evaluation(store, trainings[0], n_right=1)
    untrained = made_evaluation(store, None, n_right=1)
    fast = trainings[2]
    identity = msgspec.structs.replace(fast.identity, numeric_mode="fast")
    reseal(store, msgspec.structs.replace(fast, identity=identity))
    in_order = [
        m.run_id for m in [run.manifest for run in store.runs] if isinstance(m, TrainingManifest)
    ]
    first, second, *_ = [run_id for run_id in in_order if run_id != fast.run_id]
    os.mkfifo(tmp_path / "pipe")
    shown: list[tuple[int, int]] = []
    verdicts = reproduce_at_once(
        store.layout,
        3,
        command=[sys.executable, "-c", ECHO, first, second, str(tmp_path / "pipe")],
        environment=environment(),
        n_threads=1,
        on_progress=lambda done, total, _: shown.append((done, total)),
    )
    kinds = {m.run_id: "all" if m is fast else "1" for m in trainings}
    kinds[untrained.responses.run_id] = "1"
    assert [v.id for v in verdicts] == [*in_order, untrained.responses.run_id]
    assert {v.id: v.kind for v in verdicts} == kinds
    assert shown[-1] == (5, 5)


@pytest.mark.parametrize("status", [1, 2, 4])
def test_what_a_process_refuses_is_said_in_its_words(tmp_path: Path, status: int) -> None:
    store = made_store(tmp_path)
    made_training(store)
    program = f"import sys; sys.stderr.write('error: Not so.\\n'); sys.exit({status})"
    with pytest.raises(RunProcessError) as caught:
        reproduce_at_once(
            store.layout,
            2,
            command=[sys.executable, "-c", program],
            environment=environment(),
            n_threads=1,
            on_progress=lambda *_: None,
        )
    assert str(caught.value) == "Not so."
    assert caught.value.exit_code == status
