"""The content of a message: a text, or a list of parts as OpenAI and Anthropic write them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tunixrt.log.canonical import encode
from tunixrt.traces.importers.reading import Note, refuse_media
from tunixrt.traces.importers.tools import call_of
from tunixrt.traces.violations import TraceError, describe, wrong
from tunixrt.words import quoted

if TYPE_CHECKING:
    from collections.abc import Callable

    Noting = Callable[[Note], None]

CONTENT_EXPECTED: Final = "text, or a list of parts with text"

_TEXTS: Final = ("text", "input_text", "output_text")
#: Parts that hold reasoning, and the field that holds its text.
_THOUGHTS: Final = {"thinking": "thinking", "reasoning": "text", "thought": "text"}
_HIDDEN: Final = ("redacted_thinking",)
_CALL: Final = "tool_use"
_RESULT: Final = "tool_result"


@dataclass
class Content:
    """What a content holds: its text, and what the makers of some formats put beside it.

    Attributes:
        text: the text; several parts are joined without a separator, as chat templates do.
        thoughts: reasoning, by the place of its part.
        calls: tool calls.
        results: results of tools: the place, the content, and the fields of the message.
    """

    text: str = ""
    thoughts: list[tuple[str, str]] = field(default_factory=list)
    calls: list[dict[str, Any]] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)


@dataclass
class Result:
    """The result of a tool that a part of a user message holds."""

    place: str
    text: str
    fields: dict[str, Any]
    extra: dict[str, Any]


def read_content(value: object, place: str, note: Noting) -> Content:
    """Return what a content holds.

    Args:
        value: A text, a list of parts, or one part.
        place: Where it is in the record.
        note: Receives what is joined or left out.

    Raises:
        TraceError: It is null or another value, or a part of it is not text.
    """
    if isinstance(value, str):
        return Content(value)
    parts = [value] if isinstance(value, dict) else value
    if not isinstance(parts, list):
        raise TraceError(wrong(place, CONTENT_EXPECTED, describe(parts)))
    content = Content()
    texts: list[str] = []
    for position, part in enumerate(parts):
        _read_part(part, f"{place}[{position}]", content, texts, note)
    if len(texts) > 1:
        note(Note.PARTS_JOINED)
    content.text = "".join(texts)
    return content


def _read_part(part: object, place: str, content: Content, texts: list[str], note: Noting) -> None:
    if isinstance(part, str):
        texts.append(part)
        return
    if not isinstance(part, dict):
        raise TraceError(wrong(place, "a part with text", describe(part)))
    kind = part.get("type", "text")
    if kind in _TEXTS:
        texts.append(_text(part, "text", place, note))
    elif kind == "refusal":
        texts.append(_text(part, "refusal", place, note))
        note(Note.REFUSAL)
    elif kind in _THOUGHTS:
        content.thoughts.append((place, _text(part, _THOUGHTS[kind], place, note)))
    elif kind in _HIDDEN:
        note(Note.HIDDEN_REASONING)
    elif kind == _CALL:
        content.calls.append(call_of(part, place, note))
    elif kind == _RESULT:
        content.results.append(_result(part, place, note))
    else:
        found = f"a part of the type {quoted(kind)}" if isinstance(kind, str) else describe(kind)
        refuse_media(place, found)


def _text(part: dict[str, Any], name: str, place: str, note: Noting) -> str:
    text = part.get(name)
    if not isinstance(text, str):
        if "text" not in part and "type" not in part:
            refuse_media(place, f"an object with {', '.join(map(quoted, part)) or 'no fields'}")
        found = "missing" if text is None else describe(text)
        raise TraceError(wrong(f"{place}.{name}", "text", found))
    if any(key not in {"type", name} and item is not None for key, item in part.items()):
        note(Note.PART_FIELD)
    return text


def _result(part: dict[str, Any], place: str, note: Noting) -> Result:
    value = part.get("content")
    text = "" if value is None else read_content(value, f"{place}.content", note).text
    identity = part.get("tool_use_id")
    fields = {} if identity is None else {"tool_call_id": identity}
    known = ("type", "content", "tool_use_id")
    extra = {key: item for key, item in part.items() if key not in known and item is not None}
    return Result(place, text, fields, extra)


def result_text(value: object, place: str, note: Noting) -> str:
    """Return the content of a tool message: a text, parts with text, or any other value as JSON.

    Raises:
        TraceError: A part of it is not text.
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and all(map(_is_part, value)):
        content = read_content(value, place, note)
        if not (content.thoughts or content.calls or content.results):
            return content.text
    note(Note.RESULT_AS_JSON)
    return encode(value).decode()


def _is_part(value: object) -> bool:
    return isinstance(value, dict) and isinstance(value.get("type"), str)
