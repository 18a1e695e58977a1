"""Conversations on the command line: everything that works on traces works on them."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.making.conversations import conversation, conversation_value, turns
from tests.making.traces import trace, write_lines
from tunixrt import Store
from tunixrt.traces.schema import payload_of, trace_id

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Outcome

CHAT = trace_id(payload_of(conversation()))
MASKED = turns("Hi\x1b[31m", "Hello", "Bye", "Bye", messages=[
    {"role": "user", "content": "Hi\x1b[31m", "name": "Ann\n"},
    {"role": "assistant", "content": "Hello", "train": False},
    {"role": "user", "content": "Bye"},
    {"role": "assistant", "content": "Bye"},
])  # fmt: skip
HELLO = trace_id(payload_of(MASKED))


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


@pytest.fixture
def store(cli: Callable[..., Outcome], tmp_path: Path) -> Store:
    """A store with a trace of schema 1.0 and two conversations, imported from one file."""
    assert cli("init").code == 0
    payloads = [payload_of(whole) for whole in (trace(), conversation(), MASKED)]
    (tmp_path / "mixed.jsonl").write_bytes(b"\n".join(payloads) + b"\n")
    imported = cli("trace", "import", "mixed.jsonl", "--from", "tunixrt", "--json").document
    assert (imported["recorded"], imported["rejected"], imported["dropped"]) == (3, 0, 0)
    return Store.open(tmp_path)


def test_a_list_shows_the_question_the_answer_and_how_many_messages_there_are(
    cli: Callable[..., Outcome], store: Store
) -> None:
    assert cli("trace", "list").out.splitlines()[3:] == [
        f"{CHAT[7:19]}      2  How far is 3 miles in km? (5 messages)  4.8 km  active",
        f"{HELLO[7:19]}      0  Hi␛[31m (4 messages)                    Bye     active",
    ]
    assert "Hi" not in cli("trace", "list", "--where", "source=chat", "--limit", "1").out


def test_the_json_of_a_conversation_has_the_fields_of_a_trace_and_its_messages(
    cli: Callable[..., Outcome], store: Store
) -> None:
    plain, chat, masked = cli("trace", "list", "--json").document["traces"]
    assert "messages" not in plain
    assert {*plain} < {*chat} == {*plain, "messages", "tools"}
    value = conversation_value()
    assert [chat[name] for name in ("messages", "tools", "meta")] == [
        value[name] for name in ("messages", "tools", "meta")
    ]
    assert (chat["trace_version"], chat["prompt"]) == ("1.1", "How far is 3 miles in km?")
    assert [step["content"] for step in chat["steps"]] == [
        "1 mile is 1.609 km.",
        "3 * 1.609 = 4.828",
    ]
    assert (chat["final_answer"], masked["final_answer"]) == ("4.8 km", "Bye")
    assert (masked["tools"], masked["steps"]) == ([], [])
    assert cli("trace", "show", CHAT[:16], "--json").document == {"schema_version": "1"} | chat


def test_a_conversation_is_shown_turn_by_turn(cli: Callable[..., Outcome], store: Store) -> None:
    assert cli("trace", "show", CHAT).out == (
        f"trace {CHAT} (active)\n"
        "source: chat\n"
        "baseline score: 11.80\n\n"
        "1 tool: multiply\n\n"
        "  1. [system] Be brief.\n"
        "  2. [user] How far is 3 miles in km?\n"
        "  3. [assistant reasoning] 1 mile is 1.609 km.\n3 * 1.609 = 4.828\n"
        '  3. [assistant calls multiply (c1)] {"a":3,"b":1.609}\n'
        "  4. [tool (c1)] 4.827\n"
        "  5. [assistant] About 4.8 km.\n\n"
        "Answer: 4.8 km\n"
    )


def test_masked_turns_are_marked_and_control_characters_are_visible(
    cli: Callable[..., Outcome], store: Store
) -> None:
    shown = cli("trace", "show", HELLO).out
    assert "  1. [user Ann⏎] Hi␛[31m\n  2. [assistant, masked] Hello\n  3. [user] Bye\n" in shown
    assert "Answer:" not in shown


def test_two_conversations_are_compared_message_by_message(
    cli: Callable[..., Outcome], store: Store
) -> None:
    value = conversation_value()
    value["messages"][4]["content"] = "4.83 km."
    (other,), _ = store.traces.add(value)
    compared = cli("trace", "compare", CHAT, other)
    assert f"a {CHAT}  score" in compared.out
    assert f"b {other}  score" in compared.out
    assert compared.out.endswith(
        "    4. tool (c1): 4.827\n-   5. assistant: About 4.8 km.\n+   5. assistant: 4.83 km.\n"
    )
    document = cli("trace", "compare", CHAT, other, "--json").document
    assert [step["change"] for step in document["steps"]] == ["same", "same"]
    assert [turn["change"] for turn in document["turns"]] == ["same"] * 5 + ["changed"]


def test_a_conversation_is_compared_with_a_trace_as_one_of_a_single_turn(
    cli: Callable[..., Outcome], store: Store
) -> None:
    plain = trace_id(payload_of(trace()))
    document = cli("trace", "compare", plain, CHAT, "--json").document
    assert [turn["a_content"] for turn in document["turns"] if turn["a_number"]] == [
        "user: What is 15 + 27?",
        "assistant reasoning: Parse the addition problem\nAdd 15 and 27",
        "assistant: 42",
    ]
    assert cli("trace", "compare", plain, plain, "--json").document["turns"] == []


def test_a_conversation_is_scored_labelled_superseded_retracted_and_reinstated(
    cli: Callable[..., Outcome], store: Store
) -> None:
    scores = cli("trace", "score", CHAT, HELLO, "--json").document["scores"]
    assert [score["score"] for score in scores] == [11.8, 0.0]
    assert [score["details"]["step_count"] for score in scores] == [2, 0]
    assert cli("trace", "label", CHAT, "quality=good").code == 0
    assert cli("trace", "supersede", HELLO, "--by", CHAT).code == 0
    assert cli("trace", "retract", CHAT, "--reason", "wrong").code == 0
    assert cli("trace", "reinstate", CHAT, HELLO).code == 0
    _, chat, hello = cli("trace", "list", "--json").document["traces"]
    assert (chat["labels"], chat["scores"]) == ({"quality": "good"}, {"baseline": 11.8})
    assert (chat["state"], hello["state"]) == ("active", "active")
    again = cli("trace", "import", "mixed.jsonl", "--from", "tunixrt", "--json").document
    assert (again["recorded"], again["duplicates"]) == (0, 3)


def test_a_redacted_conversation_is_gone_and_what_quotes_a_later_turn_is_named(
    cli: Callable[..., Outcome], store: Store, tmp_path: Path
) -> None:
    sample = {"id": "q", "prompt": "Then: Bye", "expected_answer": "?"}
    write_lines(tmp_path / "evalsets" / "quoting.jsonl", [sample])
    done = cli("trace", "redact", HELLO, "--reason", "asked for", "--json").document
    assert done["remains"]["quoting_files"] == ["evalsets/quoting.jsonl"]
    assert not [p for p in (tmp_path / "store").rglob("*.jsonl") if b"Hello" in p.read_bytes()]
    assert cli("verify").code == 0
    again = cli("trace", "import", "mixed.jsonl", "--from", "tunixrt", "--json").document
    assert (again["duplicates"], again["dropped_reasons"]) == (2, {"redacted before": 1})


def test_a_conversation_is_added_from_standard_input(tmp_path: Path, store: Store) -> None:
    def add(value: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "tunixrt", "trace", "add", "-"],
            cwd=tmp_path,
            input=json.dumps(value),
            capture_output=True,
            text=True,
            check=False,
        )

    whole = turns("1+1?", "2")
    done = add(json.loads(payload_of(whole)))
    assert (done.returncode, done.stdout) == (0, trace_id(payload_of(whole)) + "\n")
    refused = add(conversation_value(messages=[{"role": "user", "content": "?"}]))
    assert refused.returncode == 2
    assert 'The field "messages" should be a list of 2 to 10,000 messages' in refused.stderr


def test_a_dataset_of_conversations_is_built_exported_and_imported_elsewhere(
    cli: Callable[..., Outcome], store: Store, tmp_path: Path
) -> None:
    built = cli("dataset", "build", "mixed", "v1", "--json").document
    assert built["trace_count"] == 3
    # The steps of the flat views; the characters of prompt, steps and answer, or of all messages.
    shown = cli("dataset", "show", "mixed-v1", "--json").document["manifest"]
    assert shown["stats"] == {
        "avg_step_count": 1.33,
        "max_step_count": 2,
        "min_step_count": 0,
        "avg_total_chars": 54.67,
    }
    assert cli("dataset", "export", "mixed-v1", "--format", "trace", "-o", "rows.jsonl").code == 0
    rows = {row["id"]: row for row in lines_of(tmp_path / "rows.jsonl")}
    assert rows[CHAT]["messages"] == conversation_value()["messages"]
    assert cli("init", "other").code == 0
    imported = cli(
        "trace", "import", "rows.jsonl", "--from", "trace", "--store", "other", "--json"
    ).document
    assert imported["recorded"] == 3
    for state in Store.open(tmp_path / "other").traces:
        assert state.content == store.traces[state.id].content
    assert cli("verify", "--rebuild").code == 0


def test_a_bad_conversation_gets_its_line_and_its_field(
    cli: Callable[..., Outcome], store: Store, tmp_path: Path
) -> None:
    bad = conversation_value()
    bad["messages"][2]["tool_calls"][0]["arguments"] = "{}"
    write_lines(tmp_path / "bad.jsonl", [conversation_value(), bad])
    refused = cli("trace", "import", "bad.jsonl", "--from", "tunixrt")
    assert refused.code == 2
    assert (
        'bad.jsonl, line 2: The field "messages[2].tool_calls[0].arguments" should be an object, '
        'but is the text "{}".'
    ) in refused.err
    kept = cli(
        "trace", "import", "bad.jsonl", "--from", "tunixrt", "--on-error", "quarantine", "--json"
    ).document
    assert (kept["duplicates"], kept["rejected"]) == (1, 1)
    (reject,) = lines_of(tmp_path / "bad.jsonl.rejects.jsonl")
    assert reject["field"] == "messages[2].tool_calls[0].arguments"
