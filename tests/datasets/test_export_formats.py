"""The formats of messages and steps, and the quick lines, which equal the rows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.making.conversations import conversation, turns
from tests.making.traces import Place, trace
from tunixrt.datasets.building import build_dataset, load_dataset
from tunixrt.datasets.exports import (
    REBUILT_FORMATS,
    Export,
    ExportError,
    ExportFormat,
    ExportLines,
    row_settings,
)
from tunixrt.datasets.exports.columns import Columns, Held, columns_of
from tunixrt.datasets.exports.formats import CHAT_FORMATS, Reasoning
from tunixrt.datasets.exports.quick import quick_line, quick_writer
from tunixrt.datasets.exports.rows import Member, row_of
from tunixrt.datasets.reading import DatasetReader
from tunixrt.datasets.recipes import Split, make_recipe
from tunixrt.datasets.render import DataFormat, response
from tunixrt.log.canonical import encode
from tunixrt.log.redaction import redact
from tunixrt.traces.facts import labelled
from tunixrt.traces.schema import payload_of, trace_id, trace_of

if TYPE_CHECKING:
    from tunixrt.traces.schema import Trace

MESSAGES, PAIRS = ExportFormat.MESSAGES, ExportFormat.PROMPT_COMPLETION


def build(place: Place, version: str = "v1") -> None:
    build_dataset(place.layout, place.log, "d", version, make_recipe())


def only(place: Place, export_format: ExportFormat, **options: Any) -> dict[str, Any]:
    """The row of a dataset of one trace, without its id."""
    build(place)
    _, (row,), _ = place.export("d-v1", export_format, **options)
    del row["id"]
    return row


def test_a_trace_is_a_question_and_an_answer_with_its_reasoning(place: Place) -> None:
    place.record(trace())
    reasoning = "Parse the addition problem\nAdd 15 and 27"
    answer = {"role": "assistant", "content": "42", "reasoning_content": reasoning}
    asked = {"role": "user", "content": "What is 15 + 27?"}
    assert only(place, MESSAGES) == {"messages": [asked, answer]}
    assert only(place, PAIRS) == {"prompt": [asked], "completion": [answer]}
    system = {"role": "system", "content": "Think."}
    assert only(place, MESSAGES, system="Think.") == {"messages": [system, asked, answer]}


def test_a_system_message_without_text_adds_no_blank_line_to_the_instruction(place: Place) -> None:
    said = [("system", ""), ("user", "Hi!"), ("assistant", "Hello!")]
    messages = [{"role": role, "content": content} for role, content in said]
    place.record(conversation(messages=messages, tools=..., final_answer=...))
    first, *_ = only(place, MESSAGES, system="Think.")["messages"]
    assert first == {"role": "system", "content": "Think."}


@pytest.mark.parametrize(
    ("reasoning", "answer"),
    [
        ("reasoning_content", {"content": "42", "reasoning_content": "a\nb"}),
        ("thinking", {"content": "42", "thinking": "a\nb"}),
        ("tags", {"content": "<think>\na\nb\n</think>\n\n42"}),
        ("none", {"content": "42"}),
    ],
)
def test_reasoning_is_where_the_chat_template_reads_it(
    place: Place, reasoning: str, answer: dict[str, str]
) -> None:
    steps = [{"i": n, "type": "t", "content": text} for n, text in enumerate("ab")]
    place.record(trace(steps=steps))
    row = only(place, MESSAGES, reasoning=reasoning)
    assert row["messages"][1] == {"role": "assistant", **answer}


def test_a_conversation_has_its_tools_and_calls_as_chat_templates_read_them(place: Place) -> None:
    place.record(conversation())
    row = only(place, MESSAGES, system="Think.")
    assert json.loads(row["tools"]) == [
        {
            "type": "function",
            "function": {"name": "multiply", "description": "...", "parameters": {}},
        }
    ]
    assert row["messages"] == [
        {"role": "system", "content": "Think.\n\nBe brief."},
        {"role": "user", "content": "How far is 3 miles in km?"},
        {
            "role": "assistant",
            "content": "",
            "reasoning_content": "1 mile is 1.609 km.\n3 * 1.609 = 4.828",
            "tool_calls": [
                {
                    "id": "c1",
                    "type": "function",
                    "function": {"name": "multiply", "arguments": {"a": 3, "b": 1.609}},
                }
            ],
        },
        {"role": "tool", "content": "4.827", "tool_call_id": "c1"},
        {"role": "assistant", "content": "About 4.8 km.", "reasoning_content": ""},
    ]


def test_every_row_has_tools_once_one_conversation_offers_some(place: Place) -> None:
    place.record(trace(), conversation())
    build(place)
    for export_format in CHAT_FORMATS:
        _, rows, _ = place.export("d-v1", export_format)
        assert sorted(json.loads(row["tools"]) != [] for row in rows) == [False, True]


def masked(*learned: bool, answers: int = 0) -> Any:
    """A conversation whose assistant's turns are learned or not, and turns of the user after it."""
    messages: list[dict[str, Any]] = []
    for number, is_learned in enumerate(learned):
        messages.append({"role": "user", "content": f"{number}?"})
        said = {"role": "assistant", "content": f"{number}."}
        messages.append(said if is_learned else {**said, "train": False})
    messages += [{"role": "user", "content": "Thanks."}] * answers
    return conversation(messages=messages, tools=..., final_answer=...)


