"""The turns of a conversation as text, in tunixrt's own template; docs/training.md describes it.

Each part of an assistant turn starts on a line of its own with a word that says what it is
(``Reasoning:``, ``Answer:``, ``Call N:``), and calls and tools are one line of canonical JSON each.
So the turns can be read back from the text, unless a text itself has a line that starts like that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec import UNSET

from tunixrt.log.canonical import encode
from tunixrt.traces.conversation import Role

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunixrt.traces.conversation import Conversation, Message

MODEL: Final = "model"
USER: Final = "user"
TOOL: Final = "tool"


class Turn(NamedTuple):
    """One turn of the template.

    Attributes:
        role: ``user``, ``model`` or ``tool``: the text after the start-of-turn token.
        text: what follows on the next line.
        is_learned: whether the model is trained to write the text.
    """

    role: str
    text: str
    is_learned: bool = False


def turns_of(
    conversation: Conversation, *, system: str | None = None, answer_only: bool = False
) -> Iterator[Turn]:
    """Yield the turns of a conversation.

    The configured system instruction, the conversation's own system message and its tools precede
    the first user text, with a blank line after each, since the template has no such role.

    Args:
        conversation: its messages and tools.
        system: the configured system instruction.
        answer_only: leave out all reasoning; the last assistant turn is the stated final answer,
            where one is stated.
    """
    preamble = [system] if system else []
    calls = _Calls()
    final_answer = "" if conversation.final_answer is UNSET else conversation.final_answer
    last = max(i for i, m in enumerate(conversation.messages) if m.role is Role.ASSISTANT)
    tools = [_json(tool) for tool in conversation.offered_tools]
    for place, message in enumerate(conversation.messages):
        match message.role:
            case Role.SYSTEM:
                preamble += [message.content] if message.content else []
            case Role.USER:
                preamble += ["\n".join(["Tools:", *tools])] if tools else []
                yield Turn(USER, "\n\n".join([*preamble, message.content]))
                preamble, tools = [], []
            case Role.TOOL:
                yield Turn(TOOL, calls.result(message))
            case Role.ASSISTANT:
                stated = final_answer if place == last else ""
                parts = [] if answer_only or not message.thought else [_reasoning(message)]
                if message.content and not (answer_only and stated):
                    parts.append(_answer(message.content))
                elif stated and (answer_only or not message.calls):
                    parts.append(_answer(stated))
                parts += calls.lines(message)
                yield Turn(MODEL, "\n".join(parts), message.is_learned and bool(parts))


class _Calls:
    """Numbers tool calls through a conversation: a model should not learn their ids."""

    def __init__(self) -> None:
        self._n_calls = 0
        self._numbers: dict[str, int] = {}

    def lines(self, message: Message) -> Iterator[str]:
        """The calls of an assistant message."""
        for call in message.calls:
            self._n_calls += 1
            if call.id is not UNSET:
                self._numbers[call.id] = self._n_calls
            described = _json({"name": call.name, "arguments": call.arguments})
            yield f"Call {self._n_calls}: {described}"

    def result(self, message: Message) -> str:
        """A tool message, which answers the latest call with its id."""
        if message.tool_call_id is UNSET:
            return f"Result: {message.content}"
        return f"Result {self._numbers[message.tool_call_id]}: {message.content}"


def _reasoning(message: Message) -> str:
    return f"Reasoning:\n{message.thought}"


def _answer(text: str) -> str:
    return f"Answer: {text}"


def _json(value: dict[str, object]) -> str:
    return encode(value).decode()
