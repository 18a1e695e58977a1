"""The conversation, schema 1.1: messages, tools, reasoning; its checks and its canonical payload.

A conversation keeps what schema 1.0 cannot: several turns, tool calls, reasoning of any length, and
turns that are not learned. An absent field is absent from the payload, never null; only ``meta``
is always present, as in schema 1.0. ``"train": true`` says what an absent ``train`` says, so it is
not stored. :mod:`tunixrt.traces.views` shows each schema as the other.
"""

from __future__ import annotations

import contextlib
from enum import StrEnum
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, UnsetType

from tunixrt.traces.violations import (
    TextLimit,
    TraceError,
    Violation,
    describe,
    missing,
    text_violations,
    unknown_fields,
    wrong,
    wrong_kind,
)
from tunixrt.words import did_you_mean, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

CONVERSATION_VERSION: Final = "1.1"

MAX_MESSAGES = 10_000
MAX_TEXT = 4 * 1024 * 1024
MAX_TOOLS = 1_000

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
_Text = Annotated[str, msgspec.Meta(max_length=MAX_TEXT)]
_Written = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TEXT)]


class Role(StrEnum):
    """Who wrote a message."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


class ToolCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A call that the assistant makes; ``id`` is what the answering message names."""

    name: _Name
    arguments: dict[str, Any]
    id: _Name | UnsetType = UNSET


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One turn.

    ``reasoning``, ``tool_calls`` and ``train`` belong to the assistant, ``tool_call_id`` to a
    tool; ``name`` is the name of a user, an assistant or a tool.
    """

    role: Role
    content: _Text
    reasoning: _Written | UnsetType = UNSET
    tool_calls: (
        Annotated[tuple[ToolCall, ...], msgspec.Meta(min_length=1, max_length=1_000)] | UnsetType
    ) = UNSET
    tool_call_id: _Name | UnsetType = UNSET
    name: _Name | UnsetType = UNSET
    train: bool | UnsetType = UNSET

    @property
    def thought(self) -> str:
        """The reasoning; empty without any."""
        return "" if self.reasoning is UNSET else self.reasoning

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """The tool calls; empty without any."""
        return () if self.tool_calls is UNSET else self.tool_calls

    @property
    def is_learned(self) -> bool:
        """Whether a model is trained to write this turn."""
        return self.role is Role.ASSISTANT and self.train is not False


class Conversation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Messages, the tools that they may call, the final answer if stated, free metadata.

    Each tool is an object with a ``name``; its other fields are free.
    """

    trace_version: Literal["1.1"]
    messages: Annotated[tuple[Message, ...], msgspec.Meta(min_length=2, max_length=MAX_MESSAGES)]
    tools: (
        Annotated[tuple[dict[str, Any], ...], msgspec.Meta(min_length=1, max_length=MAX_TOOLS)]
        | UnsetType
    ) = UNSET
    final_answer: _Written | UnsetType = UNSET
    meta: dict[str, Any] = msgspec.field(default_factory=dict)

    @property
    def offered_tools(self) -> tuple[dict[str, Any], ...]:
        """The tools; empty without any."""
        return () if self.tools is UNSET else self.tools


def is_conversation(value: object) -> bool:
    """Return whether a decoded record means to be a conversation, valid or not.

    Schema 1.0 takes any text as its version, so a prompt with steps stays a trace of that schema
    even if its version is "1.1".
    """
    if not isinstance(value, dict) or "messages" in value:
        return isinstance(value, dict)
    return value.get("trace_version") == CONVERSATION_VERSION and value.keys().isdisjoint(
        ("prompt", "steps")
    )


def conversation_of(value: Mapping[str, object]) -> Conversation:
    """Return the conversation of a decoded JSON object, checked.

    ``meta`` may be absent or null; both mean no metadata.

    Raises:
        TraceError: The value is not a conversation; the message names the field, what was expected
            and what was found.
    """
    if value.get("meta", ...) is None:
        value = {key: item for key, item in value.items() if key != "meta"}
    try:
        conversation = msgspec.convert(value, Conversation)
    except msgspec.ValidationError as error:
        raise TraceError(_why_not(value, str(error))) from error
    if not is_sound(conversation):
        raise TraceError(_why_not(value, "its messages do not follow each other"))
    return without_defaults(conversation)


def is_sound(conversation: Conversation) -> bool:
    """Return whether a decoded conversation keeps the rules that its types do not state.

    Each message has only the fields of its role and may follow the one before it; each tool has a
    name.
    """
    messages = conversation.messages
    return (
        not any(map(_is_misplaced, messages))
        and not any(_turn_violations(messages))
        and (
            conversation.tools is UNSET or not any(_tool_violations({"tools": conversation.tools}))
        )
    )