def test_a_masked_turn_is_marked_and_counted(place: Place) -> None:
    place.record(masked(False, True), masked(True, True))
    build(place)
    report, rows, _ = place.export("d-v1", MESSAGES)
    weights = {tuple(m.get("weight") for m in row["messages"]) for row in rows}
    assert weights == {(None, 0, None, None), (None,) * 4}
    assert report.n_with_masked_turns == 1


def test_the_completion_is_the_last_turn_that_is_learned(place: Place) -> None:
    place.record(masked(True, True), masked(True, False), masked(True, answers=1), masked(False))
    build(place)
    report, rows, _ = place.export("d-v1", PAIRS)
    pairs = sorted((len(row["prompt"]), row["completion"][0]["content"]) for row in rows)
    assert pairs == [(1, "0."), (1, "0."), (3, "1.")]
    assert (report.rows, report.n_cut) == (3, 2)
    assert report.omitted == {"no turn is learned": 1}


def test_a_dataset_of_which_nothing_is_learned_has_no_pairs(place: Place) -> None:
    place.record(masked(False))
    build(place)
    with pytest.raises(ExportError, match="No trace of d-v1 has a turn that is learned"):
        place.export("d-v1", PAIRS)


def test_the_text_is_what_a_tokenizer_reads_for_gemma(place: Place) -> None:
    place.record(trace())
    assert only(place, ExportFormat.TEXT, system="Think.") == {
        "text": "<start_of_turn>user\nThink.\n\nWhat is 15 + 27?<end_of_turn>\n"
        "<start_of_turn>model\nReasoning:\n1. Parse the addition problem\n2. Add 15 and 27\n"
        "Answer: 42<end_of_turn>"
    }


def test_the_text_of_a_conversation_has_every_turn(place: Place) -> None:
    place.record(turns("Hello?", "Yes.", "1 + 1?", "2"))
    build(place)
    for export_format, field in ((ExportFormat.TEXT, "text"), (ExportFormat.TUNIX_SFT, "prompts")):
        _, (row,), _ = place.export("d-v1", export_format)
        assert row[field].count("<start_of_turn>model") == 2
        assert "<bos>" not in row[field]


def test_steps_are_right_until_one_is_labelled_wrong(place: Place) -> None:
    def numbered(prompt: str) -> Trace:
        steps = [{"i": i, "type": "t", "content": f"step {i}"} for i in (2, 5, 9)]
        return trace(prompt, steps=steps)

    a, b, _ = place.record(numbered("a"), numbered("b"), numbered("c"))
    place.say(labelled(a, "step.5", "wrong"), labelled(b, "step.2", "right"))
    place.say(labelled(b, "step.5", "wrong"), labelled(b, "step.9", "right"))
    build(place)
    report, rows, _ = place.export("d-v1", ExportFormat.STEPWISE, system="S")
    assert {row["prompt"]: row["labels"] for row in rows} == {
        "S\n\na": [True, False, False],
        "S\n\nb": [True, False, True],
    }
    assert rows[0]["completions"] == ["step 2", "step 5", "step 9"]
    assert (report.rows, report.omitted) == (2, {"no labels on its steps": 1})


