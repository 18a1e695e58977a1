"""Schema 1.1: what a conversation is, what its limits are, and how it gets its id."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from tests.making.conversations import conversation, conversation_value, conversations, turns
from tests.making.traces import trace, value
from tunixrt.log.canonical import CanonicalError
from tunixrt.traces.conversation import (
    MAX_MESSAGES,
    MAX_TEXT,
    Conversation,
    Message,
    Role,
    conversation_of,
    conversation_violations,
)
from tunixrt.traces.schema import (
    MAX_PAYLOAD_BYTES,
    Trace,
    any_trace_of,
    parse_payload,
    payload_of,
    trace_id,
)
from tunixrt.traces.views import answer_of, chat_view, flat_view, n_steps_of
from tunixrt.traces.violations import TraceError

USER = {"role": "user", "content": "Q?"}
ASSISTANT = {"role": "assistant", "content": "A."}
CALL = {"id": "c1", "name": "f", "arguments": {}}
CALLING = {"role": "assistant", "content": "", "tool_calls": [CALL]}


def said(*messages: object, **changes: Any) -> dict[str, Any]:
    """A conversation of these messages as a plain value, without tools and final answer."""
    whole: dict[str, Any] = {"messages": [*messages], "tools": ..., "final_answer": ..., **changes}
    return conversation_value(**whole)


def test_the_payload_and_the_id_of_the_documented_example_are_these_bytes() -> None:
    payload = payload_of(conversation())
    assert payload == (
        b'{"final_answer":"4.8 km","messages":[{"content":"Be brief.","role":"system"},'
        b'{"content":"How far is 3 miles in km?","role":"user"},'
        b'{"content":"","reasoning":"1 mile is 1.609 km.\\n3 * 1.609 = 4.828","role":"assistant",'
        b'"tool_calls":[{"arguments":{"a":3,"b":1.609},"id":"c1","name":"multiply"}]},'
        b'{"content":"4.827","role":"tool","tool_call_id":"c1"},'
        b'{"content":"About 4.8 km.","role":"assistant"}],"meta":{"source":"chat"},'
        b'"tools":[{"description":"...","name":"multiply","parameters":{}}],"trace_version":"1.1"}'
    )
    assert trace_id(payload) == (
        "sha256:441bc70fccffa02a90f7c93f78141e7a1312e02927b7a7061cea0063859127bb"
    )


def test_an_absent_field_is_absent_from_the_payload_and_only_meta_is_always_there() -> None:
    assert payload_of(conversation_of(said(USER, ASSISTANT, meta=...))) == (
        b'{"messages":[{"content":"Q?","role":"user"},{"content":"A.","role":"assistant"}],'
        b'"meta":{},"trace_version":"1.1"}'
    )


def test_an_absent_a_null_and_an_empty_meta_are_one_conversation() -> None:
    metas: list[Any] = [..., None, {}]
    assert len({payload_of(conversation(meta=meta)) for meta in metas}) == 1


def test_what_is_trained_anyway_need_not_say_so() -> None:
    ids = {
        payload_of(conversation_of(said(USER, {**ASSISTANT, **more})))
        for more in ({}, {"train": True})
    }
    assert len(ids) == 1
    masked = conversation_of(said(USER, {**ASSISTANT, "train": False}))
    assert payload_of(masked) not in ids
    assert [message.is_learned for message in masked.messages] == [False, False]
    assert conversation_of(said(USER, ASSISTANT)).messages[1].is_learned


def test_a_null_is_not_an_absent_field() -> None:
    for field in ("tools", "final_answer", "messages"):
        with pytest.raises(TraceError, match=f'The field "{field}" should be .*, but is null'):
            conversation_of(conversation_value(**{field: None}))
    for field in ("content", "reasoning", "tool_calls", "name", "train"):
        with pytest.raises(TraceError, match=rf'"messages\[1\].{field}" should be .* is null'):
            conversation_of(said(USER, {**ASSISTANT, field: None}))


@pytest.mark.parametrize("field", ["content", "reasoning"])
def test_a_message_may_have_4_mib_characters_and_not_one_more(field: str) -> None:
    most = {**ASSISTANT, field: "😀" * MAX_TEXT}
    assert getattr(conversation_of(said(USER, most)).messages[1], field) == most[field]
    with pytest.raises(TraceError, match="4,194,304 characters, but is text of 4,194,305"):
        conversation_of(said(USER, {**ASSISTANT, field: "x" * (MAX_TEXT + 1)}))


def test_a_conversation_has_from_2_to_10000_messages() -> None:
    many = [USER, ASSISTANT] * (MAX_MESSAGES // 2)
    assert len(conversation_of(said(*many)).messages) == MAX_MESSAGES
    with pytest.raises(TraceError, match="2 to 10,000 messages, but is a list of 10,001"):
        conversation_of(said(*many, USER))


def test_a_payload_above_32_mib_is_refused() -> None:
    whole = turns(*["\u0001" * (MAX_TEXT // 2)] * 4)
    with pytest.raises(TraceError, match=rf"at most {MAX_PAYLOAD_BYTES:,} bytes \(32 MiB\)"):
        payload_of(whole)


WRONG: list[tuple[str, object, str]] = [
    ("version", conversation_value(trace_version="1.0"), '"1.1", as it has messages, but is the t'),
    ("no version", conversation_value(trace_version=...), '"trace_version" is missing; it should'),
    ("no messages", conversation_value(messages=...), '"messages" is missing; it should be a list'),
    ("text", conversation_value(messages="hi"), "2 to 10,000 messages, but is the text"),
    ("empty", said(), "a list of 2 to 10,000 messages, but is empty"),
    ("one", said(USER), "a list of 2 to 10,000 messages, but is a list of 1"),
    ("misspelt", conversation_value(tool=[]), '"tool" is not part of a conversation. Did you mean'),
    ("of 1.0", conversation_value(steps=[]), 'The field "steps" is not part of a conversation'),
    ("answer", conversation_value(final_answer=""), '"final_answer" should be text of 1 to 4,194,'),
    ("meta", conversation_value(meta="no"), 'The field "meta" should be an object, or absent'),
    ("no object", said("Q?", ASSISTANT), '"messages[0]" should be an object with role and content'),
    ("no role", said({"content": "Q?"}, ASSISTANT), '"messages[0].role" is missing; it should be '),
    ("role", said({**USER, "role": "humman"}, ASSISTANT), "one of system, user, assistant, tool, "),
    ("role hint", said({**USER, "role": "asistant"}, ASSISTANT), 'Did you mean "assistant"?'),
    ("role list", said({**USER, "role": []}, ASSISTANT), '"messages[0].role" should be one of sys'),
    ("no content", said({"role": "user"}, ASSISTANT), '"messages[0].content" is missing; it shoul'),
    ("parts", said({**USER, "content": [{"type": "image"}]}, ASSISTANT), "but is a list of 1"),
    ("field", said(USER, {**ASSISTANT, "thinking": "x"}), "messages[1].thinking\" is not part of "),
    ("empty reasoning", said(USER, {**ASSISTANT, "reasoning": ""}), '.reasoning" should be text o'),
    ("reasoning of", said({**USER, "reasoning": "x"}, ASSISTANT), "absent, as only the role assis"),
    ("calls of", said({**USER, "tool_calls": [CALL]}, ASSISTANT), '"messages[0].tool_calls" shoul'),
    ("train of", said({**USER, "train": False}, ASSISTANT), "as only the role assistant has it, b"),
    ("train", said(USER, {**ASSISTANT, "train": 0}), "should be true, false, or absent, but is th"),
    ("id of", said(USER, {**ASSISTANT, "tool_call_id": "c1"}), "as only the role tool has it, but"),
    (
        "name of",
        said({"role": "system", "content": "", "name": "x"}, USER, ASSISTANT),
        "absent, as only the role user or assistant or tool has it, but is of the role system",
    ),
    ("name", said({**USER, "name": ""}, ASSISTANT), '"messages[0].name" should be text of 1 to 25'),
    ("calls", said(USER, {**ASSISTANT, "tool_calls": {}}), "a list of 1 to 1,000 tool calls, or a"),
    ("no calls", said(USER, {**ASSISTANT, "tool_calls": []}), "tool calls, or absent, but is empt"),
    ("call", said(USER, {**CALLING, "tool_calls": ["f"]}), "an object with name and arguments, bu"),
    (
        "call field",
        said(USER, {**CALLING, "tool_calls": [{**CALL, "type": "function"}]}),
        '"messages[1].tool_calls[0].type" is not part of a tool call.',
    ),
    (
        "call without a name",
        said(USER, {**CALLING, "tool_calls": [{"arguments": {}}]}),
        '"messages[1].tool_calls[0].name" is missing; it should be text of 1 to 256 characters',
    ),
    (
        "call id",
        said(USER, {**CALLING, "tool_calls": [{**CALL, "id": 5}]}),
        '"messages[1].tool_calls[0].id" should be text of 1 to 256 characters, but is the number 5',
    ),
    (
        "no arguments",
        said(USER, {**CALLING, "tool_calls": [{"name": "f"}]}),
        '"messages[1].tool_calls[0].arguments" is missing; it should be an object',
    ),
    (
        "arguments as text",
        said(USER, {**CALLING, "tool_calls": [{**CALL, "arguments": "{}"}]}),
        '.arguments" should be an object, but is the text "{}"',
    ),
    ("tools", said(USER, ASSISTANT, tools={}), '"tools" should be a list of 1 to 1,000 tools, or '),
    ("no tools", said(USER, ASSISTANT, tools=[]), "1,000 tools, or absent, but is empty"),
    ("tool", said(USER, ASSISTANT, tools=["f"]), '"tools[0]" should be an object with a name, but'),
    ("nameless", said(USER, ASSISTANT, tools=[{"f": 1}]), '"tools[0].name" is missing; it should '),
    (
        "late system",
        said(USER, {"role": "system", "content": "x"}, ASSISTANT),
        '"messages[1]" should be another role, as a system message is the first, but is a system m',
    ),
    ("two users", said(USER, USER, ASSISTANT), "another role, but is a second user message in a r"),
    (
        "two assistants",
        said(USER, ASSISTANT, ASSISTANT),
        '"messages[2]" should be a message of another role, but is a second assistant message in a',
    ),
    ("silent user", said({**USER, "content": ""}, ASSISTANT), "a user message with text, but is o"),
    (
        "silent assistant",
        said(USER, {**ASSISTANT, "content": ""}),
        "an assistant message with content, reasoning or tool calls, but is an empty one",
    ),
    ("assistant first", said(ASSISTANT, USER), '"messages[0]" should be the first user message, b'),
    (
        "no assistant",
        said({"role": "system", "content": "x"}, USER),
        'The field "messages" should be a list with at least one assistant message, but is without',
    ),
    (
        "tool without a call",
        said(USER, ASSISTANT, {"role": "tool", "content": "5"}),
        '"messages[2]" should be another role, as no tool was called, but is a tool message',
    ),
    (
        "other call",
        said(USER, CALLING, {"role": "tool", "content": "5", "tool_call_id": "c2"}),
        'the answer to one of the tool calls before it ("c1"), but is one to "c2"',
    ),
    (
        "call without an id",
        said(
            USER,
            {**CALLING, "tool_calls": [{"name": "f", "arguments": {}}]},
            {"role": "tool", "content": "5", "tool_call_id": "c1"},
        ),
        'the tool calls before it (none with an id), but is one to "c1"',
    ),
]  # fmt: skip


@pytest.mark.parametrize(("record", "sentence"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG])
def test_what_is_wrong_is_said_in_a_sentence(record: object, sentence: str) -> None:
    with pytest.raises(TraceError) as error:
        any_trace_of(record)
    assert sentence in str(error.value)
    assert str(error.value).endswith((".", "?"))
    assert error.value.violation.found


def test_a_python_value_that_no_json_holds_is_refused_in_a_sentence() -> None:
    for record in (
        conversation_value(meta={1: "number as key"}),
        said(USER, {**CALLING, "tool_calls": [{**CALL, "arguments": {1: 2}}]}),
        said(USER, ASSISTANT, tools=[{"name": "f", 1: 2}]),
    ):
        with pytest.raises(TraceError, match="The record is not a conversation: "):
            any_trace_of(record)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), 2**53])
def test_a_number_that_json_readers_change_is_refused_wherever_it_is(number: float) -> None:
    for record in (
        conversation_value(meta={"x": number}),
        said(USER, {**CALLING, "tool_calls": [{**CALL, "arguments": {"x": [number]}}]}),
        said(USER, ASSISTANT, tools=[{"name": "f", "x": number}]),
    ):
        with pytest.raises(CanonicalError):
            payload_of(any_trace_of(record))


def test_turns_that_real_conversations_have_are_accepted() -> None:
    for messages in (
        [USER, ASSISTANT, USER],
        [USER, CALLING, USER, ASSISTANT],
        [USER, CALLING, {"role": "tool", "content": ""}, {"role": "tool", "content": "x"}],
        [{"role": "system", "content": ""}, USER, {**ASSISTANT, "content": "", "reasoning": "x"}],
    ):
        assert len(conversation_of(said(*messages)).messages) == len(messages)


def test_a_prompt_with_steps_is_a_trace_of_schema_1_0_whatever_its_version_says() -> None:
    whole = trace(trace_version="1.1")
    payload = payload_of(whole)
    assert isinstance(any_trace_of(value(trace_version="1.1")), Trace)
    assert parse_payload(payload) == whole
    assert trace_id(payload) == trace_id(rfc8785.dumps(value(trace_version="1.1")))


def test_a_record_with_messages_is_a_conversation_and_one_without_is_told_the_nearest_schema() -> (
    None
):
    assert isinstance(any_trace_of(conversation_value()), Conversation)
    assert isinstance(any_trace_of(value()), Trace)
    with pytest.raises(TraceError, match='"messages" is missing'):
        any_trace_of({"trace_version": "1.1", "meta": {}})
    with pytest.raises(TraceError, match='"prompt" is missing'):
        any_trace_of({"trace_version": "1.0", "meta": {}})


@given(conversations())
def test_a_payload_reads_back_as_the_same_conversation(whole: Conversation) -> None:
    again = parse_payload(payload_of(whole))
    assert again == whole
    assert payload_of(again) == payload_of(whole)
    assert conversation_of(msgspec.to_builtins(whole)) == whole


def test_doubles_that_look_like_large_integers_read_back_as_doubles() -> None:
    for wide in (
        said(USER, ASSISTANT, meta={"x": 1e16}),
        said(USER, {**CALLING, "tool_calls": [{**CALL, "arguments": {"x": 1e16}}]}),
        said(USER, ASSISTANT, tools=[{"name": "f", "x": [1e16]}]),
    ):
        payload = payload_of(conversation_of(wide))
        assert b"10000000000000000" in payload
        assert payload_of(parse_payload(payload)) == payload


@given(conversations())
def test_a_payload_is_what_an_independent_library_writes(whole: Conversation) -> None:
    def plain(message: Message) -> dict[str, Any]:
        fields = {name: getattr(message, name) for name in message.__struct_fields__}
        fields["role"] = str(message.role)
        if message.calls:
            fields["tool_calls"] = [
                {"name": call.name, "arguments": call.arguments}
                | ({} if call.id is UNSET else {"id": call.id})
                for call in message.calls
            ]
        return {name: item for name, item in fields.items() if item is not UNSET}

    expected: dict[str, Any] = {
        "trace_version": "1.1",
        "messages": [plain(message) for message in whole.messages],
        "meta": whole.meta,
    }
    if whole.tools is not UNSET:
        expected["tools"] = list(whole.tools)
    if whole.final_answer is not UNSET:
        expected["final_answer"] = whole.final_answer
    assert payload_of(whole) == rfc8785.dumps(expected)


_junk = st.none() | st.booleans() | st.integers(-1, 1) | st.just(1.5) | st.text(max_size=2)
_names = st.sampled_from(["c1", "c2", ""]) | _junk


def _some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


_some_call = _some(name=_names, arguments=st.just({}) | _junk, id=_names, other=_junk) | st.just(
    CALL
)
_roles = st.sampled_from([*map(str, Role)])
_some_message = (
    st.sampled_from([USER, ASSISTANT, CALLING, {"role": "tool", "content": "5"}])
    | st.fixed_dictionaries(
        {"role": _roles, "content": st.text(max_size=1)},
        optional={"tool_call_id": st.just("c1"), "tool_calls": st.just([CALL])},
    )
    | _some(
        role=_roles | _junk,
        content=_junk,
        reasoning=_junk,
        tool_calls=st.lists(_some_call | _junk, max_size=2) | _junk,
        tool_call_id=_names,
        name=_names,
        train=_junk,
        other=_junk,
    )
)
_some_record = st.fixed_dictionaries(
    {"messages": st.lists(_some_message, min_size=1, max_size=4)}
    | {"trace_version": st.just("1.1")},
    optional={"tools": st.lists(_some(name=_names) | _junk, max_size=2) | _junk, "meta": _junk},
) | _some(
    trace_version=st.just("1.1") | _junk,
    messages=st.lists(_some_message | _junk, max_size=3) | _junk,
    final_answer=_junk,
    meta=st.just({}) | _junk,
    other=_junk,
)


@given(_some_record)
def test_the_decoder_refuses_exactly_what_the_explanation_finds_fault_with(
    record: dict[str, Any],
) -> None:
    faults = list(conversation_violations(record))
    if not faults:
        conversation_of(record)
        return
    with pytest.raises(TraceError) as error:
        conversation_of(record)
    assert error.value.violation == faults[0]


# One schema seen as the other


def test_the_flat_view_has_the_question_the_lines_of_reasoning_and_the_answer() -> None:
    flat = flat_view(conversation())
    assert flat.prompt == "How far is 3 miles in km?"
    assert [(step.i, step.content) for step in flat.steps] == [
        (0, "1 mile is 1.609 km."),
        (1, "3 * 1.609 = 4.828"),
    ]
    assert flat.final_answer == "4.8 km"
    assert flat.meta == {"source": "chat"}
    assert flat_view(trace()) == trace()


def test_without_a_stated_answer_it_is_the_last_text_of_the_assistant() -> None:
    assert answer_of(turns("1+1?", "2", "2+2?", "4", "Thanks.")) == "4"
    assert answer_of(conversation(final_answer=...)) == "About 4.8 km."
    assert answer_of(conversation_of(said(USER, CALLING))) == ""


def test_the_chat_view_of_a_trace_is_a_sound_conversation_of_one_turn() -> None:
    view = chat_view(trace())
    assert conversation_of(msgspec.to_builtins(view)) == view
    assert [(m.role, m.content, m.thought) for m in view.messages] == [
        ("user", "What is 15 + 27?", ""),
        ("assistant", "42", "Parse the addition problem\nAdd 15 and 27"),
    ]
    assert chat_view(conversation()) == conversation()


@given(conversations())
def test_every_conversation_has_a_flat_view(whole: Conversation) -> None:
    flat = flat_view(whole)
    assert flat.prompt
    assert [step.i for step in flat.steps] == list(range(n_steps_of(whole)))
    assert flat.meta is whole.meta
