"""What the readers of the formats share: their result, their remarks, and what becomes of columns.

A reader takes one decoded JSON record and returns a trace and what it did to the record.
A column that the format does not know is metadata. A null is an absent field, also there.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NoReturn

import msgspec

from tunixrt.traces.schema import AnyTrace
from tunixrt.traces.violations import TraceError, describe, wrong, wrong_kind
from tunixrt.words import quoted

if TYPE_CHECKING:
    from collections.abc import Container, Mapping


class Note(StrEnum):
    """What a reader did to a record that it kept."""

    NO_OPENING_TAG = "reasoning without opening tag, kept as reasoning"
    NO_CLOSING_TAG = "reasoning without closing tag, kept as reasoning"
    TAG_IN_TEXT = "reasoning tag in the middle of a text, left there"
    EMPTY_REASONING = "empty reasoning, left out"
    ANSWER_NOT_OPENED = "answer without opening tag, kept as answer"
    ANSWER_NOT_CLOSED = "answer without closing tag, kept as answer"
    OPEN_BOX = "\\boxed without closing brace, not an answer"
    NO_TAGS = "text without reasoning tags, kept as a turn"
    PARTS_JOINED = "content in several parts, joined"
    PART_FIELD = "field of a content part beside its text, left out"
    HIDDEN_REASONING = "encrypted reasoning, left out"
    CALL_FIELD = "field of a tool call beside id, name and arguments, left out"
    RESULT_AS_JSON = "tool result that is not a text, kept as JSON text"
    REFUSAL = "refusal, kept as content"
    NAMELESS_ROLE = "name of a system message, left out"
    STEPS_JOINED = "steps of one source in a row, joined to one turn"
    EMPTY_STEP = "step without text, reasoning and tool calls, left out"
    LATER_SYSTEM = "system step after the first turn, kept as a user turn"
    OBSERVATION = "observation without a tool call, kept as a user turn"
    CONTINUED = "trajectory that continues in another file"
    INVALID_ANSWER = "answer that the filter did not find, left out"
    OTHER_FILTER = "sample of another filter than the first"


class Read(msgspec.Struct, frozen=True):
    """What one record holds.

    Attributes:
        trace: the trace.
        notes: what was done to the record, once per place; members of `Note`.
        n_blank: how many blank lines of its answer were dropped.
        recorded_at: the time of its first recording, if the record states it.
        more: further traces of the same record, such as repeated responses.
    """

    trace: AnyTrace
    notes: tuple[Note, ...] = ()
    n_blank: int = 0
    recorded_at: str | None = None
    more: tuple[Read, ...] = ()


class LeftOut(msgspec.Struct, frozen=True):
    """A record that is read and is not a trace of its own, and the reason."""

    reason: Note


Reader = Callable[[object], Read | LeftOut]
"""Returns what a decoded record holds; raises TraceError if it is not a record of the format."""

#: Columns in which datasets keep what is not text.
_MEDIA: Final = ("images", "image", "audios", "audio", "videos", "video")


def as_object(value: object, expected: str) -> dict[str, Any]:
    """Return the record as an object.

    Raises:
        TraceError: It is another kind of value.
    """
    if not isinstance(value, dict):
        raise TraceError(wrong_kind(value, expected))
    return value


def metadata(record: Mapping[str, Any], known: Container[str]) -> dict[str, Any]:
    """Return the columns of a record that its format does not know; nulls are absent.

    The fields of an object ``meta`` are metadata themselves, unless a column has the name of one:
    then ``meta`` is a column like the others.

    Raises:
        TraceError: A column holds images, audio or video.
    """
    for name in _MEDIA:
        if isinstance(record.get(name), dict | list) and record[name] and name not in known:
            refuse_media(name, f"a column of {name}")
    columns = {
        name: item for name, item in record.items() if name not in known and item is not None
    }
    inner = columns.get("meta")
    if isinstance(inner, dict) and not any(name in columns and name != "meta" for name in inner):
        del columns["meta"]
        return {**inner, **columns}
    return columns


def refuse_media(place: str, found: str) -> NoReturn:
    """Refuse what is not text.

    Raises:
        TraceError: Always.
    """
    violation = wrong(place, "text", found)
    sentence = (
        f"{violation.sentence} A trace holds text only, no images, audio or files: leave the "
        "record out, or import with --on-error quarantine."
    )
    raise TraceError(msgspec.structs.replace(violation, sentence=sentence))


def text_at(record: Mapping[str, Any], name: str, *, place: str = "") -> str:
    """Return a text field; an absent field and null are the empty text.

    Raises:
        TraceError: The field holds something else.
    """
    value = record.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise TraceError(wrong(place + name, "text", describe(value)))
    return value


def refuse_two(name: str, other: str) -> NoReturn:
    """Refuse two fields that say different things about one.

    Raises:
        TraceError: Always.
    """
    raise TraceError(wrong(name, f"absent, or equal to {quoted(other)}", "another text"))