def without_defaults(conversation: Conversation) -> Conversation:
    """Return the conversation without ``"train": true``, which means the same as no ``train``."""
    messages = conversation.messages
    if True not in [message.train for message in messages]:
        return conversation
    kept = (
        msgspec.structs.replace(message, train=UNSET) if message.train is True else message
        for message in messages
    )
    return msgspec.structs.replace(conversation, messages=tuple(kept))


def _why_not(value: object, otherwise: str) -> Violation:
    other = Violation(
        None, "a conversation", otherwise, f"The record is not a conversation: {otherwise}."
    )
    return next(conversation_violations(value), other)


FIELDS = Conversation.__struct_fields__
MESSAGE_FIELDS = Message.__struct_fields__
CALL_FIELDS = ToolCall.__struct_fields__

#: The roles whose messages may have a field; a field that is not listed is for all roles.
ONLY = {
    "reasoning": (Role.ASSISTANT,),
    "tool_calls": (Role.ASSISTANT,),
    "train": (Role.ASSISTANT,),
    "tool_call_id": (Role.TOOL,),
    "name": (Role.USER, Role.ASSISTANT, Role.TOOL),
}
#: For each role, what reads the fields that it does not have, and what is read if none is there.
_FOREIGN = {
    role: (fields, fields(Message(role, "")))
    for role in Role
    for fields in [attrgetter(*(name for name, roles in ONLY.items() if role not in roles))]
}
_SYSTEM, _USER, _ASSISTANT, _TOOL = Role
_CONTENT = f"text of at most {MAX_TEXT:,} characters"
_MESSAGES = f"a list of 2 to {MAX_MESSAGES:,} messages"
_NAMES = tuple(TextLimit(name, 256) for name in ("name", "tool_call_id"))


def conversation_violations(value: object) -> Iterator[Violation]:
    """Yield every reason why a decoded JSON value is not a conversation."""
    if not isinstance(value, dict):
        yield wrong_kind(value, "an object with the fields of a conversation")
        return
    yield from unknown_fields(value, FIELDS, "a conversation")
    if "trace_version" not in value:
        yield missing("trace_version", f'the text "{CONVERSATION_VERSION}"')
    elif value["trace_version"] != CONVERSATION_VERSION:
        yield wrong(
            "trace_version",
            f'"{CONVERSATION_VERSION}", as it has messages',
            describe(value["trace_version"]),
        )
    yield from _message_list_violations(value)
    yield from _tool_violations(value)
    if "final_answer" in value:
        yield from text_violations(value, TextLimit("final_answer", MAX_TEXT))
    meta = value.get("meta")
    if meta is not None and not isinstance(meta, dict):
        yield wrong("meta", "an object, or absent", describe(meta))


def _message_list_violations(value: dict[str, object]) -> Iterator[Violation]:
    if "messages" not in value:
        yield missing("messages", _MESSAGES)
        return
    messages = value["messages"]
    if not isinstance(messages, list | tuple):
        yield wrong("messages", _MESSAGES, describe(messages))
        return
    if not 2 <= len(messages) <= MAX_MESSAGES:
        yield wrong("messages", _MESSAGES, f"a list of {len(messages):,}" if messages else "empty")
    faults = [
        fault
        for position, message in enumerate(messages)
        for fault in _message_violations(f"messages[{position}]", message)
    ]
    yield from faults
    if not faults:
        # What no JSON text holds, such as a key that is not text, is for the caller to explain.
        with contextlib.suppress(msgspec.ValidationError):
            yield from _turn_violations(msgspec.convert(messages, tuple[Message, ...]))


def _message_violations(prefix: str, message: object) -> Iterator[Violation]:
    if not isinstance(message, dict):
        yield wrong(prefix, "an object with role and content", describe(message))
        return
    yield from unknown_fields(message, MESSAGE_FIELDS, "a message", f"{prefix}.")
    yield from _role_violations(prefix, message)
    if "content" not in message:
        yield missing(f"{prefix}.content", _CONTENT)
    elif not isinstance(message["content"], str):
        yield wrong(f"{prefix}.content", _CONTENT, describe(message["content"]))
    elif len(message["content"]) > MAX_TEXT:
        found = f"text of {len(message['content']):,} characters"
        yield wrong(f"{prefix}.content", _CONTENT, found)
    if "reasoning" in message:
        yield from text_violations(message, TextLimit("reasoning", MAX_TEXT), f"{prefix}.")
    for limit in _NAMES:
        if limit.name in message:
            yield from text_violations(message, limit, f"{prefix}.")
    if "tool_calls" in message:
        yield from _call_list_violations(f"{prefix}.tool_calls", message["tool_calls"])
    if "train" in message and not isinstance(message["train"], bool):
        yield wrong(f"{prefix}.train", "true, false, or absent", describe(message["train"]))


