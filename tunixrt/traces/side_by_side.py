"""Two traces side by side: their scores, and which steps they share."""

from __future__ import annotations

import difflib
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from tunixrt.log.digests import Digest
from tunixrt.traces.schema import in_order, payload_of, trace_id
from tunixrt.traces.scores import Score, baseline_score

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tunixrt.traces.schema import Trace, TraceStep


class Change(StrEnum):
    """How a step differs between the first trace and the second."""

    SAME = "same"
    CHANGED = "changed"
    ONLY_A = "only_a"
    ONLY_B = "only_b"


class StepDifference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row of the comparison; numbers count the steps of a trace from 1."""

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
    """Both traces, the difference of their scores (b minus a), and the aligned steps."""

    a: TraceSide
    b: TraceSide
    score_delta: float
    same_prompt: bool
    same_final_answer: bool
    steps: tuple[StepDifference, ...]


def compare_traces(a: Trace, b: Trace) -> TraceComparison:
    """Return the comparison of two traces; steps are the same if their contents are."""
    side_a, side_b = _side(a), _side(b)
    return TraceComparison(
        a=side_a,
        b=side_b,
        score_delta=round(side_b.score.score - side_a.score.score, 2),
        same_prompt=a.prompt == b.prompt,
        same_final_answer=a.final_answer == b.final_answer,
        steps=tuple(_differences(in_order(a.steps), in_order(b.steps))),
    )


def _side(trace: Trace) -> TraceSide:
    return TraceSide(
        id=trace_id(payload_of(trace)),
        prompt=trace.prompt,
        final_answer=trace.final_answer,
        score=baseline_score(trace),
    )


def _differences(a: Sequence[TraceStep], b: Sequence[TraceStep]) -> Iterator[StepDifference]:
    texts_a, texts_b = [s.content for s in a], [s.content for s in b]
    matcher = difflib.SequenceMatcher(None, texts_a, texts_b, autojunk=False)
    for _, a_from, a_to, b_from, b_to in matcher.get_opcodes():
        # Within one block steps are paired from its start; the rest of the longer side is unpaired.
        for offset in range(max(a_to - a_from, b_to - b_from)):
            at_a = a_from + offset if a_from + offset < a_to else None
            at_b = b_from + offset if b_from + offset < b_to else None
            yield _row(texts_a, at_a, texts_b, at_b)


def _row(
    texts_a: Sequence[str], at_a: int | None, texts_b: Sequence[str], at_b: int | None
) -> StepDifference:
    content_a = None if at_a is None else texts_a[at_a]
    content_b = None if at_b is None else texts_b[at_b]
    if content_b is None:
        change = Change.ONLY_A
    elif content_a is None:
        change = Change.ONLY_B
    else:
        change = Change.SAME if content_a == content_b else Change.CHANGED
    return StepDifference(
        change=change,
        a_number=None if at_a is None else at_a + 1,
        a_content=content_a,
        b_number=None if at_b is None else at_b + 1,
        b_content=content_b,
    )
