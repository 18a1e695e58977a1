"""Which samples a report shows: a fixed rule, so that nobody picks the flattering ones.

Samples fall into four groups: fixed (wrong before, right after), broken (the other way round),
wrong in both, right in both. Of each group the samples are shown whose ids have the lowest
SHA-256, three of the first two groups and two of the others.
"""

from __future__ import annotations

from enum import StrEnum
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import msgspec

from tunixrt.eval.predictions import Prediction

if TYPE_CHECKING:
    from collections.abc import Sequence

RULE: Final = (
    "Samples are chosen by a fixed rule: of each group those whose ids have the lowest SHA-256, "
    "up to three that were fixed, three that broke, two that stayed wrong and two that stayed "
    "right."
)


class Group(StrEnum):
    """What became of a sample."""

    FIXED = "fixed"
    BROKEN = "broken"
    STAYED_WRONG = "stayed wrong"
    STAYED_RIGHT = "stayed right"


_AT_MOST: Final = {
    Group.FIXED: 3,
    Group.BROKEN: 3,
    Group.STAYED_WRONG: 2,
    Group.STAYED_RIGHT: 2,
}


class ShownSample(msgspec.Struct, frozen=True):
    """A sample with both predictions."""

    group: Group
    before: Prediction
    after: Prediction


def choose_samples(
    before: Sequence[Prediction], after: Sequence[Prediction]
) -> tuple[ShownSample, ...]:
    """The samples to show, group by group.

    Args:
        before: predictions of the run before.
        after: predictions of the run after; samples that only one run has are left out.
    """
    others = {prediction.example_id: prediction for prediction in after}
    pairs = [
        ShownSample(_group(mine, others[mine.example_id]), mine, others[mine.example_id])
        for mine in before
        if mine.example_id in others
    ]
    pairs.sort(key=lambda pair: sha256(pair.before.example_id.encode()).digest())
    return tuple(
        pair
        for group in Group
        for pair in [pair for pair in pairs if pair.group is group][: _AT_MOST[group]]
    )


def _group(before: Prediction, after: Prediction) -> Group:
    if before.correct:
        return Group.STAYED_RIGHT if after.correct else Group.BROKEN
    return Group.FIXED if after.correct else Group.STAYED_WRONG
