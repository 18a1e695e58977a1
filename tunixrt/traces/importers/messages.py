"""Chats: OpenAI's fine-tuning files, TRL, Hugging Face and Anthropic; Gemini's are in `gemini`.

A message has a role and a content. Reasoning may be in a field of several names, in a part of the
content, or in ``<think>`` at the beginning of the text; it becomes the one field ``reasoning``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tunixrt.traces.conversation import Role
from tunixrt.traces.importers.content import (
    CONTENT_EXPECTED,
    Content,
    read_content,
    result_text,
)
from tunixrt.traces.importers.draft import Draft
from tunixrt.traces.importers.gemini import read_gemini
from tunixrt.traces.importers.reading import Note, as_object, metadata, refuse_media, refuse_two
from tunixrt.traces.importers.tags import split_thought
from tunixrt.traces.importers.tools import call_of, from_text, list_of, tools_of
from tunixrt.traces.violations import TraceError, describe, missing, wrong
from tunixrt.words import did_you_mean

if TYPE_CHECKING:
    from tunixrt.traces.importers.reading import Read

_LISTS: Final = ("messages", "conversation", "conversations")
_EXPECTED: Final = "a list of messages, each with role and content"

ROLES: Final = {
    "system": Role.SYSTEM,
    "developer": Role.SYSTEM,
    "user": Role.USER,
    "assistant": Role.ASSISTANT,
    "model": Role.ASSISTANT,
    "tool": Role.TOOL,
    "function": Role.TOOL,
}
#: Messages of these roles with nothing but text are what most of a chat is.
_PLAIN: Final = (Role.USER, Role.SYSTEM)
_REASONING: Final = (
    "reasoning_content",
    "reasoning",
    "thinking",
    "thinking_blocks",
    "reasoningContent",
)
_CALLS: Final = ("tool_calls", "toolCalls")
_CALL_IDS: Final = ("tool_call_id", "toolCallId")
#: The fields of a message that are read; the others become metadata.
_FIELDS: Final = frozenset(
    {
        "role",
        "content",
        "name",
        "function_call",
        "refusal",
        *_REASONING,
        *_CALLS,
        *_CALL_IDS,
    }
)
#: The metadata of a message with several results of tools, if one of them has a field of that name.
_OF_ALL: Final = "message"
_ASSISTANT_FIELDS: Final = _FIELDS | {"weight", "train"}


def read_messages(value: object) -> Read:
    """Return the conversation of a record with ``messages``, ``conversation`` or ``contents``.

    Raises:
        TraceError: It is not such a record; the message names the place in it.
    """
    record = as_object(value, "an object with messages")
    if record.get("contents") is not None:
        return read_gemini(record)
    name = next((key for key in _LISTS if record.get(key) is not None), None)
    if name is None:
        raise TraceError(missing("messages", _EXPECTED))
    return read_list(record, name, known=(name,))


def read_list(record: dict[str, Any], name: str, *, known: tuple[str, ...]) -> Read:
    """Return the conversation of a record whose field ``name`` is a list of messages.

    Args:
        record: The record.
        name: The field with the messages.
        known: The fields that are not metadata, beside those that every chat may have.

    Raises:
        TraceError: It is not a list of messages.
    """
    draft = Draft()
    items = list_of(record[name], name, _EXPECTED)
    add_system_field(draft, record, items)
    for position, message in enumerate(items):
        add_message(draft, message, f"{name}[{position}]")
    return finish(draft, record, known=known)


def add_system_field(draft: Draft, record: dict[str, Any], items: list[Any]) -> None:
    """Add the field ``system`` of a record as its first message, once.

    Raises:
        TraceError: It is not text, or differs from the system message in the list.
    """
    if record.get("system") is None:
        return
    text = read_content(record["system"], "system", draft.note).text
    first = items[0] if items else None
    if isinstance(first, dict) and ROLES.get(str(first.get("role"))) is Role.SYSTEM and text:
        if first.get("content") != text:
            refuse_two("system", "the system message")
        return
    draft.add_system(text, place="system")


def finish(
    draft: Draft, record: dict[str, Any], *, known: tuple[str, ...], found: str = ""
) -> Read:
    """Return the conversation of a draft with the tools, answer and metadata of its record.

    Args:
        draft: The conversation.
        record: The record.
        known: The fields that are not metadata, beside those that every chat may have.
        found: The final answer, if the record does not state one.

    Raises:
        TraceError: It is not a conversation.
    """
    name = "tools" if record.get("tools") is not None else "functions"
    tools = tools_of(record.get(name), name)
    answer = record.get("final_answer")
    read = [*known, "system", name, *(["final_answer"] if isinstance(answer, str) else [])]
    return draft.done(
        metadata(record, read),
        tools=tools,
        final_answer=(answer if isinstance(answer, str) else "") or found,
    )


def add_message(draft: Draft, message: object, place: str) -> None:
    """Add a message to a draft.

    Args:
        draft: The conversation so far.
        message: An object with ``role`` and ``content``.
        place: Where it is in the record.

    Raises:
        TraceError: It is not a message.
    """
    if not isinstance(message, dict):
        raise TraceError(wrong(place, "an object with role and content", describe(message)))
    role = _role(message, place)
    if len(message) == 2 and role in _PLAIN and isinstance(message.get("content"), str):
        draft.add(role, message["content"], place=place)
        return
    known = _ASSISTANT_FIELDS if role is Role.ASSISTANT else _FIELDS
    extra = {key: item for key, item in message.items() if key not in known and item is not None}
    extra |= _beside(message, role)
    _refuse_misplaced(message, role, place)
    if isinstance(message.get("audio"), dict):
        refuse_media(f"{place}.audio", "audio")
    fields: dict[str, Any] = {}
    if message.get("name"):
        if role is Role.SYSTEM:
            draft.note(Note.NAMELESS_ROLE)
        else:
            fields["name"] = message["name"]
    if role is Role.TOOL:
        fields |= _call_id(message)
        text = result_text(message.get("content"), f"{place}.content", draft.note)
        draft.add(role, text, place=place, fields=fields, extra=extra)
        return
    content = _content(message, role, place, draft)
    is_results = bool(content.results) and not content.text and role is not Role.ASSISTANT
    _add_results(draft, content, {**extra, **fields} if is_results else {})
    if is_results:
        return
    if role is Role.ASSISTANT:
        fields |= _assistant_fields(draft, message, content, place)
    draft.add(role, content.text, place=place, fields=fields, extra=extra)


def _add_results(draft: Draft, content: Content, beside: dict[str, Any]) -> None:
    """Add the results of tools in a content; the first has what is beside all of them."""
    for result in content.results:
        is_twice = not beside.keys().isdisjoint(result.extra)
        extra = {**result.extra, **({_OF_ALL: beside} if is_twice else beside)}
        draft.add(Role.TOOL, result.text, place=result.place, fields=result.fields, extra=extra)
        beside = {}


def _beside(message: dict[str, Any], role: Role) -> dict[str, Any]:
    """Return the fields that are read in other messages and have no use in this one."""
    unused = [] if message.get("content") is None else ["refusal"]
    for names in (_CALLS, _CALL_IDS):
        unused += [name for name in names if message.get(name)][1:]
    if role is not Role.TOOL:
        unused += _CALL_IDS
    if any(message.get(name) is not None for name in _CALLS):
        unused.append("function_call")
    return {name: message[name] for name in unused if message.get(name)}


def _call_id(message: dict[str, Any]) -> dict[str, Any]:
    found = next((message[key] for key in _CALL_IDS if message.get(key)), None)
    return {} if found is None else {"tool_call_id": found}


def _role(message: dict[str, Any], place: str) -> Role:
    role = message.get("role")
    if isinstance(role, str) and role in ROLES:
        return ROLES[role]
    if role is None:
        raise TraceError(missing(f"{place}.role", "one of system, user, assistant, tool"))
    violation = wrong(f"{place}.role", "one of system, user, assistant, tool", describe(role))
    hint = did_you_mean(role, list(ROLES)) if isinstance(role, str) else ""
    raise TraceError(
        type(violation)(
            violation.field,
            violation.expected,
            violation.found,
            f"{violation.sentence} {hint}".rstrip(),
        )
    )


def _content(message: dict[str, Any], role: Role, place: str, draft: Draft) -> Content:
    value = message.get("content")
    if value is not None:
        return read_content(value, f"{place}.content", draft.note)
    refusal = message.get("refusal")
    if isinstance(refusal, str) and refusal:
        draft.note(Note.REFUSAL)
        return Content(refusal)
    beside = (*_CALLS, *_REASONING, "function_call")
    if role is Role.ASSISTANT and any(message.get(key) for key in beside):
        return Content()
    if "content" not in message:
        raise TraceError(missing(f"{place}.content", CONTENT_EXPECTED))
    raise TraceError(wrong(f"{place}.content", CONTENT_EXPECTED, "null"))


def _assistant_fields(
    draft: Draft, message: dict[str, Any], content: Content, place: str
) -> dict[str, Any]:
    """Return the fields of an assistant turn; the reasoning is cut out of its text."""
    fields: dict[str, Any] = {}
    thoughts = [*_thoughts(message, place, draft), *_parts(content.thoughts)]
    thought = split_thought(content.text)
    draft.note(*thought.notes)
    content.text = thought.text
    if thought.reasoning:
        thoughts.append((f"{place}.content", thought.reasoning))
    if thoughts:
        fields["reasoning"] = _one(thoughts)
    calls = [*content.calls, *_calls(message, place, draft)]
    if calls:
        fields["tool_calls"] = calls
    if is_masked(message, place):
        fields["train"] = False
    return fields


def _thoughts(message: dict[str, Any], place: str, draft: Draft) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name in _REASONING:
        value, at = message.get(name), f"{place}.{name}"
        if isinstance(value, list):
            found += _parts(read_content(value, at, draft.note).thoughts)
        elif value is not None and not isinstance(value, str):
            raise TraceError(wrong(at, "text", describe(value)))
        elif value and value.strip():
            found.append((at, value))
    return found


def _parts(thoughts: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the reasoning of several parts as one text."""
    written = [(place, text) for place, text in thoughts if text.strip()]
    return [(written[0][0], "\n".join(text for _, text in written))] if written else []


