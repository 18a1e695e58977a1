"""Describes the first training step in which two runs differ, in one line.

The input is their ``metrics.jsonl``. The line follows the order of cause and effect: the learning
rate and the tokens come from the configuration, the loss and the gradient norm from the weights
before the step, and the fingerprint is of the weights after its update. So a step whose loss is the
same and whose fingerprint is not went wrong in its update.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tunixrt.log import canonical
from tunixrt.words import series

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunixrt.runs.lines import MetricsLine

_NAMES = {
    "learning_rate": "the learning rate",
    "n_loss_tokens": "the number of learned tokens",
    "loss": "the loss",
    "grad_norm": "the gradient norm",
    "weights_fingerprint": "the weights after the update",
    "validation_loss": "the validation loss",
}
_REASSURING = ("loss", "grad_norm")
_FINGERPRINT = "weights_fingerprint"


def first_step_that_differs(
    recorded: Sequence[MetricsLine], rebuilt: Sequence[MetricsLine], *, fingerprints: bool
) -> str | None:
    """Return a description of the first step in which two trainings differ.

    Args:
        recorded: the recorded steps.
        rebuilt: the rebuilt steps.
        fingerprints: whether to compare those of the weights; useless if not even losses have to
            be the same.

    Returns:
        One line, such as "step 37: the loss and the gradient norm are the same, the weights after
        the update differ"; None where no step differs.
    """
    for old, new in zip(recorded, rebuilt, strict=False):
        if changed := _changed(old, new, fingerprints=fingerprints):
            return f"step {old.step}: {_sentence(old, new, changed)}"
    if len(recorded) != len(rebuilt):
        n_both = min(len(recorded), len(rebuilt))
        return f"step {n_both + 1}: there were {len(recorded)} steps, now {len(rebuilt)}"
    return None


def _changed(old: MetricsLine, new: MetricsLine, *, fingerprints: bool) -> list[str]:
    return [
        name
        for name in _NAMES
        if getattr(old, name) != getattr(new, name) and (fingerprints or name != _FINGERPRINT)
    ]


def _sentence(old: MetricsLine, new: MetricsLine, changed: list[str]) -> str:
    same = [_NAMES[name] for name in _REASSURING if name not in changed]
    are_same = f"{series(same)} {'are' if len(same) > 1 else 'is'} the same, " if same else ""
    return are_same + "; ".join(_change(name, old, new) for name in changed)


def _change(name: str, old: Any, new: Any) -> str:
    if name == _FINGERPRINT:
        return f"{_NAMES[name]} differ"
    before, after = (canonical.encode(getattr(step, name)).decode() for step in (old, new))
    return f"{_NAMES[name]} was {before}, is {after}"
