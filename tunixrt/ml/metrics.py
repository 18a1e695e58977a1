"""What training reports about its steps, and the error for numbers that are not finite."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tunixrt.errors import AnswerIsNoError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from tunixrt.runs.config import TrainingSection
    from tunixrt.runs.lines import MetricsLine


@dataclass(frozen=True)
class TrainingProgress:
    """A progress report of training.

    Attributes:
        step: the last completed step.
        num_steps: of the whole training.
        loss: of that step.
        learning_rate: of that step.
        n_loss_tokens: targets trained on so far, in this process.
        n_steps_here: steps completed in this process; fewer than ``step`` after a resume.
        validation_loss: the most recent one; None before the first.
    """

    step: int
    num_steps: int
    loss: float
    learning_rate: float
    n_loss_tokens: int
    n_steps_here: int
    validation_loss: float | None = None


class NonFiniteError(AnswerIsNoError):
    """Training stopped because a number is not finite.

    Attributes:
        step: which step, from 1.
        loss: its loss.
        grad_norm: its gradient norm.
        traces: the traces of its examples.
        checkpoint: the last checkpoint; None if none was saved.
    """

    def __init__(
        self, metric: MetricsLine, traces: Sequence[str], checkpoint: Path | None = None
    ) -> None:
        shown = ", ".join(traces[:8]) + (f" and {len(traces) - 8} more" if len(traces) > 8 else "")
        overflow = ", and its update left weights that are not" if metric.is_finite else ""
        kept = (
            ""
            if checkpoint is None
            else f" The last good checkpoint is kept: --base {checkpoint / 'model'} starts another "
            "run from it."
        )
        super().__init__(
            f"Training stopped at step {metric.step}: its loss is {metric.loss} and its gradient "
            f"norm is {metric.grad_norm}, and both must be finite{overflow}. The step was trained "
            f"on the traces {shown}. Lower training.learning_rate, raise training.warmup_steps, or "
            f"look at those traces.{kept}"
        )
        self.step = metric.step
        self.loss = metric.loss
        self.grad_norm = metric.grad_norm
        self.traces = tuple(traces)
        self.checkpoint = checkpoint


class ProgressReports:
    """Calls back with progress every ``training.logging_steps`` steps and after the last step."""

    def __init__(
        self,
        training: TrainingSection,
        n_before: int,
        on_progress: Callable[[TrainingProgress], None] | None,
    ) -> None:
        self._training = training
        self._n_before = n_before
        self._on_progress = on_progress
        self._n_loss_tokens = 0
        self._validation_loss: float | None = None

    def tell(self, metrics: Iterable[MetricsLine]) -> None:
        """Count the metrics of new steps, and report the steps that are due."""
        num_steps = self._training.num_steps
        for metric in metrics:
            self._n_loss_tokens += metric.n_loss_tokens
            if metric.validation_loss is not None:
                self._validation_loss = metric.validation_loss
            is_due = metric.step % self._training.logging_steps == 0 or metric.step == num_steps
            if is_due and self._on_progress is not None:
                self._on_progress(
                    TrainingProgress(
                        step=metric.step,
                        num_steps=num_steps,
                        loss=metric.loss,
                        learning_rate=metric.learning_rate,
                        n_loss_tokens=self._n_loss_tokens,
                        n_steps_here=metric.step - self._n_before,
                        validation_loss=self._validation_loss,
                    )
                )
