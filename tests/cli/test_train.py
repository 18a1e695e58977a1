"""`tunixrt train` on the command line: dry runs, bad input, signals, progress."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

import pytest

from tests.making.files import tree
from tests.making.runs import made_store
from tunixrt.cli.interrupts import Interrupts
from tunixrt.derive import working
from tunixrt.runs.checkpoints import TrainingInterruptedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Outcome
    from tunixrt import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return made_store(tmp_path)


TRAIN = ("train", "nano", "--dataset", "sums-v1")


def test_a_dry_run_is_printed_whole_and_writes_nothing(
    cli: Callable[..., Outcome], store: Store
) -> None:
    before = tree(store.root)
    outcome = cli(*TRAIN, "--dry-run", "--set", "training.seed=7")
    assert outcome.code == 0
    document = cli(*TRAIN, "--dry-run", "--set", "training.seed=7", "--json").document
    assert tree(store.root) == before
    assert document["dry_run"] is True
    assert outcome.out.startswith(f"run {document['run_id']}\n")
    for part in (
        f"runs/{document['run_id']} (does not exist yet)",
        "sums-v1, numeric mode portable",
        f"{document['ledger']['n_kept']:,} kept, 0 dropped, 0 truncated, 0 redacted",
        f"{document['tokens']['n_learned']:,} learned",
        "214,336 parameters",
        "training.seed = 7",
        'data.format = "tunix_sft"',
    ):
        assert part in outcome.out


BAD_SETTINGS = {
    "an unknown key": (["training.lerning_rate=1"], ["training.lerning_rate", "Did you mean"]),
    "a split that is not there": (
        ["data.split=validation"],
        ["sums-v1", "no examples in the split validation", "train"],
    ),
    "a validation split that is not there": (
        ["training.eval_steps=5"],
        ["sums-v1", "no examples in the split validation", "train"],
    ),
    "an example longer than the context": (
        ["model.max_length=32"],
        ["more than model.max_length = 32", "trace sha256:", "data.overlong"],
    ),
}


@pytest.mark.parametrize("name", BAD_SETTINGS)
@pytest.mark.parametrize("dry", [True, False])
def test_bad_input_gets_a_sentence_and_writes_nothing(
    name: str, dry: bool, cli: Callable[..., Outcome], store: Store
) -> None:
    settings, fragments = BAD_SETTINGS[name]
    before = tree(store.root)
    options = [f"--set={setting}" for setting in settings] + ["--dry-run"] * dry
    outcome = cli(*TRAIN, *options)
    assert outcome.code == 2
    for fragment in fragments:
        assert fragment in outcome.err
    assert tree(store.root) == before


def test_a_run_that_is_in_training_elsewhere_exits_4(
    cli: Callable[..., Outcome], store: Store
) -> None:
    run_id = cli(*TRAIN, "--dry-run", "--json").document["run_id"]
    with working(store.layout, "training", run_id):
        outcome = cli(*TRAIN)
    assert outcome.code == 4
    assert f"is making the training {run_id[:12]} already" in outcome.err


def test_the_first_signal_asks_and_the_second_stops(capfd: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interrupts() as interrupts:
        assert not interrupts.asked()
        signal.raise_signal(signal.SIGTERM)
        assert interrupts.asked()
        assert "Stopping after the steps" in capfd.readouterr().err
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_thread_that_hears_no_signals_trains_all_the_same() -> None:
    heard: list[bool] = []

    def work() -> None:
        with Interrupts() as interrupts:
            heard.append(interrupts.asked())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert heard == [False]


def test_stopping_before_the_first_step_says_that_nothing_is_kept() -> None:
    error = TrainingInterruptedError(0, 400, None)
    assert str(error) == "Training was interrupted after step 0 of 400."
    assert error.exit_code == 130
