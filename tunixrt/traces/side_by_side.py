"""Two traces side by side: their scores, and which steps and turns they share."""

from __future__ import annotations

import difflib
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from tunixrt.log.digests import Digest
from tunixrt.traces.conversation import Conversation
from tunixrt.traces.schema import in_order, payload_of, trace_id
from tunixrt.traces.scores import Score, baseline_score
from tunixrt.traces.turns import parts_of
from tunixrt.traces.views import chat_view, flat_view

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tunixrt.traces.schema import AnyTrace


class Change(StrEnum):
    """How a step differs between the first trace and the second."""

    SAME = "same"
    CHANGED = "changed"
    ONLY_A = "only_a"
    ONLY_B = "only_b"


class StepDifference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row of the comparison; numbers count the steps, or the messages, of a trace from 1."""

    change: Change
    a_number: int | None = None
    a_content: str | None = None
    b_number: int | None = None
    b_content: str | None = None


class TraceSide(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One of the two traces."""

    id: Digest
    prompt: str
    final_answer: str
    score: Score


class TraceComparison(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Both traces, the difference of their scores (b minus a), and the aligned steps.

    Attributes:
        steps: Those of the flat views.
        turns: If one of them is a conversation, the texts of both as conversations, each after
            its label; empty if none is.
    """

    a: TraceSide
    b: TraceSide
    score_delta: float
    same_prompt: bool
    same_final_answer: bool
    steps: tuple[StepDifference, ...]
    turns: tuple[StepDifference, ...] = ()


#: The number of a step or a message, and its text.
_Numbered = tuple[int, str]


def compare_traces(a: AnyTrace, b: AnyTrace) -> TraceComparison:
    """Return the comparison of two traces; steps are the same if their contents are."""
    side_a, side_b = _side(a), _side(b)
    has_turns = isinstance(a, Conversation) or isinstance(b, Conversation)
    return TraceComparison(
        a=side_a,
        b=side_b,
        score_delta=round(side_b.score.score - side_a.score.score, 2),
        same_prompt=side_a.prompt == side_b.prompt,
        same_final_answer=side_a.final_answer == side_b.final_answer,
        steps=tuple(_differences(_steps(a), _steps(b))),
        turns=tuple(_differences(_turns(a), _turns(b))) if has_turns else (),
    )


def _side(trace: AnyTrace) -> TraceSide:
    flat = flat_view(trace)
    return TraceSide(
        id=trace_id(payload_of(trace)),
        prompt=flat.prompt,
        final_answer=flat.final_answer,
        score=baseline_score(flat),
    )


def _steps(trace: AnyTrace) -> list[_Numbered]:
    steps = in_order(flat_view(trace).steps)
    return [(number, step.content) for number, step in enumerate(steps, start=1)]


def _turns(trace: AnyTrace) -> list[_Numbered]:
    return [(part.number, f"{part.label}: {part.text}") for part in parts_of(chat_view(trace))]


def _differences(a: Sequence[_Numbered], b: Sequence[_Numbered]) -> Iterator[StepDifference]:
    texts_a, texts_b = [text for _, text in a], [text for _, text in b]
    matcher = difflib.SequenceMatcher(None, texts_a, texts_b, autojunk=False)
    for _, a_from, a_to, b_from, b_to in matcher.get_opcodes():
        # Within one block steps are paired from its start; the rest of the longer side is unpaired.
        for offset in range(max(a_to - a_from, b_to - b_from)):
            yield _row(
                a[a_from + offset] if a_from + offset < a_to else (None, None),
                b[b_from + offset] if b_from + offset < b_to else (None, None),
            )


def _row(a: _Numbered | tuple[None, None], b: _Numbered | tuple[None, None]) -> StepDifference:
    (a_number, a_content), (b_number, b_content) = a, b
    if b_content is None:
        change = Change.ONLY_A
    elif a_content is None:
        change = Change.ONLY_B
    else:
        change = Change.SAME if a_content == b_content else Change.CHANGED
    return StepDifference(change, a_number, a_content, b_number, b_content)
