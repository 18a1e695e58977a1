"""`tunixrt eval` with several responses to each sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.making.files import tree
from tests.making.runs import made_store
from tests.making.trainings import SMALL_MODEL

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Outcome

DRAW = ("eval", "untrained:tiny.toml", "--evalset", "sums", "--max-new-tokens", "4")


@pytest.fixture(autouse=True)
def config(tmp_path: Path) -> None:
    made_store(tmp_path)
    (tmp_path / "tiny.toml").write_text(SMALL_MODEL)


def test_responses_are_drawn_and_their_metrics_shown(
    cli: Callable[..., Outcome],
) -> None:
    sampled = (*DRAW, "--temperature", "0.8", "--top-p", "0.95", "--draws", "3", "--seed", "5")
    done = cli(*sampled)
    assert done.code == 0, done
    # Scores are data: a pipe gets them, and the id of the run on the last line.
    *scores, run_id = done.out.splitlines()
    rows = [line.split()[0] for line in scores if line]
    assert rows[-4:] == ["pass@1", "pass@2", "pass@3", "majority"]
    assert "category" in rows
    assert "pass@1" not in done.err
    document = cli(*sampled, "--json").document
    assert document["already_done"]
    assert document["generation"] == {
        "strategy": "sampling",
        "max_new_tokens": 4,
        "batch_size": 64,
        "draws": {"temperature": 0.8, "top_p": 0.95, "n": 3, "seed": 5},
    }
    assert document["metrics"]["draws"]["n_draws"] == 3
    assert document["run_id"] == run_id
    before = tuple("--samples" if word == "--draws" else word for word in sampled)
    assert cli(*before, "--json").document == document
    assert "--samples" not in cli("eval", "--help").out


def test_another_judge_generates_nothing_and_says_so(
    cli: Callable[..., Outcome], tmp_path: Path
) -> None:
    exact = cli(*DRAW, "--json").document
    assert (exact["n_generated"], exact["n_reused"]) == (20, 0)
    verbatim = cli(*DRAW, "--judge", "verbatim")
    assert "20 responses existed already: nothing was generated.\n" in verbatim.err
    again = cli(*DRAW, "--judge", "verbatim", "--json").document
    assert (again["already_done"], again["n_generated"], again["n_reused"]) == (True, 0, 20)
    assert again["responses"] == exact["responses"]
    # Damaged responses are not judged.
    path = tmp_path / "runs" / exact["responses"] / "responses.jsonl"
    path.write_bytes(path.read_bytes() + b"\n")
    damaged = cli(*DRAW, "--judge", "math-verify")
    assert damaged.code == 1
    assert f"runs/{exact['responses']}/responses.jsonl: The file does not have" in damaged.err


@pytest.mark.parametrize(
    ("options", "fragments"),
    [
        (("--draws", "3"), ("3 responses to each sample", "--temperature")),
        (("--top-p", "0.9"), ("top_p", "temperature is 0")),
        (("--temperature", "0.8", "--top-p", "0"), ("top_p", "above 0")),
        (("--temperature", "nan"), ("temperature", "nan")),
        (("--temperature", "0.8", "--draws", "0"), ("--draws",)),
        (("--judge", "llm"), ("exact, exact-first, math-verify, reasoning-gym and verbatim",)),
    ],
)
def test_bad_settings_get_a_sentence_and_write_nothing(
    options: tuple[str, ...],
    fragments: tuple[str, ...],
    cli: Callable[..., Outcome],
    tmp_path: Path,
) -> None:
    before = tree(tmp_path)
    outcome = cli(*DRAW, *options)
    assert outcome.code == 2
    for fragment in fragments:
        assert fragment in outcome.err
    assert tree(tmp_path) == before
