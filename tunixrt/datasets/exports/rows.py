"""The row of a trace in each export format, as a plain value: what the quick writers must equal.

Free-form values (``metadata``, ``tools``) are JSON text in a row, so that every row of an export
has the same columns with the same types, whatever the traces hold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from msgspec import UNSET

from tunixrt.datasets.exports.formats import ExportFormat, Reasoning, RowSettings
from tunixrt.datasets.reading import OmitReason
from tunixrt.datasets.render import (
    DataFormat,
    Special,
    derived_id,
    question,
    response,
    tunix_sft_text,
)
from tunixrt.log.canonical import encode
from tunixrt.traces.conversation import Role
from tunixrt.traces.facts import RIGHT, STEP_LABEL, WRONG
from tunixrt.traces.schema import Trace, in_order
from tunixrt.traces.trace_rows import trace_row
from tunixrt.traces.views import answer_of, chat_view, flat_view

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tunixrt.datasets.recipes import Split
    from tunixrt.log.digests import Digest
    from tunixrt.traces.conversation import Conversation, Message
    from tunixrt.traces.schema import AnyTrace

#: The formats of texts, in which no turn can be marked as not learned.
_UNMASKED: Final = (ExportFormat.TUNIX_SFT, ExportFormat.TRAINING_EXAMPLE, ExportFormat.TEXT)
_SPECIALS = tuple(special.value for special in Special)


class Member(NamedTuple):
    """A member of a dataset as it is exported."""

    id: Digest
    trace: AnyTrace
    split: Split
    recorded_at: str | None
    labels: Mapping[str, str]


class Row(NamedTuple):
    """A row, and what a reader of it should know.

    Attributes:
        value: the row; or why it cannot be made.
        has_masked_turns: whether it holds an assistant's turn that is not learned, and the format
            is not the whole trace.
        is_cut: whether the conversation continues after the completion.
    """

    value: dict[str, Any] | OmitReason
    has_masked_turns: bool = False
    is_cut: bool = False


def row_of(member: Member, settings: RowSettings, *, with_tools: bool = True) -> Row:
    """Return the row of a member.

    Args:
        member: the trace with what is known about it.
        settings: of the export.
        with_tools: whether rows of messages have the column ``tools``.
    """
    row = _row(member, settings, with_tools)
    if isinstance(row.value, dict) and settings.split is None:
        row.value["split"] = member.split
    return row


def _row(member: Member, settings: RowSettings, with_tools: bool) -> Row:
    match settings.format:
        case ExportFormat.MESSAGES:
            return _messages(member, chat_view(member.trace), settings, with_tools)
        case ExportFormat.PROMPT_COMPLETION:
            return _prompt_completion(member, chat_view(member.trace), settings, with_tools)
        case _:
            value = _flat_row(member, flat_view(member.trace), settings)
            return Row(value, has_masked_turns=_loses_masks(member.trace, settings))


def _flat_row(member: Member, trace: Trace, settings: RowSettings) -> dict[str, Any] | OmitReason:
    system = settings.system
    match settings.format:
        case ExportFormat.TRACE:
            value = trace_row(member.trace, member.id, member.recorded_at)
            return {**value, "metadata": json_text(value["metadata"])}
        case ExportFormat.TUNIX_SFT:
            return _tunix_sft(member, trace, system)
        case ExportFormat.TRAINING_EXAMPLE:
            return _training_example(member, trace, system)
        case ExportFormat.STEPWISE:
            return _stepwise(member, trace, system)
        case _:
            return {"id": member.id, "text": tunix_sft_text(member.trace, system)}


def json_text(value: object) -> str:
    """Return a free-form value as canonical JSON in a text."""
    return encode(value).decode()


def metadata_of(own: Mapping[str, str], meta: Mapping[str, Any]) -> dict[str, Any]:
    """Return tunixrt's metadata and the trace's; nothing is lost if names collide."""
    metadata: dict[str, Any] = {**own}
    for key, value in sorted(meta.items()):
        name = key
        while name in own or (name != key and name in meta):
            name = f"meta.{name}"
        metadata[name] = value
    return metadata


def _tunix_sft(member: Member, trace: Trace, system: str | None) -> dict[str, Any]:
    own = {"trace_version": trace.trace_version, "format": ExportFormat.TUNIX_SFT.value}
    if member.recorded_at is not None:
        own["recorded_at"] = member.recorded_at
    return {
        "id": member.id,
        "prompts": tunix_sft_text(member.trace, system),
        "final_answer": trace.final_answer,
        "metadata": json_text(metadata_of(own, trace.meta)),
    }


def _training_example(member: Member, trace: Trace, system: str | None) -> dict[str, Any]:
    own = {"trace_version": trace.trace_version, "source_trace_id": member.id}
    data_format = DataFormat.TRAINING_EXAMPLE
    return {
        "id": derived_id(member.id, data_format, system),
        "prompt": question(trace.prompt, data_format, system),
        "response": response(trace, data_format),
        "metadata": json_text(metadata_of(own, trace.meta)),
    }


def _stepwise(member: Member, trace: Trace, system: str | None) -> dict[str, Any] | OmitReason:
    steps = in_order(trace.steps)
    labels = [member.labels.get(f"{STEP_LABEL}{step.i}") for step in steps]
    known = [label if label in {RIGHT, WRONG} else None for label in labels]
    if not any(known):
        return OmitReason.NO_STEP_LABELS
    # An error carries over: a step without a label is wrong if one before it is.
    found_wrong, judged = False, []
    for label in known:
        found_wrong = found_wrong or label == WRONG
        judged.append(label == RIGHT if label else not found_wrong)
    return {
        "id": member.id,
        "prompt": question(trace.prompt, DataFormat.TUNIX_SFT, system),
        "completions": [step.content for step in steps],
        "labels": judged,
    }


def _messages(member: Member, chat: Conversation, settings: RowSettings, with_tools: bool) -> Row:
    messages = list(_written(chat.messages, settings))
    value = {"id": member.id, "messages": messages, **_tools(chat, with_tools)}
    return Row(value, has_masked_turns=_has_masked(chat.messages))


def _prompt_completion(
    member: Member, chat: Conversation, settings: RowSettings, with_tools: bool
) -> Row:
    learned = [at for at, message in enumerate(chat.messages) if message.is_learned]
    if not learned:
        return Row(OmitReason.NOTHING_LEARNED)
    last = learned[-1]
    written = list(_written(chat.messages[: last + 1], settings))
    value = {
        "id": member.id,
        "prompt": written[:-1],
        "completion": written[-1:],
        **_tools(chat, with_tools),
    }
    return Row(value, is_cut=last + 1 < len(chat.messages))


def _tools(chat: Conversation, with_tools: bool) -> dict[str, str]:
    if not with_tools:
        return {}
    return {"tools": json_text([_tool(tool) for tool in chat.offered_tools])}


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    # A tool that names its type is in the form that chat templates read already.
    return tool if "type" in tool else {"type": "function", "function": tool}


def _has_masked(messages: Sequence[Message]) -> bool:
    return any(m.role is Role.ASSISTANT and not m.is_learned for m in messages)


def _loses_masks(trace: AnyTrace, settings: RowSettings) -> bool:
    """Return whether a format of texts holds a turn that is not learned, without saying so."""
    return (
        settings.format in _UNMASKED
        and not isinstance(trace, Trace)
        and _has_masked(trace.messages)
    )


def _written(messages: Sequence[Message], settings: RowSettings) -> Iterator[dict[str, Any]]:
    system = settings.system
    if system is not None:
        if messages[0].role is Role.SYSTEM:
            # Training leaves out a system message without text, too, and the blank line before it.
            own, *messages = messages
            system = f"{system}\n\n{own.content}" if own.content else system
        yield {"role": Role.SYSTEM.value, "content": system}
    for message in messages:
        yield _message(message, settings.reasoning)


def _message(message: Message, reasoning: Reasoning | None) -> dict[str, Any]:
    value: dict[str, Any] = {"role": message.role.value, "content": message.content}
    if message.role is Role.ASSISTANT:
        value |= with_reasoning(message.content, message.thought, reasoning)
    for name in ("name", "tool_call_id"):
        if getattr(message, name) is not UNSET:
            value[name] = getattr(message, name)
    if message.calls:
        value["tool_calls"] = [
            {
                **({} if call.id is UNSET else {"id": call.id}),
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in message.calls
        ]
    if message.train is False:
        value["weight"] = 0
    return value


def with_reasoning(content: str, thought: str, reasoning: Reasoning | None) -> dict[str, str]:
    """Return the fields of an assistant's message that hold its text and its reasoning.

    A field for reasoning is there even if it is empty: a reader that takes its columns from the
    first rows then finds it.
    """
    if reasoning is Reasoning.TAGS:
        tagged = f"<think>\n{thought}\n</think>\n\n{content}" if thought else content
        return {"content": tagged}
    if reasoning is Reasoning.NONE or reasoning is None:
        return {"content": content}
    return {"content": content, reasoning.value: thought}


def has_template_text(trace: AnyTrace) -> bool:
    """Return whether the texts of a trace contain the text of a special token."""
    return any(special in text for text in _texts(trace) for special in _SPECIALS)


def _texts(trace: AnyTrace) -> Iterator[str]:
    if isinstance(trace, Trace):
        yield from (trace.prompt, trace.final_answer)
        yield from (step.content for step in trace.steps)
        return
    for message in trace.messages:
        yield from (message.content, message.thought)
    yield answer_of(trace)
