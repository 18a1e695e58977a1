"""The baseline score of a trace: how many steps it has and how long they are, from 0 to 100.

It does not measure correctness. Users of the earlier system sort by it, so it is kept to the second
decimal; every operation is a single IEEE 754 one, so it is the same everywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from tunixrt.traces.schema import Trace

BASELINE: Final = "baseline"


class ScoreDetails(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The components of a baseline score; lengths in characters, over the steps only."""

    step_count: int
    avg_step_length: float
    total_chars: int
    step_score: float
    length_score: float


class Score(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A score from 0 to 100, its scorer, and how it was computed."""

    scorer: str
    score: float
    details: ScoreDetails


def baseline_score(trace: Trace) -> Score:
    """Return ``min(n_steps / 10, 1) * 50 + min(avg step characters / 500, 1) * 50``, rounded.

    The score of a trace without steps is 0; that of a conversation is the score of its flat view.
    """
    n_steps = len(trace.steps)
    total_chars = sum(len(step.content) for step in trace.steps)
    average = total_chars / n_steps if n_steps else 0.0
    step_score = min(n_steps / 10, 1.0) * 50
    length_score = min(average / 500, 1.0) * 50
    return Score(
        scorer=BASELINE,
        score=round(step_score + length_score, 2),
        details=ScoreDetails(
            step_count=n_steps,
            avg_step_length=round(average, 2),
            total_chars=total_chars,
            step_score=round(step_score, 2),
            length_score=round(length_score, 2),
        ),
    )
