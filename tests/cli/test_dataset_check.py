"""`tunixrt dataset check` finds what is wrong in a dataset, and changes nothing."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

import pytest

from tests.making.files import tree
from tests.making.traces import value
from tunixrt import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Outcome
    from tunixrt.log.digests import Digest


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.init(tmp_path)


def build(store: Store, *traces: dict[str, Any], test: str = "0") -> list[Digest]:
    added = store.traces.add(traces)
    store.datasets.build("d", "v1", splits={"test": test})
    return list(added.ids)


def chat(prompt: str, answer: str, **assistant: Any) -> dict[str, Any]:
    return {
        "trace_version": "1.1",
        "messages": [
            {"role": "user", "content": prompt},
            {"role": "assistant", "content": answer, **assistant},
        ],
    }


def test_a_dataset_without_faults_is_said_to_be_right(
    store: Store, cli: Callable[..., Outcome]
) -> None:
    build(store, value(), value(prompt="What is 1 + 1?", final_answer="2"))
    found = cli("dataset", "check", "d-v1")
    assert found.code == 0, found.err
    assert "Nothing is wrong." in found.err
    assert found.out == ""
    document = cli("dataset", "check", "d-v1", "--json").document
    assert (document["ok"], document["n_traces"], document["findings"]) == (True, 2, [])
    assert document["sources"] == {"manual": 2}


def test_a_prompt_that_differs_in_case_only_leaks_between_splits(
    store: Store, cli: Callable[..., Outcome]
) -> None:
    """The split depends on the prompt as written, so a variant may get another split."""
    variants = [f"what is {'+' * n} 1?" for n in range(1, 13)]
    prompts = [*variants, *(variant.upper() for variant in variants)]
    ids = build(store, *(value(prompt=prompt) for prompt in prompts), test="0.5")
    splits = {member.trace: member.split for member in store.datasets["d-v1"].members()}
    leaking = [{ids[n], ids[n + 12]} for n in range(12) if splits[ids[n]] != splits[ids[n + 12]]]
    assert leaking, "the prompts are chosen so that some variants differ"
    found = cli("dataset", "check", "d-v1", "--json")
    assert found.code == 1
    leak = next(f for f in found.document["findings"] if f["fault"] == "leak between splits")
    assert leak["n_traces"] == 2 * len(leaking)
    for group in leak["examples"]:
        assert set(group) in leaking


def test_traces_that_repeat_prompt_and_answer_are_duplicates_and_several_solutions_are_not(
    store: Store, cli: Callable[..., Outcome]
) -> None:
    first = value(prompt="What is 1,000 + 1?", final_answer="1001")
    again = value(prompt="what is 1000 + 1", final_answer="1,001.")
    other = value(prompt="What is 1,000 + 1?", final_answer="one thousand and one")
    ids = build(store, first, again, other)
    found = cli("dataset", "check", "d-v1", "--json")
    assert found.code == 1
    (duplicate,) = found.document["findings"]
    assert (duplicate["fault"], duplicate["n_traces"]) == ("duplicate", 1)
    assert duplicate["examples"] == [sorted(ids[:2])]
    assert found.document["n_repeated_prompts"] == 1


@pytest.mark.parametrize(
    "nothing",
    [
        value(prompt="q", final_answer=" \n"),
        chat("q", " "),
        chat("q", "", reasoning="It is 2."),
        chat("q", "2", train=False),
    ],
    ids=["blank answer", "blank turn", "reasoning only", "masked"],
)
def test_a_trace_without_an_answer_or_a_learned_turn_teaches_nothing(
    store: Store, cli: Callable[..., Outcome], nothing: dict[str, Any]
) -> None:
    ids = build(store, value(), nothing)
    found = cli("dataset", "check", "d-v1", "--json")
    assert found.code == 1
    (empty,) = found.document["findings"]
    assert (empty["fault"], empty["examples"]) == ("nothing to learn", [[ids[1]]])


def test_a_call_of_a_tool_is_something_to_learn(store: Store, cli: Callable[..., Outcome]) -> None:
    call = [{"name": "add", "arguments": {}}]
    build(store, value(), chat("q", "", tool_calls=call))
    assert cli("dataset", "check", "d-v1").code == 0


def test_samples_of_an_eval_set_are_found_in_the_splits_that_are_trained_on(
    store: Store, cli: Callable[..., Outcome]
) -> None:
    ids = build(store, value(), value(prompt="Another question entirely?"))
    sample = {"id": "a", "prompt": "what is 15+27", "expected_answer": "42"}
    lines = [sample | {"category": "c", "difficulty": "easy"}]
    file = store.layout.evalsets / "seen.jsonl"
    file.parent.mkdir(exist_ok=True)
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert cli("dataset", "check", "d-v1").code == 0
    found = cli("dataset", "check", "d-v1", "--evalset", "seen", "--json")
    assert found.code == 1
    (leak,) = found.document["findings"]
    assert (leak["fault"], leak["evalset"]) == ("leak into an eval set", "seen")
    assert leak["examples"] == [[ids[0]]]
    shown = cli("dataset", "check", "d-v1", "--evalset", "seen")
    assert "1 of the 1 sample of seen" in shown.out
    assert "tunixrt evalset check seen --dataset d-v1" in shown.out


def test_the_test_split_may_hold_the_samples_of_an_eval_set(
    store: Store, cli: Callable[..., Outcome]
) -> None:
    build(store, value(), test="1")
    file = store.layout.evalsets / "seen.jsonl"
    file.parent.mkdir(exist_ok=True)
    line = {"id": "a", "prompt": value()["prompt"], "expected_answer": "42"}
    file.write_text(json.dumps(line | {"category": "c", "difficulty": "easy"}) + "\n")
    assert cli("dataset", "check", "d-v1", "--evalset", "seen").code == 0


def test_a_source_may_have_the_share_that_is_allowed_and_no_more(
    store: Store, cli: Callable[..., Outcome]
) -> None:
    many = [value(prompt=f"{n}?", meta={"source": "many"}) for n in range(3)]
    build(store, *many, value(prompt="x", meta={}))
    assert cli("dataset", "check", "d-v1", "--max-share", "0.75").code == 0
    found = cli("dataset", "check", "d-v1", "--max-share", "0.7", "--json")
    assert found.code == 1
    (unbalanced,) = found.document["findings"]
    assert unbalanced["fault"] == "unbalanced sources"
    assert "3 of 4 traces (75.0%) have the source many" in unbalanced["sentence"]
    assert found.document["sources"] == {"many": 3, "(none)": 1}


@pytest.mark.parametrize("share", ["0", "-1", "1.5", "x", "1/0"])
def test_a_share_that_is_not_one_gets_a_sentence(
    store: Store, cli: Callable[..., Outcome], share: str
) -> None:
    build(store, value())
    found = cli("dataset", "check", "d-v1", "--max-share", share)
    assert found.code == 2
    assert "expected a number above 0 and up to 1" in found.err


def test_redacted_members_are_counted_and_not_compared(
    store: Store, cli: Callable[..., Outcome]
) -> None:
    again = value(prompt="what is 15 + 27", final_answer="42.")
    ids = build(store, value(), again)
    assert cli("dataset", "check", "d-v1").code == 1
    store.traces.redact([ids[0]], reason="asked to")
    found = cli("dataset", "check", "d-v1", "--json")
    assert found.code == 0
    assert (found.document["n_traces"], found.document["n_redacted"]) == (1, 1)


def test_a_check_changes_nothing(store: Store, cli: Callable[..., Outcome]) -> None:
    build(store, value(), value(prompt="what is 15 + 27"))
    before = tree(store.root)
    assert cli("dataset", "check", "d-v1").code == 1
    assert tree(store.root) == before


def test_the_command_that_fixes_a_dataset_builds_one_without_the_duplicates(
    store: Store, cli: Callable[..., Outcome]
) -> None:
    store.traces.add([value(), value(prompt="what is 15 + 27")])
    store.datasets.build("d", "v1", where={"source": "manual"}, splits={"test": "0.1"}, seed=3)
    before = tree(store.root)
    found = cli("dataset", "check", "d-v1", "--fix")
    assert found.code == 1
    assert tree(store.root) == before
    (command,) = [line for line in found.out.splitlines() if line.startswith("tunixrt")]
    assert "--where source=manual --seed 3" in command
    built = cli(*shlex.split(command.replace("VERSION", "v2"))[1:])
    assert built.code == 0, built.err
    assert "1 trace left out as repeating an earlier one." in built.err
    assert store.datasets["d-v2"].manifest.parent_dataset_id == "d-v1"
    assert cli("dataset", "check", "d-v2").code == 0


def test_traces_to_decide_on_are_named_in_a_command(
    store: Store, cli: Callable[..., Outcome]
) -> None:
    ids = build(store, value(), chat("q", " "))
    document = cli("dataset", "check", "d-v1", "--fix", "--json").document
    retract, again = document["fix"]
    assert retract == f"tunixrt trace retract --reason 'nothing to learn' {ids[1][7:19]}"
    assert cli(*shlex.split(retract)[1:]).code == 0
    assert cli(*shlex.split(again.replace("VERSION", "v2"))[1:]).code == 0
    assert cli("dataset", "check", "d-v2", "--fix", "--json").document["fix"] == []
