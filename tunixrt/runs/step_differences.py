"""The first training step in which two runs differ, and what differs in it, in one line.

Read from their ``metrics.jsonl``. The line goes in the order of cause and effect: the learning rate
and the tokens come from the configuration, the loss and the gradient norm from the weights before
the step, and the fingerprint is of the weights after its update. So a step whose loss is the same
and whose fingerprint is not went wrong in its update.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from tunixrt.log import canonical
from tunixrt.log.stored import read_stored

if TYPE_CHECKING:
    from pathlib import Path

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


class Step(msgspec.Struct, frozen=True):
    """What is compared of a line; a field that it does not have is not compared."""

    step: int | None = None
    learning_rate: float | None = None
    n_loss_tokens: int | None = None
    loss: float | None = None
    grad_norm: float | None = None
    weights_fingerprint: str | None = None
    validation_loss: float | None = None


def read_steps(path: Path) -> list[Step]:
    """The steps of a ``metrics.jsonl``, in order; earlier versions wrote no fingerprint."""
    return [msgspec.json.decode(line, type=Step) for line in read_stored(path).splitlines()]


def first_step_that_differs(recorded: Path, rebuilt: Path, *, fingerprints: bool) -> str | None:
    """Name the first step in which two ``metrics.jsonl`` differ.

    Args:
        recorded: the one.
        rebuilt: the other.
        fingerprints: compare those of the weights; of no use where not even losses have to be the
            same.

    Returns:
        One line, such as "step 37: the loss and the gradient norm are the same, the weights after
        the update differ"; None where no step differs in anything that both files say.
    """
    old_steps, new_steps = read_steps(recorded), read_steps(rebuilt)
    for number, (old, new) in enumerate(zip(old_steps, new_steps, strict=False), start=1):
        if changed := _changed(old, new, fingerprints=fingerprints):
            return f"step {old.step or number}: {_sentence(old, new, changed)}"
    if len(old_steps) != len(new_steps):
        n_both = min(len(old_steps), len(new_steps))
        return f"step {n_both + 1}: there were {len(old_steps)} steps, now {len(new_steps)}"
    return None


def without_fingerprints(path: Path) -> bytes:
    """The bytes that an earlier version, which wrote no fingerprints, would have written."""
    lines = []
    for line in read_stored(path).splitlines():
        fields = canonical.decode_stored(line)
        assert isinstance(fields, dict)
        lines.append(canonical.encode({k: v for k, v in fields.items() if k != _FINGERPRINT}))
    return b"".join(line + b"\n" for line in lines)


def has_fingerprints(path: Path) -> bool:
    """Whether any step of a ``metrics.jsonl`` has a fingerprint."""
    return any(step.weights_fingerprint is not None for step in read_steps(path))


def _changed(old: Step, new: Step, *, fingerprints: bool) -> list[str]:
    return [
        name
        for name in _NAMES
        if _both_say(name, old, new)
        and getattr(old, name) != getattr(new, name)
        and (fingerprints or name != _FINGERPRINT)
    ]


def _both_say(name: str, old: Step, new: Step) -> bool:
    return getattr(old, name) is not None and getattr(new, name) is not None


def _sentence(old: Step, new: Step, changed: list[str]) -> str:
    same = [
        _NAMES[name] for name in _REASSURING if name not in changed and _both_say(name, old, new)
    ]
    are_same = f"{' and '.join(same)} {'are' if len(same) > 1 else 'is'} the same, " if same else ""
    return are_same + "; ".join(_change(name, old, new) for name in changed)


def _change(name: str, old: Any, new: Any) -> str:
    if name == _FINGERPRINT:
        return f"{_NAMES[name]} differ"
    before, after = (canonical.encode(getattr(step, name)).decode() for step in (old, new))
    return f"{_NAMES[name]} was {before}, is {after}"