def _one(thoughts: list[tuple[str, str]]) -> str:
    """Return the reasoning that is stated in one place, or in several with the same words."""
    (place, text), *others = thoughts
    for other, again in others:
        if again.split() != text.split():
            refuse_two(other, place)
    return text


def _calls(message: dict[str, Any], place: str, draft: Draft) -> list[dict[str, Any]]:
    name = next((key for key in _CALLS if message.get(key) is not None), None)
    legacy = message.get("function_call")
    if name is None:
        at = f"{place}.function_call"
        return [] if legacy is None else [call_of(legacy, at, draft.note)]
    calls, at = message[name], f"{place}.{name}"
    if isinstance(calls, str):
        calls = from_text(calls, at, "a list of tool calls, or the text of one in JSON")
    if not isinstance(calls, list):
        raise TraceError(wrong(at, "a list of tool calls", describe(calls)))
    return [call_of(call, f"{at}[{i}]", draft.note) for i, call in enumerate(calls)]


def is_masked(message: dict[str, Any], place: str) -> bool:
    """Return whether a turn is not to be learned: ``weight`` is 0 or ``train`` is false.

    Raises:
        TraceError: They are something else, or contradict each other.
    """
    weight, train = message.get("weight"), message.get("train")
    if weight is not None and (isinstance(weight, bool) or weight not in (0, 1)):
        raise TraceError(wrong(f"{place}.weight", "0 or 1, or absent", describe(weight)))
    if train is not None and not isinstance(train, bool):
        raise TraceError(wrong(f"{place}.train", "true, false, or absent", describe(train)))
    if weight is not None and train is not None and bool(weight) is not train:
        refuse_two(f"{place}.weight", f"{place}.train")
    return train is False or weight == 0


def _refuse_misplaced(message: dict[str, Any], role: Role, place: str) -> None:
    """Refuse what only an assistant has in the message of another role.

    Raises:
        TraceError: It is not empty.
    """
    if role is Role.ASSISTANT:
        return
    for name in (*_REASONING, *_CALLS, "function_call"):
        if message.get(name):
            expected = "absent, as only the role assistant has it"
            raise TraceError(wrong(f"{place}.{name}", expected, f"of the role {role}"))
