"""ShareGPT's conversations: ``conversations`` of {from, value}, with ``system`` and ``tools``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from tunixrt.traces.conversation import Role
from tunixrt.traces.importers.draft import Draft
from tunixrt.traces.importers.messages import finish, is_masked
from tunixrt.traces.importers.reading import as_object, refuse_two, text_at
from tunixrt.traces.importers.tags import split_thought
from tunixrt.traces.importers.tools import call_of, from_text, list_of
from tunixrt.traces.violations import TraceError, describe, missing, wrong
from tunixrt.words import did_you_mean

if TYPE_CHECKING:
    from tunixrt.traces.importers.reading import Read

_ROLES: Final = {
    "system": Role.SYSTEM,
    "human": Role.USER,
    "user": Role.USER,
    "gpt": Role.ASSISTANT,
    "chatgpt": Role.ASSISTANT,
    "assistant": Role.ASSISTANT,
    "model": Role.ASSISTANT,
    "function_call": Role.ASSISTANT,
    "observation": Role.TOOL,
    "tool": Role.TOOL,
    "function": Role.TOOL,
    "function_response": Role.TOOL,
}
_CALL: Final = "function_call"
_FIELDS: Final = ("from", "value")
_ASSISTANT_FIELDS: Final = (*_FIELDS, "weight", "train")
_EXPECTED: Final = "a list of turns, each with from and value"
_TAGS: Final = ("<tool_call>", "</tool_call>")
#: What chat templates write around the result of a tool.
_RESPONSE_TAGS: Final = ("<tool_response>", "</tool_response>")


def read_sharegpt(value: object) -> Read:
    """Return the conversation of a record with ``conversations``.

    A turn of the role ``function_call`` is a call, or a list of calls, in JSON. In a turn of the
    model that a tool answers, calls are between ``<tool_call>`` tags.

    Raises:
        TraceError: It is not such a record.
    """
    record = as_object(value, "an object with conversations")
    if record.get("conversations") is None:
        raise TraceError(missing("conversations", _EXPECTED))
    turns = list_of(record["conversations"], "conversations", _EXPECTED)
    draft = Draft()
    system = text_at(record, "system")
    roles = [_role(turn, f"conversations[{i}]") for i, turn in enumerate(turns)]
    if system and roles and roles[0] is Role.SYSTEM:
        if turns[0].get("value") != system:
            refuse_two("system", "conversations[0].value")
    else:
        draft.add_system(system, place="system")
    for position, (turn, role) in enumerate(zip(turns, roles, strict=True)):
        is_answered = roles[position + 1 : position + 2] == [Role.TOOL]
        _add_turn(draft, turn, role, f"conversations[{position}]", is_answered=is_answered)
    return finish(draft, record, known=("conversations",))


def _role(turn: object, place: str) -> Role:
    if not isinstance(turn, dict):
        raise TraceError(wrong(place, "an object with from and value", describe(turn)))
    name, expected = turn.get("from"), "one of human, gpt, system, function_call, observation"
    if name is None:
        raise TraceError(missing(f"{place}.from", expected))
    if isinstance(name, str) and name in _ROLES:
        return _ROLES[name]
    violation = wrong(f"{place}.from", expected, describe(name))
    hint = f" {did_you_mean(name, list(_ROLES))}" if isinstance(name, str) else ""
    raise TraceError(msgspec.structs.replace(violation, sentence=violation.sentence + hint))


def _add_turn(
    draft: Draft, turn: dict[str, Any], role: Role, place: str, *, is_answered: bool
) -> None:
    text = turn.get("value")
    if not isinstance(text, str):
        found = "missing" if text is None else describe(text)
        raise TraceError(wrong(f"{place}.value", "text", found))
    known = _ASSISTANT_FIELDS if role is Role.ASSISTANT else _FIELDS
    extra = {key: item for key, item in turn.items() if key not in known and item is not None}
    fields: dict[str, Any] = {}
    if role is Role.ASSISTANT:
        thought = split_thought(text)
        draft.note(*thought.notes)
        text = thought.text
        if thought.reasoning:
            fields["reasoning"] = thought.reasoning
        calls: list[dict[str, Any]] = []
        if turn["from"] == _CALL:
            text, calls = "", _calls(text, f"{place}.value", draft)
        elif is_answered and _TAGS[0] in text:
            text, calls = _tagged_calls(text, f"{place}.value", draft)
        if calls:
            fields["tool_calls"] = calls
        if is_masked(turn, place):
            fields["train"] = False
    elif role is Role.TOOL:
        text = _without_tags(text)
    draft.add(role, text, place=place, fields=fields, extra=extra)


def _without_tags(text: str) -> str:
    """Return the result of a tool without the tags around the whole of it."""
    opening, closing = _RESPONSE_TAGS
    inner = text.strip().removeprefix(opening).removesuffix(closing)
    is_one = len(text.strip()) - len(inner) == len(opening) + len(closing)
    return inner.strip() if is_one and opening not in inner else text


def _calls(text: str, place: str, draft: Draft) -> list[dict[str, Any]]:
    """Return the calls that a text in JSON states."""
    value = from_text(text, place, "a tool call in JSON")
    calls = value if isinstance(value, list) else [value]
    return [call_of(call, place, draft.note) for call in calls]


def _tagged_calls(text: str, place: str, draft: Draft) -> tuple[str, list[dict[str, Any]]]:
    """Return a text without the calls between tags in it, and the calls."""
    opening, closing = _TAGS
    before, *blocks = text.split(opening)
    texts, calls = [before], []
    for block in blocks:
        inner, closed, after = block.partition(closing)
        if not closed:
            raise TraceError(
                wrong(place, f"text with {closing} after each {opening}", "without one")
            )
        calls += _calls(inner.strip(), place, draft)
        texts.append(after)
    return "".join(part.strip() for part in texts), calls
