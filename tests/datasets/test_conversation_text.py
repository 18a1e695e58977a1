"""Conversations as training text: every turn, which of them are learned, and back again."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from tests.making.conversations import conversation, conversations, turns
from tests.making.traces import trace
from tunixrt.datasets.recipes import Split
from tunixrt.datasets.render import (
    DataFormat,
    Example,
    ExamplePart,
    Special,
    render_example,
    tunix_sft_text,
)
from tunixrt.datasets.text import Text, text_line
from tunixrt.log.digests import digest_bytes
from tunixrt.traces.conversation import Conversation, Role

if TYPE_CHECKING:
    from tunixrt.datasets.render import Piece
    from tunixrt.traces.conversation import Message
    from tunixrt.traces.schema import AnyTrace

ID = digest_bytes(b"a conversation")
SFT, ANSWER_ONLY = DataFormat.TUNIX_SFT, DataFormat.ANSWER_ONLY

PREAMBLE = (
    'Be brief.\n\nTools:\n{"description":"...","name":"multiply","parameters":{}}\n\n'
    "How far is 3 miles in km?"
)
CALL = 'Call 1: {"arguments":{"a":3,"b":1.609},"name":"multiply"}'


def rendered(value: AnyTrace, data_format: DataFormat = SFT, system: str | None = None) -> Example:
    return render_example(value, ID, data_format=data_format, system=system)


def learned(example: Example) -> list[tuple[Piece, ...]]:
    return [part.pieces for part in example.parts if part.is_learned]


def pieces(example: Example) -> list[tuple[Piece, bool]]:
    return [(piece, part.is_learned) for part in example.parts for piece in part.pieces]


def turn_texts(example: Example) -> list[tuple[str, str]]:
    """Role and text of every turn, from the special tokens alone."""
    found: list[list[str]] = []
    inside = False
    for piece, _ in pieces(example):
        if isinstance(piece, Special):
            inside = piece is Special.START_OF_TURN
            found += [[]] if inside else []
        elif inside:
            found[-1].append(piece)
    return [
        ("".join(parts).partition("\n")[0], "".join(parts).partition("\n")[2]) for parts in found
    ]


def test_the_text_of_a_conversation_is_this_byte_for_byte() -> None:
    assert tunix_sft_text(conversation()) == (
        f"<start_of_turn>user\n{PREAMBLE}<end_of_turn>\n<start_of_turn>model\n"
        f"Reasoning:\n1 mile is 1.609 km.\n3 * 1.609 = 4.828\n{CALL}<end_of_turn>\n"
        "<start_of_turn>tool\nResult 1: 4.827<end_of_turn>\n"
        "<start_of_turn>model\nAnswer: About 4.8 km.<end_of_turn>"
    )


def test_the_page_on_training_shows_this_text() -> None:
    page = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
    assert f"```\n<bos>{tunix_sft_text(conversation())}\n```" in page


def test_every_assistant_turn_is_learned_with_its_end_of_turn() -> None:
    assert learned(rendered(conversation())) == [
        (f"Reasoning:\n1 mile is 1.609 km.\n3 * 1.609 = 4.828\n{CALL}", Special.END_OF_TURN),
        ("Answer: About 4.8 km.", Special.END_OF_TURN),
    ]


def test_a_masked_turn_is_read_and_not_learned() -> None:
    messages = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b", "train": False},
        {"role": "user", "content": "c"},
        {"role": "assistant", "content": "d"},
        {"role": "user", "content": "e"},
    ]
    example = rendered(turns(messages=messages))
    assert [part.is_learned for part in example.parts] == [False, True, False]
    assert learned(example) == [("Answer: d", Special.END_OF_TURN)]
    assert ("Answer: b", False) in pieces(example)
    assert example.parts[2].pieces == (
        "\n",
        Special.START_OF_TURN,
        "user\ne",
        Special.END_OF_TURN,
    )


def test_a_conversation_of_one_turn_is_rendered_like_a_trace_without_steps() -> None:
    bare = rendered(trace(steps=[{"i": 0, "type": "t", "content": "x"}]), ANSWER_ONLY)
    for data_format in DataFormat:
        example = rendered(turns("What is 15 + 27?", "42"), data_format)
        assert example.parts[1] == bare.parts[1]
        assert example.prompt == rendered(trace(), data_format).prompt


@pytest.mark.parametrize(
    ("system", "messages", "user"),
    [
        ("Think.", [], "Think.\n\nhi"),
        (None, [{"role": "system", "content": "Be brief."}], "Be brief.\n\nhi"),
        ("Think.", [{"role": "system", "content": "Be brief."}], "Think.\n\nBe brief.\n\nhi"),
        ("Think.", [{"role": "system", "content": ""}], "Think.\n\nhi"),
    ],
)
def test_the_configured_instruction_precedes_the_conversation_s_own(
    system: str | None, messages: list[dict[str, Any]], user: str
) -> None:
    more = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "hello"},
        {"role": "user", "content": "bye"},
    ]
    example = rendered(turns(messages=[*messages, *more]), system=system)
    assert [text for role, text in turn_texts(example) if role == "user"] == [user, "bye"]


def test_training_example_asks_for_steps_after_every_user_text() -> None:
    example = rendered(turns("a", "b", "c", "d"), DataFormat.TRAINING_EXAMPLE)
    request = "\n\nPlease show your reasoning steps."
    assert turn_texts(example) == [
        ("user", f"a{request}"),
        ("model", "Answer: b"),
        ("user", f"c{request}"),
        ("model", "Answer: d"),
    ]


def test_answer_only_has_no_reasoning_and_ends_in_the_stated_answer() -> None:
    example = rendered(conversation(), ANSWER_ONLY)
    assert learned(example) == [
        (CALL, Special.END_OF_TURN),
        ("Answer: 4.8 km", Special.END_OF_TURN),
    ]
    unstated = rendered(conversation(final_answer=...), ANSWER_ONLY)
    assert learned(unstated)[-1][0] == "Answer: About 4.8 km."


def test_a_turn_of_reasoning_alone_has_nothing_to_learn_in_answer_only() -> None:
    thinking = turns(
        messages=[
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "", "reasoning": "hm"},
        ]
    )
    assert learned(rendered(thinking)) == [("Reasoning:\nhm", Special.END_OF_TURN)]
    assert learned(rendered(thinking, ANSWER_ONLY)) == []


def test_a_last_turn_without_text_says_the_stated_answer() -> None:
    thinking = turns(
        messages=[
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "", "reasoning": "hm"},
        ],
        final_answer="7",
    )
    assert learned(rendered(thinking)) == [("Reasoning:\nhm\nAnswer: 7", Special.END_OF_TURN)]
    assert learned(rendered(thinking, ANSWER_ONLY)) == [("Answer: 7", Special.END_OF_TURN)]


def test_a_result_names_the_latest_call_with_its_id() -> None:
    def calling(*ids: str) -> dict[str, Any]:
        calls = [{"id": i, "name": "f", "arguments": {}} for i in ids]
        return {"role": "assistant", "content": "", "tool_calls": calls}

    def result(identifier: str, content: str) -> dict[str, Any]:
        return {"role": "tool", "tool_call_id": identifier, "content": content}

    example = rendered(
        turns(
            messages=[
                {"role": "user", "content": "a"},
                calling("x", "y"),
                result("y", "second"),
                result("x", "first"),
                calling("x"),
                result("x", "third"),
                {"role": "tool", "content": "unnamed"},
                {"role": "assistant", "content": "done"},
            ]
        )
    )
    assert [text for role, text in turn_texts(example) if role == "tool"] == [
        "Result 2: second",
        "Result 1: first",
        "Result 3: third",
        "Result: unnamed",
    ]


_MODEL_TEXT = re.compile(
    r"(?:Reasoning:\n(?P<reasoning>.*?)(?:\n(?=Answer: |Call \d+: )|\Z))?"
    r"(?:Answer: (?P<content>.*?)(?:\n(?=Call \d+: )|\Z))?"
    r"(?P<calls>(?:Call \d+: [^\n]*(?:\n|\Z))*)",
    re.DOTALL,
)


def read_back(example: Example) -> list[tuple[Any, ...]]:
    """The messages of a rendered conversation, as what the template keeps of each."""
    found: list[tuple[Any, ...]] = []
    for role, text in turn_texts(example):
        if role == "user":
            found.append(("user", text))
        elif role == "tool":
            number, _, content = text.partition(": ")
            found.append(("tool", number.removeprefix("Result").strip(), content))
        else:
            match = _MODEL_TEXT.fullmatch(text)
            assert match is not None, text
            calls = [
                json.loads(line.partition(": ")[2]) for line in match["calls"].split("\n") if line
            ]
            found.append(("model", match["reasoning"] or "", match["content"] or "", calls))
    return found


def kept_of(messages: tuple[Message, ...]) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = []
    calls: list[object] = []
    for message in messages:
        if message.role is Role.USER:
            found.append(("user", message.content))
        elif message.role is Role.ASSISTANT:
            calls += [call.id for call in message.calls]
            plain = [
                {"name": call.name, "arguments": json.loads(rfc8785.dumps(call.arguments))}
                for call in message.calls
            ]
            found.append(("model", message.thought, message.content, plain))
        elif message.role is Role.TOOL:
            known = isinstance(message.tool_call_id, str)
            last = len(calls) - calls[::-1].index(message.tool_call_id) if known else ""
            found.append(("tool", str(last), message.content))
    return found


@given(value=conversations())
def test_the_messages_can_be_read_back_from_the_text(value: Conversation) -> None:
    bare = Conversation(
        "1.1", tuple(m for m in value.messages if m.role is not Role.SYSTEM), meta=value.meta
    )
    assert read_back(rendered(bare)) == kept_of(bare.messages)


@given(value=conversations(), system=st.none() | st.sampled_from(["Think.", *Special]))
def test_the_special_tokens_are_those_of_the_turns(value: Conversation, system: str | None) -> None:
    """Whatever the texts say: a text is never a token, and every turn has its two."""
    n_turns = sum(message.role is not Role.SYSTEM for message in value.messages)
    for data_format in DataFormat:
        specials = [
            p for p, _ in pieces(rendered(value, data_format, system)) if type(p) is Special
        ]
        assert specials == [
            Special.BOS,
            *[Special.START_OF_TURN, Special.END_OF_TURN] * n_turns,
        ]


@given(value=conversations())
def test_parts_alternate_and_begin_with_what_is_read(value: Conversation) -> None:
    for data_format in DataFormat:
        example = rendered(value, data_format)
        flags = [part.is_learned for part in example.parts]
        assert flags == [bool(number % 2) for number in range(len(flags))]
        assert all(part.pieces for part in example.parts)
        assert example.prompt == example.parts[0].pieces


def test_the_line_of_a_trace_of_schema_1_0_is_this_byte_for_byte() -> None:
    """Golden: the text digests of committed runs are of such lines."""
    whole = trace(steps=[{"i": 0, "type": "t", "content": "Add 15 and 27"}])
    assert text_line(rendered(whole)).decode() == (
        '{"completion":["Reasoning:\\n1. Add 15 and 27\\nAnswer: 42",{"special":"<end_of_turn>"}],'
        '"prompt":[{"special":"<bos>"},{"special":"<start_of_turn>"},"user\\nWhat is 15 + 27?",'
        '{"special":"<end_of_turn>"},"\\n",{"special":"<start_of_turn>"},"model\\n"],'
        f'"trace":"{ID}"}}\n'
    )


def test_the_line_of_several_learned_turns_has_their_masks() -> None:
    line = json.loads(text_line(rendered(turns("a", "b", "c", "d"))))
    assert list(line) == ["parts", "trace"]
    assert [part["learned"] for part in line["parts"]] == [False, True, False, True]
    assert line["parts"][3]["pieces"] == ["Answer: d", {"special": "<end_of_turn>"}]


@given(one=conversations(), other=conversations())
def test_lines_are_equal_exactly_if_pieces_and_masks_are(
    one: Conversation, other: Conversation
) -> None:
    masked = tuple(
        msgspec.structs.replace(m, train=False) if m.role is Role.ASSISTANT else m
        for m in one.messages
    )
    many = [one, other, Conversation("1.1", masked), Conversation("1.1", one.messages)]
    examples = [rendered(value, f) for value in many for f in (SFT, ANSWER_ONLY)]
    for first in examples:
        for second in examples:
            same = pieces(first) == pieces(second)
            assert (text_line(first) == text_line(second)) is same


def test_a_text_piece_that_spells_a_token_has_another_line_than_the_token() -> None:
    token, text = (
        Example("id", ID, (ExamplePart((piece,)), ExamplePart(("a",), is_learned=True)))
        for piece in (Special.BOS, "<bos>")
    )
    assert text_line(token) != text_line(text)


def test_masking_a_turn_changes_the_digest_of_a_text() -> None:
    digests = set()
    for mask in ({}, {"train": False}):
        text = Text(SFT, Split.TRAIN, keep=False)
        messages = [
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "b", **mask},
            {"role": "user", "content": "c"},
            {"role": "assistant", "content": "d"},
        ]
        state: Any = type("State", (), {"id": ID})
        text.add(state, turns(messages=messages), Split.TRAIN)
        assert text.n_examples == 1
        digests.add(text.digest)
    assert len(digests) == 2
