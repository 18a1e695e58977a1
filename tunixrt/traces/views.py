"""One schema seen as the other: derived where it is needed, never stored.

The flat view of a conversation has what schema 1.0 has: the first user text, the lines of all
reasoning as steps, the final answer. It may break the limits of that schema (no steps at all, long
ones), so it has no id of its own. The chat view of a trace is a conversation of one turn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import UNSET

from tunixrt.traces.conversation import CONVERSATION_VERSION, Conversation, Message, Role
from tunixrt.traces.schema import Trace, TraceStep, in_order

if TYPE_CHECKING:
    from tunixrt.traces.schema import AnyTrace

#: The type of a step that is a line of reasoning.
REASONING_STEP: Final = "reason"


def flat_view(trace: AnyTrace) -> Trace:
    """Return a trace of schema 1.0 as it is, and the 1.0 view of a conversation."""
    if isinstance(trace, Trace):
        return trace
    return Trace(
        trace_version=trace.trace_version,
        prompt=_first_user_text(trace),
        steps=tuple(
            TraceStep(i, REASONING_STEP, line) for i, line in enumerate(_reasoning_lines(trace))
        ),
        final_answer=answer_of(trace),
        meta=trace.meta,
    )


def chat_view(trace: AnyTrace) -> Conversation:
    """Return a conversation as it is, and the 1.1 view of a trace of schema 1.0."""
    if isinstance(trace, Conversation):
        return trace
    reasoning = "\n".join(step.content for step in in_order(trace.steps))
    answer = Message(Role.ASSISTANT, trace.final_answer, reasoning=reasoning or UNSET)
    return Conversation(
        trace_version=CONVERSATION_VERSION,
        messages=(Message(Role.USER, trace.prompt), answer),
        final_answer=trace.final_answer,
        meta=trace.meta,
    )


def n_steps_of(trace: AnyTrace) -> int:
    """Return the number of steps of the flat view."""
    if isinstance(trace, Trace):
        return len(trace.steps)
    n_steps = 0
    for message in trace.messages:
        if message.reasoning is not UNSET:
            n_steps += sum(map(bool, map(str.strip, message.reasoning.split("\n"))))
    return n_steps


def n_characters_of(trace: AnyTrace) -> int:
    """Return the number of characters of prompt, steps and answer, or of all messages.

    Of a message, content and reasoning count, and the arguments of tool calls do not.
    """
    if isinstance(trace, Trace):
        n = len(trace.prompt) + len(trace.final_answer)
        for step in trace.steps:
            n += len(step.content)
        return n
    return sum(len(message.content) + len(message.thought) for message in trace.messages)


def prompts_of(trace: AnyTrace) -> list[str]:
    """Return the prompt of a trace, or every text of a user in a conversation."""
    if isinstance(trace, Trace):
        return [trace.prompt]
    return [message.content for message in trace.messages if message.role is Role.USER]


def answer_of(conversation: Conversation) -> str:
    """Return the stated final answer; without one, the last text of the assistant, or no text."""
    if conversation.final_answer is not UNSET:
        return conversation.final_answer
    texts = (m.content for m in reversed(conversation.messages) if m.role is Role.ASSISTANT)
    return next((text for text in texts if text), "")


def _first_user_text(conversation: Conversation) -> str:
    return next(iter(prompts_of(conversation)))


def _reasoning_lines(conversation: Conversation) -> list[str]:
    return [
        line
        for message in conversation.messages
        for line in message.thought.split("\n")
        if line.strip()
    ]
