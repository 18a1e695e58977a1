"""Training that is stopped, killed or damaged on its way ends in the bits of one that was not."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.making.trainings import SMALL, make_store
from tests.moments import INTERRUPT, KILL, Moment, program
from tests.sweeps import swept
from tunixrt.derive import Answer, Watch, WorkHeldError, unfinished, work_directory, working
from tunixrt.errors import ExitCode
from tunixrt.jobs.models import model_digests
from tunixrt.jobs.training import TrainRequest, train_run
from tunixrt.log.digests import digest_file
from tunixrt.ml.metrics import NonFiniteError
from tunixrt.runs.checkpoints import (
    TrainingInterruptedError,
    checkpoint_at,
    new_checkpoint,
    newest_whole,
    steps_saved,
)
from tunixrt.runs.config_sources import load_config

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tunixrt import Store
    from tunixrt.log.layout import Layout
    from tunixrt.runs.config import RunConfig

TINY = (
    *SMALL,
    "training.warmup_steps=2",
    "training.num_steps=60",
    "training.save_steps=10",
)


def unfinished_runs(layout: Layout) -> list[tuple[str, list[int]]]:
    """The trainings that have checkpoints, with the steps of these."""
    return [
        (run_id, steps)
        for kind, run_id in unfinished(layout)
        if (steps := steps_saved(work_directory(layout, kind, run_id)))
    ]


def command(root: Path, mode: str) -> list[str]:
    settings = [f"--set={setting}" for setting in (*TINY, f"training.numeric_mode={mode}")]
    return ["train", "nano", "--dataset", "sums-v1", *settings, "--store", str(root)]


def finish(program: list[str]) -> tuple[int, str, str]:
    done = subprocess.run(
        program,
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    return done.returncode, done.stdout, done.stderr


def before_checkpoint(step: int, action: str, arguments: list[str]) -> tuple[int, str]:
    """Stop a training just before it publishes the checkpoint of a step; its status and stderr."""
    moment = Moment("rename", f"/step-{step:08}", 1)
    status, _, err = finish(program(moment, action, "tunixrt.cli.main", *arguments))
    return status, err


@pytest.mark.slow
@pytest.mark.parametrize("mode", swept(["portable", "fast"], every=2))
def test_interrupted_killed_and_damaged_training_ends_in_the_same_bits(
    mode: str, tmp_path: Path
) -> None:
    whole, broken = make_store(tmp_path / "whole"), make_store(tmp_path / "broken")
    tunixrt = [sys.executable, "-m", "tunixrt.cli.main"]
    code, run_id, err = finish([*tunixrt, *command(whole.root, mode)])
    assert code == 0, err
    run_id = run_id.strip()

    code, err = before_checkpoint(20, INTERRUPT, command(broken.root, mode))
    assert code == ExitCode.INTERRUPTED, err
    assert "Training was interrupted after step 20 of 60." in err
    assert unfinished_runs(broken.layout) == [(run_id, [10, 20])]

    # The command that is shown is the one that goes on.
    shown = re.search(r"Continue with: tunixrt (.*)", err)
    assert shown is not None
    go_on = shlex.split(shown[1])
    code, err = before_checkpoint(40, KILL, go_on)
    assert code == -signal.SIGKILL, err
    assert "Training continues after step 20." in err

    # What a disk may do to the newest: the one before it is used.
    assert unfinished_runs(broken.layout) == [(run_id, [20, 30])]
    directory = broken.layout.derived / "work/training" / run_id
    weights = checkpoint_at(directory, 30) / "model/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    code, out, err = finish([*tunixrt, *go_on])
    assert code == 0, err
    assert "The checkpoint of step 30 is damaged and not used" in err
    assert "Training continues after step 20." in err

    assert out.strip() == run_id
    assert broken.runs[run_id].manifest == whole.runs[run_id].manifest
    for name in ("model/model.safetensors", "metrics.jsonl", "ledger.jsonl", "manifest.json"):
        assert digest_file(broken.layout.runs / run_id / name) == digest_file(
            whole.layout.runs / run_id / name
        )
    assert broken.verify().ok
    # Checkpoints of a run that is published are gone.
    assert unfinished_runs(broken.layout) == []
    assert not directory.exists()


class Stop:
    """Wants training to stop at the n-th question."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __call__(self) -> bool:
        self.n -= 1
        return self.n < 0


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return make_store(tmp_path / "store")


def config(*overrides: str) -> RunConfig:
    fast = ("training.numeric_mode=fast", "training.num_steps=24", "training.save_steps=0")
    return load_config("nano", [*TINY, *fast, *overrides])


