"""A conversation as a list of labelled texts, for terminals, comparisons and pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET

from tunixrt.log.canonical import encode
from tunixrt.traces.conversation import Role

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunixrt.traces.conversation import Conversation, Message, ToolCall


class Part(msgspec.Struct, frozen=True):
    """One text of a message: the reasoning, the content, or the arguments of a tool call.

    Attributes:
        number: The number of the message, from 1.
        label: Who wrote it, and what it is: ``assistant reasoning``, ``tool (c1)``. It quotes names
            as the conversation has them, so it may hold control characters.
        text: The text; the arguments of a call as canonical JSON.
    """

    number: int
    label: str
    text: str


def parts_of(conversation: Conversation) -> Iterator[Part]:
    """Yield every text of a conversation in order; a message without any text has an empty one.

    The label of a turn of the assistant that is not trained ends in ``, masked``.
    """
    for number, message in enumerate(conversation.messages, start=1):
        who = _author(message)
        masked = ", masked" if message.role is Role.ASSISTANT and not message.is_learned else ""
        if message.thought:
            yield Part(number, f"{who} reasoning{masked}", message.thought)
        if message.content or not (message.thought or message.calls):
            yield Part(number, f"{who}{masked}", message.content)
        for call in message.calls:
            arguments = encode(call.arguments).decode()
            yield Part(number, f"{who} calls {_called(call)}{masked}", arguments)


def _author(message: Message) -> str:
    name = "" if message.name is UNSET else f" {message.name}"
    answered = "" if message.tool_call_id is UNSET else f" ({message.tool_call_id})"
    return f"{message.role}{name}{answered}"


def _called(call: ToolCall) -> str:
    return call.name if call.id is UNSET else f"{call.name} ({call.id})"
