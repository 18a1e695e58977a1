"""Making conversations (schema 1.1): the documented example, short ones, and any sound one."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tunixrt.traces.conversation import Conversation, Message, Role, ToolCall, conversation_of


def conversation_value(**changes: Any) -> dict[str, Any]:
    """The documented example as a plain value; a change to ... removes the field."""
    call = {"id": "c1", "name": "multiply", "arguments": {"a": 3, "b": 1.609}}
    whole = {
        "trace_version": "1.1",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "How far is 3 miles in km?"},
            {
                "role": "assistant",
                "reasoning": "1 mile is 1.609 km.\n3 * 1.609 = 4.828",
                "content": "",
                "tool_calls": [call],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "4.827"},
            {"role": "assistant", "content": "About 4.8 km."},
        ],
        "tools": [{"name": "multiply", "description": "...", "parameters": {}}],
        "final_answer": "4.8 km",
        "meta": {"source": "chat"},
        **changes,
    }
    return {key: item for key, item in whole.items() if item is not ...}


def conversation(**changes: Any) -> Conversation:
    """The documented example, changed; sound unless the changes say otherwise."""
    return conversation_of(conversation_value(**changes))


def turns(*texts: str, **changes: Any) -> Conversation:
    """A conversation of these texts, of a user and an assistant in turn.

    It has neither tools nor a stated final answer unless the changes say otherwise.
    """
    messages = [
        {"role": "assistant" if number % 2 else "user", "content": text}
        for number, text in enumerate(texts)
    ]
    whole: dict[str, Any] = {"messages": messages, "tools": ..., "final_answer": ..., **changes}
    return conversation(**whole)


def _texts(at_least: int) -> st.SearchStrategy[str]:
    return st.text(st.characters(exclude_categories=["Cs"]), min_size=at_least, max_size=8)


_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _texts(0)
)

#: Objects of any JSON values, such as metadata and the arguments of a tool call.
objects: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    _texts(0),
    st.recursive(
        _scalars,
        lambda some: st.lists(some, max_size=2) | st.dictionaries(_texts(0), some, max_size=2),
        max_leaves=3,
    ),
    max_size=3,
)


def _some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Some of the fields; the others are absent."""
    return st.fixed_dictionaries({}, optional=fields)


@st.composite
def _calls(draw: st.DrawFn) -> ToolCall:
    return ToolCall(draw(_texts(1)), draw(objects), **draw(_some(id=_texts(1))))


@st.composite
def _assistant(draw: st.DrawFn) -> Message:
    fields = draw(
        _some(
            reasoning=_texts(1),
            tool_calls=st.lists(_calls(), min_size=1, max_size=2).map(tuple),
            name=_texts(1),
            train=st.just(False),
        )
    )
    says_more = "reasoning" in fields or "tool_calls" in fields
    return Message(Role.ASSISTANT, draw(_texts(0 if says_more else 1)), **fields)


@st.composite
def _answers(draw: st.DrawFn, calls: tuple[ToolCall, ...]) -> list[Message]:
    fields: dict[str, st.SearchStrategy[Any]] = {"name": _texts(1)}
    ids = [call.id for call in calls if isinstance(call.id, str)]
    if ids:
        fields["tool_call_id"] = st.sampled_from(ids)
    answer = st.builds(
        lambda text, others: Message(Role.TOOL, text, **others), _texts(0), _some(**fields)
    )
    return draw(st.lists(answer, max_size=2)) if calls else []


@st.composite
def _messages(draw: st.DrawFn) -> tuple[Message, ...]:
    found = [Message(Role.SYSTEM, draw(_texts(0)))] if draw(st.booleans()) else []
    for _ in range(draw(st.integers(1, 2))):
        found.append(Message(Role.USER, draw(_texts(1)), **draw(_some(name=_texts(1)))))
        answers = found
        while answers:
            said = draw(_assistant())
            answers = draw(_answers(said.calls))
            found += [said, *answers]
            if not draw(st.booleans()):
                break
    return tuple(found)


@st.composite
def conversations(draw: st.DrawFn) -> Conversation:
    """Any sound conversation: some with tools, masked turns, a last message of any role."""
    tool = st.builds(lambda name, others: {**others, "name": name}, _texts(1), objects)
    fields = draw(
        _some(tools=st.lists(tool, min_size=1, max_size=2).map(tuple), final_answer=_texts(1))
    )
    messages = draw(_messages())
    if messages[-1].role is not Role.USER and draw(st.booleans()):
        messages = (*messages, Message(Role.USER, draw(_texts(1))))
    return Conversation("1.1", messages, meta=draw(objects), **fields)