def train(
    store: Store,
    *overrides: str,
    resume: bool = False,
    should_stop: Callable[[], bool] | None = None,
) -> tuple[str, list[str]]:
    notices: list[str] = []
    done = train_run(
        store.layout,
        store.log,
        TrainRequest(config(*overrides), "sums-v1", resume=resume),
        Watch(should_stop=should_stop, on_notice=notices.append),
    )
    return done.manifest.run_id, notices


def interrupted(store: Store, n_calls: int, *overrides: str) -> TrainingInterruptedError:
    with pytest.raises(TrainingInterruptedError) as caught:
        train(store, *overrides, should_stop=Stop(n_calls))
    return caught.value


def test_a_checkpoint_that_is_not_asked_for_is_mentioned(store: Store) -> None:
    error = interrupted(store, 1)
    assert error.checkpoint is not None
    assert (error.step, error.num_steps) == (10, 24)
    _, notices = train(store)
    (notice,) = notices
    assert notice == (
        "A checkpoint of this run after step 10 exists. This training still starts at the "
        "first step; --resume continues from the checkpoint."
    )


def test_resuming_without_a_checkpoint_starts_and_says_so(store: Store) -> None:
    _, notices = train(store, resume=True)
    assert notices == ["No usable checkpoint of this run exists: training starts at step 1."]


def test_stopping_before_the_first_step_keeps_nothing(store: Store) -> None:
    error = interrupted(store, 0)
    assert (error.step, error.checkpoint) == (0, None)
    assert unfinished_runs(store.layout) == []


def test_stopping_right_after_a_checkpoint_makes_no_other(store: Store) -> None:
    error = interrupted(store, 2, "training.save_steps=4")
    assert error.step == 8
    ((run_id, steps),) = unfinished_runs(store.layout)
    assert steps == [4, 8]
    before = checkpoint_at(store.layout.derived / "work/training" / run_id, 8).stat().st_ino
    with pytest.raises(TrainingInterruptedError) as caught:
        train(store, "training.save_steps=4", resume=True, should_stop=Stop(0))
    assert caught.value.step == 8
    assert error.checkpoint is not None
    assert error.checkpoint.stat().st_ino == before


def test_the_saving_interval_is_no_part_of_a_run(store: Store, tmp_path: Path) -> None:
    other = make_store(tmp_path / "other")
    one, _ = train(store, "training.save_steps=7")
    two, _ = train(other, "training.save_steps=0")
    assert one == two
    assert store.runs[one].manifest.outputs == other.runs[two].manifest.outputs


def test_only_the_newest_checkpoints_are_kept(store: Store) -> None:
    error = interrupted(store, 5, "training.save_steps=3")
    assert error.step == 15
    ((_, steps),) = unfinished_runs(store.layout)
    assert steps == [12, 15]


def damage_description(path: Path) -> None:
    (path / "checkpoint.json").write_bytes(b"{")


def damage_by_absence(path: Path) -> None:
    (path / "opt_state.safetensors").unlink()


def damage_by_addition(path: Path) -> None:
    (path / "more").write_bytes(b"")


def damage_by_another(path: Path) -> None:
    earlier = checkpoint_at(path.parent, 10)
    (path / "checkpoint.json").write_bytes((earlier / "checkpoint.json").read_bytes())


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (damage_description, r"checkpoint.json cannot be read"),
        (damage_by_absence, r"files are missing or were added"),
        (damage_by_addition, r"files are missing or were added"),
        (damage_by_another, r"checkpoint.json names another run or step"),
    ],
)
def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(
    store: Store, damage: Callable[[Path], None], sentence: str
) -> None:
    interrupted(store, 2, "training.save_steps=10")
    ((run_id, steps),) = unfinished_runs(store.layout)
    assert steps == [10, 20]
    directory = store.layout.derived / "work/training" / run_id
    damage(checkpoint_at(directory, 20))
    said: list[str] = []
    assert newest_whole(directory, run_id, said.append) == (10, checkpoint_at(directory, 10))
    assert len(said) == 1
    assert re.search(f"The checkpoint of step 20 is damaged and not used: {sentence}", said[0])
    resumed, notices = train(store, "training.save_steps=10", resume=True)
    assert resumed == run_id
    assert notices[1] == "Training continues after step 10."


def test_a_checkpoint_that_a_killed_process_was_writing_is_overwritten(store: Store) -> None:
    interrupted(store, 1)
    ((run_id, _),) = unfinished_runs(store.layout)
    staged = store.layout.derived / "work/training" / run_id / ".writing"
    staged.mkdir()
    (staged / "metrics.jsonl").write_bytes(b"half")
    assert interrupted(store, 1).step == 10
    assert not staged.exists()


