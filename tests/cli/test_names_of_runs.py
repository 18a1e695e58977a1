"""`--as`, `@last`, `run list --ids` and `--on-overlong` as a person types them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.making.runs import made_evaluation, made_store, made_training, write_evalset
from tests.making.trainings import TINY
from tunixrt import Store
from tunixrt.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from tests.cli.conftest import Outcome

TRAIN = ("train", "nano", "--dataset", "sums-v1")
SETTINGS = [f"--set={setting}" for setting in TINY]


def test_a_session_needs_no_ids(
    cli: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_store(tmp_path)
    write_evalset(Store.open(tmp_path), "mixed", ("1+1", "9" * 200, "2+2"))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1767225600")
    trained = cli(*TRAIN, *SETTINGS, "--as", "first")
    assert trained.code == ExitCode.DONE, trained.err
    assert "is first now." in trained.err
    assert "Next: tunixrt eval first --evalset NAME" in trained.err
    event = list(Store.open(tmp_path).log.events())[-1]
    assert (event.envelope.type, event.envelope.recorded_at) == (
        "run.promoted",
        "2026-01-01T00:00:00Z",
    )
    found = cli(*TRAIN, *SETTINGS, "--as", "second", "--json").document
    assert found["already_done"]
    assert found["promotion"]["name"] == "second"
    run_id = found["run_id"]
    assert cli("run", "show", "@last", "--json").document["run_id"] == run_id
    assert cli("run", "list", "--kind", "training", "--ids").out == f"{run_id}\n"
    assert cli("run", "list", "-q").out == f"{run_id}\n"
    refused = cli("eval", "@last", "--evalset", "mixed", "--max-new-tokens", "2")
    assert refused.code == ExitCode.BAD_INPUT
    assert "1 of 3 prompts of the eval set mixed" in refused.err
    evaluated = cli(
        *("eval", "@last", "--evalset", "mixed", "--max-new-tokens", "2"),
        *("--on-overlong", "wrong", "--as", "after"),
    )
    assert evaluated.code == ExitCode.DONE, evaluated.err
    assert "1 prompt left no room for an answer" in evaluated.err
    assert "counted as wrong: q1." in evaluated.err
    assert "is after now." in evaluated.err
    assert cli("run", "compare", "after", "@last-eval").code == ExitCode.DONE
    assert cli("report", "after", "@last", "-o", "report").code == ExitCode.DONE
    assert cli("run", "promote", "@last-train", "--as", "third").out == f"{run_id}\n"


def test_a_bad_name_is_refused_before_anything_is_trained(
    cli: Callable[..., Outcome], tmp_path: Path
) -> None:
    store = made_store(tmp_path)
    for arguments in (TRAIN, ("eval", "untrained:nano", "--evalset", "sums")):
        outcome = cli(*arguments, "--as", "No Name")
        assert outcome.code == ExitCode.BAD_INPUT
        assert 'The name of a run "No Name" should be' in outcome.err
    assert cli(*TRAIN, "--dry-run", "--as", "00aabb").code == ExitCode.BAD_INPUT
    assert not [run.manifest for run in store.runs]


def test_ids_alone_keep_the_filters_and_order_of_the_list(
    cli: Callable[..., Outcome], tmp_path: Path
) -> None:
    store = made_store(tmp_path)
    trained = made_training(store)
    better, worse = (made_evaluation(store, m, n_right=n) for m, n in ((trained, 15), (None, 3)))
    listed = cli("run", "list", "--ids")
    assert listed.out.splitlines() == [better.run_id, worse.run_id, trained.run_id]
    evaluations = cli("run", "list", "--ids", "--kind", "evaluation").out.splitlines()
    assert evaluations == [better.run_id, worse.run_id]
    assert cli("run", "list", "--ids", "--json").code == ExitCode.BAD_INPUT


def test_a_check_of_the_prompts_says_which_are_overlong_and_exits_with_no(
    cli: Callable[..., Outcome], tmp_path: Path
) -> None:
    store = made_store(tmp_path)
    write_evalset(store, "mixed", ("1+1", "9" * 200, "2+2"))
    check = ("evalset", "check", "mixed", "--model", "untrained:nano")
    outcome = cli(*check)
    assert outcome.code == ExitCode.ANSWER_IS_NO
    assert "q1         216" in outcome.out
    assert "1 of 3 prompts leave no room for an answer in a context of 128 tokens" in outcome.out
    document = cli(*check, "--json").document
    assert document["prompts"]["overlong"] == {"q1": 216}
    assert document["n_samples"] == 3
    both = cli(*check, "--dataset", "sums-v1", "--json").document
    assert both["contamination"]["n_samples"] == 3
    assert cli("evalset", "check", "sums", "--model", "untrained:nano").code == ExitCode.DONE
    assert cli("evalset", "check", "mixed", "--model", "no/model").code == ExitCode.BAD_INPUT