def _role_violations(prefix: str, message: dict[str, object]) -> Iterator[Violation]:
    expected = f"one of {', '.join(Role)}"
    if "role" not in message:
        yield missing(f"{prefix}.role", expected)
        return
    role = message["role"]
    if role not in list(Role):
        hint = f" {did_you_mean(role, [*Role])}" if isinstance(role, str) else ""
        fault = wrong(f"{prefix}.role", expected, describe(role))
        yield msgspec.structs.replace(fault, sentence=fault.sentence + hint)
        return
    for name, roles in ONLY.items():
        if name in message and role not in roles:
            only = " or ".join(roles)
            yield wrong(
                f"{prefix}.{name}", f"absent, as only the role {only} has it", f"of the role {role}"
            )


def _is_misplaced(message: Message) -> bool:
    """Return whether a valid message has a field that its role does not have; see `ONLY`."""
    fields, absent = _FOREIGN[message.role]
    return bool(fields(message) != absent)


def _call_list_violations(prefix: str, calls: object) -> Iterator[Violation]:
    expected = "a list of 1 to 1,000 tool calls, or absent"
    if not isinstance(calls, list | tuple):
        yield wrong(prefix, expected, describe(calls))
        return
    if not 1 <= len(calls) <= 1_000:
        yield wrong(prefix, expected, f"a list of {len(calls):,}" if calls else "empty")
    for position, call in enumerate(calls):
        at = f"{prefix}[{position}]"
        if not isinstance(call, dict):
            yield wrong(at, "an object with name and arguments", describe(call))
            continue
        yield from unknown_fields(call, CALL_FIELDS, "a tool call", f"{at}.")
        yield from text_violations(call, TextLimit("name", 256), f"{at}.")
        if "id" in call:
            yield from text_violations(call, TextLimit("id", 256), f"{at}.")
        if "arguments" not in call:
            yield missing(f"{at}.arguments", "an object")
        elif not isinstance(call["arguments"], dict):
            yield wrong(f"{at}.arguments", "an object", describe(call["arguments"]))


def _tool_violations(value: Mapping[str, object]) -> Iterator[Violation]:
    if "tools" not in value:
        return
    tools, expected = value["tools"], f"a list of 1 to {MAX_TOOLS:,} tools, or absent"
    if not isinstance(tools, list | tuple):
        yield wrong("tools", expected, describe(tools))
        return
    if not 1 <= len(tools) <= MAX_TOOLS:
        yield wrong("tools", expected, f"a list of {len(tools):,}" if tools else "empty")
    for position, tool in enumerate(tools):
        if not isinstance(tool, dict):
            yield wrong(f"tools[{position}]", "an object with a name", describe(tool))
        else:
            yield from text_violations(tool, TextLimit("name", 256), f"tools[{position}].")


def _turn_violations(messages: Sequence[Message]) -> Iterator[Violation]:
    """Yield what is wrong with the order of valid messages and with what they leave out."""
    before: Message | None = None
    calls: dict[str, None] = {}
    has_assistant = False
    for position, message in enumerate(messages):
        fault = _turn_fault(message, before, calls)
        if fault is not None:
            expected, found = fault
            yield wrong(f"messages[{position}]", expected, found)
        if message.role is _ASSISTANT:
            has_assistant = True
            if message.tool_calls is not UNSET:
                calls.update((call.id, None) for call in message.tool_calls if call.id is not UNSET)
        before = message
    if messages and not has_assistant:
        yield wrong("messages", "a list with at least one assistant message", "without one")


def _turn_fault(
    message: Message, before: Message | None, calls: Mapping[str, None]
) -> tuple[str, str] | None:
    """Return what was expected at a message and what was found; None if it may be there."""
    previous = None if before is None else before.role
    if message.role is _TOOL:
        return _tool_turn_fault(message, before, calls)
    if message.role is previous:
        if previous is not _SYSTEM:
            return "a message of another role", f"a second {previous} message in a row"
    elif message.role is _ASSISTANT:
        return _assistant_turn_fault(message, previous)
    if message.role is _USER:
        return None if message.content else ("a user message with text", "one with empty content")
    if before is not None:
        return "another role, as a system message is the first", "a system message"
    return None


def _assistant_turn_fault(message: Message, previous: Role | None) -> tuple[str, str] | None:
    if previous is None or previous is _SYSTEM:
        return "the first user message", "an assistant message"
    if not (message.content or message.reasoning or message.tool_calls):
        return "an assistant message with content, reasoning or tool calls", "an empty one"
    return None


def _tool_turn_fault(
    message: Message, before: Message | None, calls: Mapping[str, None]
) -> tuple[str, str] | None:
    if before is None or not (before.role is _TOOL or before.calls):
        return "another role, as no tool was called", "a tool message"
    if message.tool_call_id is not UNSET and message.tool_call_id not in calls:
        known = ", ".join(map(quoted, calls)) or "none with an id"
        return (
            f"the answer to one of the tool calls before it ({known})",
            f"one to {quoted(message.tool_call_id)}",
        )
    return None
