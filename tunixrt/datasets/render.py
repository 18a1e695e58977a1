"""Renders a trace as what a model reads and what it should write.

A trace of schema 1.0 is a prompt and a completion. A conversation is all its turns, of which the
model learns to write those of the assistant that are not masked.

Text and special tokens are pieces of different types, so a trace that contains the text
``<end_of_turn>`` trains on those characters and never on the token. Only the text exports join the
pieces into one string.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

import msgspec

from tunixrt.datasets.conversation_text import MODEL, USER, turns_of
from tunixrt.log.digests import Digest, digest_value
from tunixrt.traces.conversation import Conversation
from tunixrt.traces.schema import in_order

if TYPE_CHECKING:
    from tunixrt.traces.schema import AnyTrace, Trace

#: ExamplePart of every run id: change it with any text below.
TEMPLATE_VERSION: Final = "1"

_REQUEST = "Please show your reasoning steps."


class Special(StrEnum):
    """The special tokens of the template, as the Gemma family spells them."""

    BOS = "<bos>"
    START_OF_TURN = "<start_of_turn>"
    END_OF_TURN = "<end_of_turn>"


Piece = str | Special


class DataFormat(StrEnum):
    """What a model is trained to read and to write."""

    TUNIX_SFT = "tunix_sft"
    TRAINING_EXAMPLE = "training_example"
    #: The completion is the answer without the reasoning: the baseline for training on steps.
    ANSWER_ONLY = "answer_only"


class ExamplePart(msgspec.Struct, frozen=True):
    """Consecutive pieces that the model all learns to write, or all only reads."""

    pieces: tuple[Piece, ...]
    is_learned: bool = False


class Example(msgspec.Struct, frozen=True):
    """One training example: the loss is on the parts that are learned.

    Parts alternate: no two that follow each other are both learned, or both not. So two examples
    have equal parts exactly if they have equal pieces and masks.
    """

    id: str
    trace: Digest
    parts: tuple[ExamplePart, ...]

    @property
    def prompt(self) -> tuple[Piece, ...]:
        """Everything before the first piece that is learned."""
        first, *_ = self.parts
        return () if first.is_learned else first.pieces


def single_turn(
    identifier: str, trace: Digest, prompt: tuple[Piece, ...], completion: tuple[Piece, ...]
) -> Example:
    """Return the example of a prompt that is read and a completion that is learned."""
    return Example(
        identifier, trace, (ExamplePart(prompt), ExamplePart(completion, is_learned=True))
    )


def render_example(
    trace: AnyTrace, trace_id: Digest, *, data_format: DataFormat, system: str | None = None
) -> Example:
    """Return a trace of either schema as a training example."""
    identifier = derived_id(trace_id, data_format, system)
    if isinstance(trace, Conversation):
        return Example(identifier, trace_id, _parts(trace, data_format, system))
    prompt = render_prompt(trace.prompt, data_format=data_format, system=system)
    return single_turn(
        identifier, trace_id, prompt, (response(trace, data_format), Special.END_OF_TURN)
    )


def _parts(
    conversation: Conversation, data_format: DataFormat, system: str | None
) -> tuple[ExamplePart, ...]:
    """Every turn of a conversation, in the pieces that a single turn has."""
    parts: list[ExamplePart] = []
    read: list[Piece] = [Special.BOS]
    separator: tuple[Piece, ...] = ()
    answer_only = data_format is DataFormat.ANSWER_ONLY
    for role, text, is_learned in turns_of(conversation, system=system, answer_only=answer_only):
        read += (*separator, Special.START_OF_TURN)
        separator = ("\n",)
        if role != MODEL:
            asked = question(text, data_format) if role == USER else text
            read += (f"{role}\n{asked}", Special.END_OF_TURN)
        elif is_learned:
            parts.append(ExamplePart((*read, f"{role}\n")))
            parts.append(ExamplePart((text, Special.END_OF_TURN), is_learned=True))
            read = []
        else:
            read += (f"{role}\n", text, Special.END_OF_TURN)
    return (*parts, ExamplePart(tuple(read))) if read else tuple(parts)


def render_prompt(
    prompt: str, *, data_format: DataFormat, system: str | None = None
) -> tuple[Piece, ...]:
    """Return everything before the completion: ``<bos>`` to the start of the model's turn."""
    return (
        Special.BOS,
        Special.START_OF_TURN,
        "user\n" + question(prompt, data_format, system),
        Special.END_OF_TURN,
        "\n",
        Special.START_OF_TURN,
        "model\n",
    )


def tunix_sft_text(trace: AnyTrace, system: str | None = None) -> str:
    """Return the trace as one Gemma text, without ``<bos>`` and a trailing line feed."""
    if isinstance(trace, Conversation):
        parts = _parts(trace, DataFormat.TUNIX_SFT, system)
        return "".join(piece for part in parts for piece in part.pieces).removeprefix(Special.BOS)
    _, *prompt = render_prompt(trace.prompt, data_format=DataFormat.TUNIX_SFT, system=system)
    return "".join([*prompt, response(trace, DataFormat.TUNIX_SFT), Special.END_OF_TURN])


def prompt_format(data_format: DataFormat) -> DataFormat:
    """Return the representative of all formats that have the same prompt text.

    Models that were trained on such formats receive the same prompts, so their scores are
    comparable.
    """
    return DataFormat.TUNIX_SFT if data_format is DataFormat.ANSWER_ONLY else data_format


def question(prompt: str, data_format: DataFormat, system: str | None = None) -> str:
    """Return the user's turn; Gemma has no system role, so the instruction precedes the prompt."""
    if data_format is DataFormat.TRAINING_EXAMPLE:
        prompt = f"{prompt}\n\n{_REQUEST}"
    return f"{system}\n\n{prompt}" if system else prompt


def response(trace: Trace, data_format: DataFormat) -> str:
    """Return the model's turn: the numbered steps, then the answer."""
    answer = f"Answer: {trace.final_answer}"
    if data_format is DataFormat.ANSWER_ONLY or not trace.steps:
        return answer
    steps = "\n".join(
        f"{number}. {step.content}" for number, step in enumerate(in_order(trace.steps), start=1)
    )
    return f"Reasoning:\n{steps}\n{answer}"


def derived_id(trace_id: Digest, data_format: str, system: str | None) -> Digest:
    """Return the id of a record that is derived from a trace.

    It depends on the trace, the format, the version of the template and the system instruction, so
    that exporting again gives the same id, and two different texts never share one.
    """
    return digest_value([data_format, TEMPLATE_VERSION, system or None, trace_id])
