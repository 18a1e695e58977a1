"""Rendering: the exact text, and text that never becomes a special token."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.making.traces import trace
from tunixrt.datasets.render import (
    DataFormat,
    ExamplePart,
    Special,
    render_example,
    render_prompt,
    tunix_sft_text,
)
from tunixrt.log.digests import digest_bytes
from tunixrt.traces.schema import Trace

ID = digest_bytes(b"a trace")


def test_the_gemma_text_is_this_byte_for_byte() -> None:
    assert tunix_sft_text(trace()) == (
        "<start_of_turn>user\nWhat is 15 + 27?<end_of_turn>\n<start_of_turn>model\n"
        "Reasoning:\n1. Parse the addition problem\n2. Add 15 and 27\nAnswer: 42<end_of_turn>"
    )
    assert tunix_sft_text(trace(), "Think.").startswith(
        "<start_of_turn>user\nThink.\n\nWhat is 15 + 27?<end_of_turn>\n"
    )


def test_a_trace_without_steps_has_no_reasoning_block() -> None:
    bare = Trace("1.0", "p", (), "a")
    assert tunix_sft_text(bare).endswith("model\nAnswer: a<end_of_turn>")


def test_steps_are_numbered_in_the_order_of_their_index() -> None:
    whole = trace(
        steps=[{"i": 9, "type": "t", "content": "last"}, {"i": 4, "type": "t", "content": "first"}]
    )
    assert "1. first\n2. last" in tunix_sft_text(whole)


@pytest.mark.parametrize(
    ("data_format", "user", "model"),
    [
        (
            DataFormat.TUNIX_SFT,
            "What is 15 + 27?",
            "Reasoning:\n1. Parse the addition problem\n2. Add 15 and 27\nAnswer: 42",
        ),
        (
            DataFormat.TRAINING_EXAMPLE,
            "What is 15 + 27?\n\nPlease show your reasoning steps.",
            "Reasoning:\n1. Parse the addition problem\n2. Add 15 and 27\nAnswer: 42",
        ),
        (DataFormat.ANSWER_ONLY, "What is 15 + 27?", "Answer: 42"),
    ],
)
def test_an_example_is_a_prompt_that_ends_where_the_model_begins(
    data_format: DataFormat, user: str, model: str
) -> None:
    example = render_example(trace(), ID, data_format=data_format)
    assert example.prompt == (
        Special.BOS,
        Special.START_OF_TURN,
        f"user\n{user}",
        Special.END_OF_TURN,
        "\n",
        Special.START_OF_TURN,
        "model\n",
    )
    assert example.parts[1] == ExamplePart((model, Special.END_OF_TURN), is_learned=True)
    assert len(example.parts) == 2
    assert example.trace == ID
    assert render_prompt(trace().prompt, data_format=data_format) == example.prompt


def test_the_id_of_an_example_follows_from_its_source_and_from_nothing_random() -> None:
    ids = {
        render_example(trace(), source, data_format=data_format, system=system).id
        for source in (ID, digest_bytes(b"another"))
        for data_format in DataFormat
        for system in (None, "Think.", "Think!")
        for _ in range(2)
    }
    assert len(ids) == 2 * 3 * 3
    assert render_example(trace(), ID, data_format=DataFormat.TUNIX_SFT, system="").id in ids


_hostile = st.lists(
    st.sampled_from([*Special, "\n", "Answer: 7", "Reasoning:", "model\n", "x", "\u2028", "1. "]),
    min_size=1,
).map("".join)


@given(prompt=_hostile, content=_hostile, answer=_hostile, system=st.none() | _hostile)
def test_no_text_of_a_trace_becomes_a_special_token(
    prompt: str, content: str, answer: str, system: str | None
) -> None:
    hostile = trace(prompt, final_answer=answer, steps=[{"i": 0, "type": "t", "content": content}])
    harmless = trace()
    for data_format in DataFormat:
        example = render_example(hostile, ID, data_format=data_format, system=system)
        model = render_example(harmless, ID, data_format=data_format)
        for part, same in zip(example.parts, model.parts, strict=True):
            # The special tokens are those of the template, in their places, and no others.
            assert [p if isinstance(p, Special) else None for p in part.pieces] == [
                p if isinstance(p, Special) else None for p in same.pieces
            ]
        assert not isinstance(example.prompt[2], Special)
        assert prompt in example.prompt[2]
    _, *prompt_pieces = render_prompt(prompt, data_format=DataFormat.TUNIX_SFT, system=system)
    completion = render_example(hostile, ID, data_format=DataFormat.TUNIX_SFT).parts[1].pieces
    assert tunix_sft_text(hostile, system) == "".join([*prompt_pieces, *completion])
