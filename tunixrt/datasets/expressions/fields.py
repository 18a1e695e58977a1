"""The fields of a trace that expressions name, and how each is read."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tunixrt.traces.conversation import Conversation, Role
from tunixrt.traces.schema import in_order
from tunixrt.traces.views import flat_view, n_characters_of

if TYPE_CHECKING:
    from tunixrt.datasets.expressions.nodes import Field
    from tunixrt.traces.schema import AnyTrace, Trace
    from tunixrt.traces.state import TraceState

META: Final = "meta"
LABEL: Final = "label"
SCORE: Final = "score"


class Missing:
    """The value of a field that a trace does not have; equal to nothing, not even to null."""


MISSING: Final = Missing()


class Subject:
    """A trace as expressions see it: what the log states about it, the trace, its 1.0 view."""

    __slots__ = ("flat", "state", "trace")

    def __init__(self, state: TraceState, trace: AnyTrace) -> None:
        self.state = state
        self.trace = trace
        self.flat: Trace = flat_view(trace)


class Kind(StrEnum):
    """What the values of a field are."""

    TEXT = "text"
    NUMBER = "a number"
    ANY = "any value"


class FieldInfo(msgspec.Struct, frozen=True):
    """A row of the table of fields.

    Attributes:
        kind: What its values are.
        meaning: One clause, for the documentation.
        read: Returns its value; None for a field that needs keys (``meta``, ``label``, ``score``).
    """

    kind: Kind
    meaning: str
    read: Callable[[Subject], Any] | None = None


def _reasoning_chars(trace: Trace) -> int:
    total = 0
    for step in trace.steps:
        total += len(step.content)
    return total


def _reasoning(subject: Subject) -> str:
    return "\n".join(step.content for step in in_order(subject.flat.steps))


def _text(subject: Subject) -> str:
    trace = subject.trace
    if not isinstance(trace, Conversation):
        return "\n".join(
            (trace.prompt, *(s.content for s in in_order(trace.steps)), trace.final_answer)
        )
    texts = [text for m in trace.messages for text in (m.thought, m.content) if text]
    if isinstance(trace.final_answer, str):
        texts.append(trace.final_answer)
    return "\n".join(texts)


def _recorded_at(subject: Subject) -> str | Missing:
    time = subject.state.recorded_at
    return MISSING if time is None else time


def _n_messages(subject: Subject) -> int:
    return len(subject.trace.messages) if isinstance(subject.trace, Conversation) else 2


def _n_turns(subject: Subject) -> int:
    if not isinstance(subject.trace, Conversation):
        return 1
    return sum(message.role is Role.ASSISTANT for message in subject.trace.messages)


def _n_tool_calls(subject: Subject) -> int:
    if not isinstance(subject.trace, Conversation):
        return 0
    return sum(len(message.calls) for message in subject.trace.messages)


#: Every field by its name; a conversation is seen as `flat_view` shows it where not said otherwise.
FIELDS: Final[dict[str, FieldInfo]] = {
    "id": FieldInfo(
        Kind.TEXT, "the id of the trace, `sha256:` and 64 digits", lambda s: s.state.id
    ),
    "trace_version": FieldInfo(
        Kind.TEXT, "`1.0`, or `1.1` for a conversation", lambda s: s.trace.trace_version
    ),
    "prompt": FieldInfo(
        Kind.TEXT, "the prompt; of a conversation, the first user text", lambda s: s.flat.prompt
    ),
    "final_answer": FieldInfo(Kind.TEXT, "the final answer", lambda s: s.flat.final_answer),
    "reasoning": FieldInfo(Kind.TEXT, "the steps, one per line", _reasoning),
    "text": FieldInfo(
        Kind.TEXT,
        "all text, one part per line: prompt, steps and final answer; of a conversation, the "
        "reasoning and content of every message",
        _text,
    ),
    "recorded_at": FieldInfo(
        Kind.TEXT, "the time of the first recording; missing where none was given", _recorded_at
    ),
    "n_steps": FieldInfo(Kind.NUMBER, "how many steps", lambda s: len(s.flat.steps)),
    "n_turns": FieldInfo(
        Kind.NUMBER, "how many messages of the assistant; 1 for schema 1.0", _n_turns
    ),
    "n_messages": FieldInfo(Kind.NUMBER, "how many messages; 2 for schema 1.0", _n_messages),
    "n_tool_calls": FieldInfo(Kind.NUMBER, "how many tool calls", _n_tool_calls),
    "n_chars": FieldInfo(
        Kind.NUMBER,
        "characters of prompt, steps and final answer together; of a conversation, of the "
        "reasoning and content of all messages",
        lambda s: n_characters_of(s.trace),
    ),
    "prompt_chars": FieldInfo(
        Kind.NUMBER, "characters of the prompt", lambda s: len(s.flat.prompt)
    ),
    "reasoning_chars": FieldInfo(
        Kind.NUMBER, "characters of the steps together", lambda s: _reasoning_chars(s.flat)
    ),
    "answer_chars": FieldInfo(
        Kind.NUMBER, "characters of the final answer", lambda s: len(s.flat.final_answer)
    ),
    META: FieldInfo(
        Kind.ANY, "metadata: `meta.KEY`, and `meta.KEY.KEY` for what is in objects and lists"
    ),
    LABEL: FieldInfo(Kind.TEXT, "the value of a label: `label.NAME`"),
    SCORE: FieldInfo(Kind.NUMBER, "a recorded score: `score.NAME`, such as `score.baseline`"),
}


def reader_of(field: Field) -> Callable[[Subject], Any]:
    """Return the function that reads a field; its result is `MISSING` where a trace lacks it."""
    if field.name == META:
        return _meta_reader(field.path)
    if field.name == LABEL:
        (label,) = field.path
        return lambda subject: subject.state.labels.get(label, MISSING)
    if field.name == SCORE:
        (scorer,) = field.path
        return lambda subject: subject.state.scores.get(scorer, MISSING)
    read = FIELDS[field.name].read
    assert read is not None
    return read


def _meta_reader(path: tuple[str, ...]) -> Callable[[Subject], Any]:
    first, *more = path
    if not more:
        return lambda subject: subject.trace.meta.get(first, MISSING)

    def read(subject: Subject) -> Any:
        value = subject.trace.meta.get(first, MISSING)
        for key in more:
            match value:
                case dict():
                    value = value.get(key, MISSING)
                case list() if _is_index(key) and int(key) < len(value):
                    value = value[int(key)]
                case _:
                    return MISSING
        return value

    return read


def _is_index(key: str) -> bool:
    return len(key) < 10 and key.isascii() and key.isdigit()
