"""Which samples a report shows: a fixed rule, so that samples are not cherry-picked.

Samples fall into four groups: fixed (wrong before, right after), broken (the other way round),
wrong in both, right in both. Where several responses were drawn, a sample is right if at least half
of them are. From each group the samples with the lowest SHA-256 of their ids are
shown, three of the first two groups and two of the others.
"""

from __future__ import annotations

from enum import StrEnum
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import msgspec

from tunixrt.eval.compare.draws import by_sample
from tunixrt.eval.compare.metrics import METRIC, measured
from tunixrt.runs.lines import Prediction

if TYPE_CHECKING:
    from collections.abc import Sequence

RULE: Final = (
    "Samples are chosen by a fixed rule: from each group those whose ids have the lowest SHA-256, "
    "up to three that were fixed, three that broke, two that stayed wrong and two that stayed "
    "right."
)


class Outcome(StrEnum):
    """How a sample changed."""

    FIXED = "fixed"
    BROKEN = "broken"
    STAYED_WRONG = "stayed wrong"
    STAYED_RIGHT = "stayed right"


_AT_MOST: Final = {
    Outcome.FIXED: 3,
    Outcome.BROKEN: 3,
    Outcome.STAYED_WRONG: 2,
    Outcome.STAYED_RIGHT: 2,
}


class ShownSample(msgspec.Struct, frozen=True):
    """A sample with its predictions: one, or one per draw."""

    outcome: Outcome
    before: tuple[Prediction, ...]
    after: tuple[Prediction, ...]

    @property
    def example_id(self) -> str:
        """The id of the sample."""
        return self.before[0].example_id


def choose_samples(
    before: Sequence[Prediction], after: Sequence[Prediction]
) -> tuple[ShownSample, ...]:
    """The samples to show, group by group.

    Args:
        before: predictions of the run before.
        after: predictions of the run after; samples that only one run has are omitted.
    """
    others = {responses[0].example_id: responses for responses in by_sample(after)}
    pairs = [
        ShownSample(_outcome(mine, others[mine[0].example_id]), mine, others[mine[0].example_id])
        for mine in by_sample(before)
        if mine[0].example_id in others
    ]
    pairs.sort(key=lambda pair: sha256(pair.example_id.encode()).digest())
    return tuple(
        pair
        for outcome in Outcome
        for pair in [pair for pair in pairs if pair.outcome is outcome][: _AT_MOST[outcome]]
    )


def _outcome(before: Sequence[Prediction], after: Sequence[Prediction]) -> Outcome:
    (was_right,), (is_right,) = (
        [prediction.correct for prediction in measured(responses, METRIC)]
        for responses in (before, after)
    )
    if was_right:
        return Outcome.STAYED_RIGHT if is_right else Outcome.BROKEN
    return Outcome.FIXED if is_right else Outcome.STAYED_WRONG