def test_steps_without_labels_are_refused_with_the_command_that_labels_them(place: Place) -> None:
    place.record(trace())
    build(place)
    with pytest.raises(ExportError, match=r"`tunixrt trace label ID step\.0=right step\.1=wrong`"):
        place.export("d-v1", ExportFormat.STEPWISE)


def test_settings_that_have_no_effect_are_refused() -> None:
    with pytest.raises(ExportError, match="The format text has no messages"):
        row_settings(ExportFormat.TEXT, reasoning="tags")
    with pytest.raises(ExportError, match=r'written as "tag"\. Did you mean "tags"\?'):
        row_settings(MESSAGES, reasoning="tag")


_text = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from('\n"\\\u2028\ue000'))
_some = _text.filter(bool)
_traces = st.builds(
    lambda prompt, answer, contents, meta: trace_of(
        {
            "trace_version": "1.0",
            "prompt": prompt,
            "final_answer": answer,
            "steps": [{"i": i, "type": "t", "content": c} for i, c in enumerate(contents)],
            "meta": meta,
        }
    ),
    _some,
    _some,
    st.lists(_some, min_size=1, max_size=3),
    st.dictionaries(
        _text | st.sampled_from(["format", "trace_version", "meta.format"]),
        _text | st.integers(0, 9) | st.floats(allow_nan=False, allow_infinity=False),
        max_size=3,
    ),
)
_ways = st.builds(
    lambda f, split, system, reasoning: row_settings(
        f,
        split="all" if split else "train",
        system=system or None,
        reasoning=reasoning if f in CHAT_FORMATS else None,
    ),
    st.sampled_from([ExportFormat.TUNIX_SFT, ExportFormat.TEXT, ExportFormat.MESSAGES, PAIRS]),
    st.booleans(),
    _text,
    st.sampled_from(Reasoning),
)


@settings(max_examples=150)
@given(_traces, _ways, st.booleans(), st.none() | st.just("2026-01-31T12:00:00Z"))
def test_a_quick_line_is_the_row(
    one: Trace, way: Any, with_tools: bool, recorded_at: str | None
) -> None:
    write = quick_writer(way, with_tools=with_tools)
    assert write is not None
    payload = payload_of(one)
    digest = trace_id(payload)
    row = row_of(
        Member(digest, one, Split.TRAIN, recorded_at, {}), way, with_tools=with_tools
    ).value
    # Twice: the second time, metadata is known.
    for _ in range(2):
        quick = write(payload, digest, Split.TRAIN, recorded_at)
        assert isinstance(quick, msgspec.Struct)
        assert quick_line(quick) == encode(row)
        columns = Columns(columns_of(way, Held(conversations=False, tools=with_tools)))
        assert columns.cells([quick]) == columns.cells([encode(row)])


def test_a_conversation_or_another_version_has_no_quick_line() -> None:
    write = quick_writer(row_settings(ExportFormat.TEXT), with_tools=False)
    assert write is not None
    for other in (turns("Hello?", "Yes."), trace(trace_version="1.0b")):
        payload = payload_of(other)
        assert write(payload, trace_id(payload), Split.TRAIN, None) is None


def test_what_verify_derives_is_what_is_exported(place: Place) -> None:
    a, *_ = place.record(
        *(trace(f"Problem <bos> {n}", meta={"n": n}) for n in range(4)),
        conversation(meta={"format": "mine"}),
        recorded_at="2026-01-31T12:00:00Z",
    )
    build(place)
    redact(place.log, [a])
    dataset = load_dataset(place.layout, "d-v1")
    derived = [Export(one, split="all") for one in REBUILT_FORMATS]
    with DatasetReader(place.log) as reader:
        reader.pour(dataset, derived)
    exported = [place.export("d-v1", one, split="all")[0] for one in REBUILT_FORMATS]
    assert [one.report() for one in derived] == [
        msgspec.structs.replace(one, files=[]) for one in exported
    ]
    assert exported[0].omitted == {"redacted": 1}


def test_a_text_export_answers_as_training_does(place: Place) -> None:
    place.record(*(trace(f"Problem {n}") for n in range(3)), trace(trace_version="other"))
    build(place)
    with ExportLines(
        place.log, load_dataset(place.layout, "d-v1"), row_settings(ExportFormat.TEXT)
    ) as lines:
        texts = [json.loads(line)["text"] for batch in lines.batches() for line in batch]
    assert len(texts) == 4
    assert all(response(trace(), DataFormat.TUNIX_SFT) in text for text in texts)
