"""Every unknown name on the command line gets the nearest known one."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest

from tests.making.runs import made_evaluation, made_store, made_training
from tunixrt.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Outcome

CASES = {
    # commands
    "verfy": "'verify'",
    "evaluate x": "'eval'",
    "import x": "'trace import'",
    "export k": "'dataset export'",
    "promote x": "'run promote'",
    "trace imprt": "'import'",
    "run ls": "'list'",
    "run diff a b": "'compare'",
    # options
    "train nano --datset x": "'--dataset'",
    "train nano --lr 1": "'--set training.learning_rate=VALUE'",
    "train nano --steps 1": "'--set training.num_steps=VALUE'",
    "eval x --eval-set y": "'--evalset'",
    "eval x --temp 1": "'--temperature'",
    "run promote first --name x": "'--as'",
    # choices
    "run list --kind eval": "'evaluation'",
    "trace import x --from tunixrt --on-error quarantin": "'quarantine'",
    "trace generate arithmetic -n 3 --kind add": "'addition'",
    # names of the store
    "eval untrained:nano --evalset summs": '"sums"',
    "eval untrained:nano --evalset sums --judge strict": '"verbatim"',
    "eval untrained:nan --evalset sums": '"nano"',
    "eval frist --evalset sums": '"first"',
    "train nano --dataset sums": '"sums-v1"',
    "train nano --dataset Sums-V1": '"sums-v1"',
    "train nan --dataset sums-v1": '"nano"',
    "train nano --dataset sums-v1 --base frist": '"first"',
    "train nano --dataset sums-v1 --set training.lr=1": '"training.learning_rate"',
    "dataset export sums-v1 --format sft": '"tunix_sft"',
    "dataset export sums-v1 --format tunix_sft --split val": '"validation"',
    "dataset build x v1 --where kinds=addition": '"kind"',
    "dataset build x v1 --where kind=add": '"addition"',
    "dataset build x v1 --strategy rand": '"random"',
    "run show frist": '"first"',
    "run list --evalset summs": '"sums"',
    "run list --dataset sums": '"sums-v1"',
    "run compare eval-a eval-a --metric accuracy": '"avg_score"',
    "run compare eval-a eval-a --category add": '"addition"',
    "evalset show sums --category add": '"addition"',
    "evalset check sums --dataset sums": '"sums-v1"',
    "trace import x --from gsm": '"gsm8k"',
}


@pytest.mark.parametrize(("line", "meant"), CASES.items())
def test_an_unknown_name_gets_the_nearest_known_one(
    line: str, meant: str, cli: Callable[..., Outcome], tmp_path: Path, store: None
) -> None:
    (tmp_path / "x").write_text("{}\n")
    outcome = cli(*shlex.split(line))
    assert outcome.code == ExitCode.BAD_INPUT
    assert f"Did you mean {meant}" in outcome.err
    assert not outcome.out


@pytest.fixture
def store(tmp_path: Path) -> None:
    store = made_store(tmp_path)
    trained = made_training(store)
    store.runs.promote(trained.run_id, "first")
    store.runs.promote(made_evaluation(store, trained, n_right=5).run_id, "eval-a")


def test_a_name_that_is_near_to_nothing_gets_no_suggestion(cli: Callable[..., Outcome]) -> None:
    outcome = cli("zebra")
    assert outcome.code == ExitCode.BAD_INPUT
    assert "Did you mean" not in outcome.err
