"""Several runs made again at a time: the same answers, and no trace of those that had to end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from tests.jobs.made_runs import made_evaluation, made_store, made_training, reseal
from tunixrt.errors import ExitCode
from tunixrt.jobs.reproduce_at_once import RunProcessError, reproduce_at_once
from tunixrt.runs.manifests import TrainingManifest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tunixrt import Store

PATIENCE_S = 60.0


def command(root: Path, *more: str) -> list[str]:
    program = [sys.executable, "-m", "tunixrt.cli.main", "reproduce", "--store", str(root)]
    return [*program, "--all", "--json", *more]


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}


@pytest.mark.slow
def test_two_at_a_time_say_what_one_at_a_time_says(copy: Store) -> None:
    config = str(copy.root / "tiny.toml")
    copy.train(config, dataset="sums-v1", overrides=["training.seed=1"])
    fast = ["training.seed=2", "training.numeric_mode=fast"]
    copy.train(config, dataset="sums-v1", overrides=fast)
    answers = [
        subprocess.run(
            command(copy.root, "--jobs", n), env=environment(), check=True, capture_output=True
        ).stdout
        for n in ("1", "2")
    ]
    assert answers[0] == answers[1]
    assert msgspec.json.decode(answers[0])["verdict"] == "identical"
    assert len(msgspec.json.decode(answers[0])["runs"]) == 8


def children_of(process: subprocess.Popen[bytes]) -> list[int]:
    found = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(process.pid)], check=False, capture_output=True
    )
    return [int(pid) for pid in found.stdout.split()]


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def start_long(copy: Store) -> tuple[subprocess.Popen[bytes], list[int]]:
    """Two trainings that would take long, both at work in their staging directories."""
    config = str(copy.root / "tiny.toml")
    copy.train(config, dataset="sums-v1", overrides=["training.seed=1"])
    for manifest in list(copy.runs()):
        if isinstance(manifest, TrainingManifest):
            training = manifest.config["training"] | {"num_steps": 5_000}  # type: ignore[operator]
            longer = manifest.config | {"training": training}
            identity = msgspec.structs.replace(manifest.identity, config=longer)
            reseal(copy, msgspec.structs.replace(manifest, identity=identity))
    process = subprocess.Popen(
        command(copy.root, "--jobs", "2"),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    wait_for(lambda: len(list(copy.layout.root.glob("store/.tmp/*/staged/metrics.jsonl"))) == 2)
    return process, children_of(process)


@pytest.mark.slow
def test_ctrl_c_ends_the_processes_and_leaves_nothing(copy: Store) -> None:
    process, children = start_long(copy)
    assert len(children) == 2
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == ExitCode.INTERRUPTED
    assert (out, err.decode().strip()) == (b"", "interrupted")
    assert not any(map(is_alive, children))
    assert list(copy.layout.root.glob("store/.tmp/*")) == []


@pytest.mark.slow
def test_a_process_that_is_killed_gets_a_sentence_and_ends_the_others(copy: Store) -> None:
    process, children = start_long(copy)
    os.kill(children[0], signal.SIGKILL)
    out, err = process.communicate(timeout=30)
    assert process.returncode == ExitCode.BAD_INPUT
    assert out == b""
    assert b"again was ended by SIGKILL; a system that is out of memory does that." in err
    assert b"Traceback" not in err
    assert not any(map(is_alive, children))


#: Stands in for the command: says which run it was given, and how many threads.
ECHO = """
import json, os, sys, time
run, threads = sys.argv[1], os.environ.get("NPROC", "all")
time.sleep({"1": 0.4, "all": 0.0}[threads] if run < "8" else 0.0)
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
    shown: list[tuple[int, int]] = []
    verdicts = reproduce_at_once(
        store.layout,
        3,
        command=[sys.executable, "-c", ECHO],
        environment=environment(),
        n_threads=1,
        on_progress=lambda done, total, _: shown.append((done, total)),
    )
    kinds = {m.run_id: "all" if m is fast else "1" for m in trainings}
    kinds[untrained.responses.run_id] = "1"
    in_order = [m.run_id for m in store.runs() if isinstance(m, TrainingManifest)]
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