def test_two_processes_do_not_train_one_run(store: Store) -> None:
    interrupted(store, 1)
    ((run_id, _),) = unfinished_runs(store.layout)
    with working(store.layout, "training", run_id), pytest.raises(WorkHeldError) as caught:
        train(store)
    assert caught.value.exit_code == ExitCode.STORE_LOCKED
    assert f"is making the training {run_id[:12]} already" in str(caught.value)
    assert f"Process {os.getpid()} on " in str(caught.value)
    train(store)


def test_a_checkpoint_is_a_model_that_can_be_a_base(store: Store) -> None:
    error = interrupted(store, 1)
    assert error.checkpoint is not None
    done = train_run(
        store.layout,
        store.log,
        TrainRequest(
            config("training.num_steps=3"), "sums-v1", base=str(error.checkpoint / "model")
        ),
    )
    assert done.manifest.identity.base == model_digests(error.checkpoint / "model")


def test_a_cpu_that_portable_mode_does_not_promise_for_is_mentioned(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    notices: list[str] = []
    with pytest.raises(TrainingInterruptedError):
        train_run(
            store.layout,
            store.log,
            TrainRequest(load_config("nano", [*TINY, "training.numeric_mode=portable"]), "sums-v1"),
            Watch(should_stop=Stop(0), on_notice=notices.append),
        )
    (notice,) = notices
    assert notice == (
        "Portable mode promises its bits on x86-64 CPUs with AVX2 and FMA, and this machine is "
        "riscv64, not x86-64: let another machine `tunixrt reproduce` the run before you rely on "
        "its digest."
    )


def test_numbers_that_overflow_keep_the_last_good_checkpoint(store: Store) -> None:
    overrides = ("training.learning_rate=3e38", "training.save_steps=1")
    with pytest.raises(NonFiniteError) as caught:
        train(store, *overrides)
    error = caught.value
    ((_, steps),) = unfinished_runs(store.layout)
    assert error.checkpoint is not None
    assert error.step > steps[-1] >= 1
    assert error.checkpoint.name == f"step-{steps[-1]:08}"
    assert f"The last good checkpoint is kept: --base {error.checkpoint}/model" in str(error)
    assert error.traces
    weights = load_file(error.checkpoint / "model/model.safetensors")
    assert all(np.isfinite(tensor).all() for tensor in weights.values())


def replace_checkpoint(error: TrainingInterruptedError, change: Callable[[Path], None]) -> None:
    """Put another checkpoint, whole, into its place: as if it had been computed so."""
    assert error.checkpoint is not None
    changed = error.checkpoint.parent.parent / "changed"
    shutil.copytree(error.checkpoint, changed)
    (changed / "checkpoint.json").unlink()
    change(changed)
    with new_checkpoint(error.checkpoint.parent, error.checkpoint.parent.name, error.step) as new:
        shutil.copytree(changed, new, dirs_exist_ok=True)
    shutil.rmtree(changed)


def a_weight_off_by_its_last_bit(checkpoint: Path) -> None:
    path = checkpoint / "model/model.safetensors"
    weights = load_file(path)
    entries = weights["model.layers.0.mlp.up_proj.weight"].reshape(-1)
    entries[7] = np.nextafter(entries[7], np.float32(np.inf))
    save_file(weights, path)


def a_wrong_sign_in_the_optimiser(checkpoint: Path) -> None:
    path = checkpoint / "opt_state.safetensors"
    means = load_file(path)
    name = next(name for name in means if "first" in name and "up_proj" in name)
    entries = means[name].reshape(-1)
    place = int(np.abs(entries).argmax())
    entries[place] = -entries[place]
    save_file(means, path)


@pytest.mark.parametrize("mode", ["fast", "portable"])
@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (a_weight_off_by_its_last_bit, r"step 11: .*the weights after the update differ"),
        (
            a_wrong_sign_in_the_optimiser,
            "step 11: the loss and the gradient norm are the same, the weights .* update differ",
        ),
    ],
    ids=["weight", "optimiser"],
)
def test_a_fault_between_two_steps_is_found_at_the_step_that_met_it(
    store: Store, mode: str, fault: Callable[[Path], None], sentence: str
) -> None:
    """A real training: ten steps, one wrong number, and the rest; then published and verified."""
    mode_key = f"training.numeric_mode={mode}"
    replace_checkpoint(interrupted(store, 1, mode_key), fault)
    run_id, notices = train(store, mode_key, resume=True)
    assert notices == ["Training continues after step 10."]
    assert store.verify().ok
    (verdict,) = store.reproduce(run_id)
    assert verdict.verdict is Answer.DIVERGED
    assert verdict.first_difference is not None
    assert re.fullmatch(sentence, verdict.first_difference), verdict.first_difference
