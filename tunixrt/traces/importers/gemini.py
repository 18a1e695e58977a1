"""Gemini's chats: ``contents`` of {role, parts}, where a part is text, a call or a response."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tunixrt.log.canonical import encode
from tunixrt.traces.conversation import Role
from tunixrt.traces.importers.draft import Draft
from tunixrt.traces.importers.reading import Note, metadata, refuse_media
from tunixrt.traces.importers.tags import split_thought
from tunixrt.traces.importers.tools import call_of, tools_of
from tunixrt.traces.violations import TraceError, describe, missing, wrong
from tunixrt.words import quoted

if TYPE_CHECKING:
    from tunixrt.traces.importers.reading import Read

_SYSTEM: Final = ("systemInstruction", "system_instruction")
_CALL: Final = ("functionCall", "function_call")
_RESPONSE: Final = ("functionResponse", "function_response")
_ROLES: Final = {"user": Role.USER, "model": Role.ASSISTANT, "function": Role.TOOL}
_EXPECTED: Final = "a list of contents, each with role and parts"


class _Turn:
    """What the parts of one content hold."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.thoughts: list[str] = []
        self.calls: list[dict[str, Any]] = []
        self.responses: list[tuple[str, dict[str, Any]]] = []


def read_gemini(record: dict[str, Any]) -> Read:
    """Return the conversation of a record with ``contents``.

    Raises:
        TraceError: It is not such a record.
    """
    contents = record["contents"]
    if not isinstance(contents, list):
        raise TraceError(wrong("contents", _EXPECTED, describe(contents)))
    draft = Draft()
    system = next((name for name in _SYSTEM if record.get(name) is not None), "")
    if system:
        draft.add_system(_system_text(record[system], system, draft), place=system)
    for position, content in enumerate(contents):
        _add_content(draft, content, f"contents[{position}]")
    known = ("contents", system, "tools")
    return draft.done(metadata(record, known), tools=tools_of(record.get("tools"), "tools"))


def _system_text(value: object, place: str, draft: Draft) -> str:
    if isinstance(value, str):
        return value
    turn = _read_parts(value, place, draft)
    if turn.calls or turn.responses or turn.thoughts:
        raise TraceError(wrong(place, "text", "parts with more than text"))
    return "".join(turn.texts)


def _add_content(draft: Draft, content: object, place: str) -> None:
    turn = _read_parts(content, place, draft)
    role = content.get("role") if isinstance(content, dict) else None
    if role is None:
        role = "user"  # what the API takes it for
    if role not in _ROLES:
        raise TraceError(wrong(f"{place}.role", "one of user, model, function", describe(role)))
    extra = {
        key: item
        for key, item in (content.items() if isinstance(content, dict) else ())
        if key not in {"role", "parts"} and item is not None
    }
    for at, response in turn.responses:
        _add_response(draft, response, at)
    text = "".join(turn.texts)
    if _ROLES[role] is not Role.ASSISTANT:
        for name, found in (("calls", turn.calls), ("thoughts", turn.thoughts)):
            if found:
                expected = f"of the role model, as it has {name}"
                raise TraceError(wrong(f"{place}.role", expected, f"the role {quoted(role)}"))
        if text or not turn.responses:
            draft.add(Role.USER, text, place=place, extra=extra)
        return
    thought = split_thought(text)
    draft.note(*thought.notes)
    fields: dict[str, Any] = {}
    if thoughts := [item for item in (*turn.thoughts, thought.reasoning) if item]:
        fields["reasoning"] = "\n".join(thoughts)
    if turn.calls:
        fields["tool_calls"] = turn.calls
    draft.add(Role.ASSISTANT, thought.text, place=place, fields=fields, extra=extra)


def _add_response(draft: Draft, response: dict[str, Any], place: str) -> None:
    fields = {}
    if response.get("name") is not None:
        fields["name"] = response["name"]
    if response.get("id") is not None:
        fields["tool_call_id"] = response["id"]
    result = response.get("response")
    text = result if isinstance(result, str) else encode(result).decode()
    known = ("name", "id", "response")
    extra = {key: item for key, item in response.items() if key not in known and item is not None}
    draft.add(Role.TOOL, text, place=place, fields=fields, extra=extra)


def _read_parts(content: object, place: str, draft: Draft) -> _Turn:
    if not isinstance(content, dict):
        raise TraceError(wrong(place, "an object with role and parts", describe(content)))
    parts = content.get("parts")
    if parts is None:
        raise TraceError(missing(f"{place}.parts", "a list of parts"))
    parts = [parts] if isinstance(parts, dict) else parts
    if not isinstance(parts, list):
        raise TraceError(wrong(f"{place}.parts", "a list of parts", describe(parts)))
    turn = _Turn()
    for position, part in enumerate(parts):
        _read_part(part, f"{place}.parts[{position}]", turn, draft)
    if len(turn.texts) > 1:
        draft.note(Note.PARTS_JOINED)
    return turn


def _read_part(part: object, place: str, turn: _Turn, draft: Draft) -> None:
    if not isinstance(part, dict):
        raise TraceError(wrong(place, "a part with text", describe(part)))
    filled = {name: item for name, item in part.items() if item is not None}
    name = next((key for key in ("text", *_CALL, *_RESPONSE) if key in filled), None)
    if name is None:
        kinds = ", ".join(map(quoted, filled)) or "no fields"
        refuse_media(place, f"a part with {kinds}")
    value, at = filled[name], f"{place}.{name}"
    if any(key not in {name, "thought"} for key in filled):
        draft.note(Note.PART_FIELD)
    if name in _CALL:
        turn.calls.append(call_of(value, at, draft.note))
    elif name in _RESPONSE:
        if not isinstance(value, dict):
            raise TraceError(wrong(at, "an object with name and response", describe(value)))
        turn.responses.append((at, value))
    elif not isinstance(value, str):
        raise TraceError(wrong(at, "text", describe(value)))
    elif filled.get("thought") is True:
        turn.thoughts.append(value)
    else:
        turn.texts.append(value)
