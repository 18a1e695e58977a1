"""Decides whether a rebuilt run is identical or close to the recorded one.

*identical*: every file has the recorded digest. Required wherever it was promised: in ``portable``
mode on any machine, in ``fast`` mode within one numeric class.

*close*: only where identity was not promised, that is ``fast`` mode on another numeric class, or
other versions of the numeric packages. Rounding differences grow during training, so later steps
are judged together and not one by one. The tolerances:

- the loss of each of the first 5 training steps within 2% of the recorded one;
- the mean loss of the last tenth of the steps within 0.05 nats or 50% of the recorded mean,
  whichever is larger;
- the average score of an evaluation within 5 points of the recorded one. Responses have no
  separate measure: their evaluations decide.

*diverged*: everything else, with the first training step, sample or file that differs.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tunixrt.runs.lines import LineError
from tunixrt.runs.run import METRICS_NAME, MODEL_DIRECTORY, WEIGHTS_NAME
from tunixrt.runs.step_differences import first_step_that_differs

if TYPE_CHECKING:
    from tunixrt.runs.run import Run

N_EARLY_STEPS = 5
EARLY_LOSS_TOLERANCE = 0.02
LATE_LOSS_TOLERANCE_NATS = 0.05
LATE_LOSS_TOLERANCE = 0.5
SCORE_TOLERANCE_POINTS = 5.0


def explain_training(file: str, recorded: Run, rebuilt: Run, *, promised: bool) -> str | None:
    """Return what differs in a file of two trainings, by training step; None if none can be named.

    Args:
        file: a file that both have.
        recorded: the recorded run.
        rebuilt: the rebuilt run.
        promised: whether the same bits were promised, so that fingerprints of weights matter.
    """
    if file == METRICS_NAME:
        try:
            old, new = list(recorded.metrics()), list(rebuilt.metrics())
        except LineError:
            return None
        return first_step_that_differs(old, new, fingerprints=promised)
    if file == f"{MODEL_DIRECTORY}/{WEIGHTS_NAME}":
        same = "loss and gradient norm of every step are the same"
        if promised:
            return f"{file}: {same}, and so are the weights' fingerprints; the file is not"
        n_steps = sum(1 for _ in recorded.metrics())
        return f"{file}: the weights after step {n_steps}, the last; {same}"
    return None


def only_fingerprints_differ(recorded: Run, rebuilt: Run) -> bool:
    """Return whether two trainings differ only in the fingerprints of their weights."""
    old, new = list(recorded.metrics()), list(rebuilt.metrics())
    return first_step_that_differs(old, new, fingerprints=False) is None


def score_beyond_tolerance(recorded: float, rebuilt: float) -> str | None:
    """Return a sentence if two average scores are not close, or None if they are."""
    if abs(rebuilt - recorded) <= SCORE_TOLERANCE_POINTS:
        return None
    return (
        f"The average score was {recorded:.2f}, is {rebuilt:.2f}: more than "
        f"{SCORE_TOLERANCE_POINTS:g} points apart."
    )


def losses_beyond_tolerance(recorded: list[float], rebuilt: list[float]) -> str | None:
    """Return a sentence with where two loss curves are not close, or None if they are."""
    if len(recorded) != len(rebuilt):
        return f"There were {len(recorded)} training steps, now there are {len(rebuilt)}."
    early = zip(recorded[:N_EARLY_STEPS], rebuilt[:N_EARLY_STEPS], strict=True)
    for step, (old, new) in enumerate(early, start=1):
        if abs(new - old) > EARLY_LOSS_TOLERANCE * abs(old):
            return f"The loss of step {step} was {old:.6g}, is {new:.6g}: more than 2% apart."
    tail = max(1, len(recorded) // 10)
    old_mean = math.fsum(recorded[-tail:]) / tail
    new_mean = math.fsum(rebuilt[-tail:]) / tail
    if abs(new_mean - old_mean) > max(LATE_LOSS_TOLERANCE_NATS, LATE_LOSS_TOLERANCE * old_mean):
        return (
            f"The mean loss of the last {tail} steps was {old_mean:.6g}, is {new_mean:.6g}: "
            "beyond 0.05 nats and 50%."
        )
    return None
