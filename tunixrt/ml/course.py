"""One training in progress: runs the compiled steps, checks their metrics, saves checkpoints."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from tunixrt.ml.checkpoints import restored, write_training
from tunixrt.ml.input.validation import ValidationLoss
from tunixrt.ml.metrics import NonFiniteError
from tunixrt.ml.optimizer import scalar_tables
from tunixrt.ml.steps import StepInputs, TrainState, compile_steps
from tunixrt.ml.weights import weights_of
from tunixrt.ml.xla import jax, jnp
from tunixrt.runs.checkpoints import TrainingInterruptedError, checkpoint_at, new_checkpoint
from tunixrt.runs.lines import MetricsLine

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from tunixrt.ml.checkpoints import SavedTraining
    from tunixrt.ml.input.batches import EncodedExamples
    from tunixrt.ml.input.feed import Feed
    from tunixrt.ml.model import Decoder
    from tunixrt.runs.config import RunConfig

_STEPS_AT_ONCE = 10
"""Steps that one call of the compiled function runs. Not a setting: no bit may depend on it."""

_WORK_AT_ONCE = 2e12
"""Floating-point operations per call at most, so that a request to stop takes effect soon."""


@dataclass(frozen=True)
class Saving:
    """Where the checkpoints of a run go, and the one that it resumes from.

    Attributes:
        directory: of the run's checkpoints; the caller holds its lock.
        run_id: the run.
        resume_from: a verified checkpoint; None starts at the first step.
    """

    directory: Path
    run_id: str
    resume_from: Path | None = None


class Course:
    """One training in progress: the state after the steps so far, and their metrics."""

    def __init__(
        self,
        config: RunConfig,
        decoder: Decoder,
        feed: Feed,
        *,
        held_out: EncodedExamples | None,
        saved: SavedTraining | None,
        checkpoint: Path | None,
    ) -> None:
        self.metrics: list[MetricsLine] = [] if saved is None else saved.metrics
        self._training = config.training
        self._model_config = decoder.config
        self._feed = feed
        self._checkpoint = checkpoint
        self._n_saved = len(self.metrics)
        n_params = sum(prod(shape) for shape in decoder.config.tensor_shapes().values())
        # Forward and backward take about six operations per parameter and token.
        work = 6 * n_params * feed.n_rows * feed.row_length
        self._n_at_once = max(1, min(_STEPS_AT_ONCE, int(_WORK_AT_ONCE // work)))
        self._state, self._run_steps = compile_steps(
            decoder,
            decoder.numerics,
            config.training,
            first_learned=feed.examples.first_learned,
        )
        if saved is not None:
            opt_state = restored(self._state.opt_state, saved.opt_state)
            self._state = TrainState(self._state.params, opt_state)
        # Padded: the last call receives inputs of steps that it does not run.
        self._scalars = jax.tree.map(
            lambda table: np.pad(table, (0, _STEPS_AT_ONCE)), scalar_tables(config.training)
        )
        self._validation_loss = (
            None
            if held_out is None
            else ValidationLoss(decoder, decoder.numerics, held_out, config.training.batch_size)
        )

    def advance(self) -> list[MetricsLine]:
        """Run the next steps, and return their metrics.

        Raises:
            NonFiniteError: a number overflowed.
        """
        first = len(self.metrics)
        n_steps = self._n_next()
        # A call may receive more steps than it runs, so one compilation serves all calls.
        inputs = self._inputs(range(first, first + _STEPS_AT_ONCE))
        self._state, found = self._run_steps(self._state, inputs, jnp.asarray(n_steps, jnp.int32))
        losses, norms, fingerprints = (np.asarray(values) for values in found)
        new = [
            MetricsLine(
                step=first + k + 1,
                loss=float(losses[k]),
                learning_rate=float(self._scalars.learning_rate[first + k]),
                grad_norm=float(norms[k]),
                n_loss_tokens=int(inputs.n_loss_tokens[k]),
                weights_fingerprint=f"{fingerprints[k]:08x}",
            )
            for k in range(n_steps)
        ]
        if self._validation_loss is not None and self._is_validation_due(new[-1].step):
            loss = self._validation_loss(self._state.params)
            new[-1] = msgspec.structs.replace(new[-1], validation_loss=loss)
        for metric in new:
            if not metric.is_finite:
                raise self._non_finite(metric)
        self.metrics += new
        return new

    def is_checkpoint_due(self) -> bool:
        """Whether a checkpoint is due after the steps so far; never after the last step."""
        n_done, every = len(self.metrics), self._training.save_steps
        return bool(every) and n_done % every == 0 and n_done < self._training.num_steps

    def save(self, saving: Saving) -> None:
        """Make a checkpoint.

        Raises:
            NonFiniteError: the last update overflowed; nothing is written.
            WriteError: the file system reports an error.
        """
        weights, n_done = self.finite_weights(), len(self.metrics)
        with new_checkpoint(saving.directory, saving.run_id, n_done) as staged:
            write_training(
                staged,
                weights=weights,
                opt_state=self._state.opt_state,
                metrics=self.metrics,
                config=self._model_config,
            )
        self._checkpoint = checkpoint_at(saving.directory, n_done)
        self._n_saved = n_done

    def interrupted(self, saving: Saving | None) -> TrainingInterruptedError:
        """Save the steps so far, and return the error to raise when training is asked to stop."""
        if saving is not None and len(self.metrics) > self._n_saved:
            self.save(saving)
        return TrainingInterruptedError(
            len(self.metrics), self._training.num_steps, self._checkpoint
        )

    def finite_weights(self) -> dict[str, NDArray[np.float32]]:
        """The weights after the steps so far.

        Raises:
            NonFiniteError: they are not finite.
        """
        weights = weights_of(self._state.params)
        if not all(np.isfinite(tensor).all() for tensor in weights.values()):
            raise self._non_finite(self.metrics[-1])
        return weights

    def _non_finite(self, metric: MetricsLine) -> NonFiniteError:
        return NonFiniteError(metric, self._feed.traces(metric.step - 1), self._checkpoint)

    def _n_next(self) -> int:
        """How many steps to run before the next validation, checkpoint or end."""
        first, training = len(self.metrics), self._training
        intervals = (training.save_steps, training.eval_steps)
        due = [(first // every + 1) * every for every in intervals if every]
        return min(first + self._n_at_once, training.num_steps, *due) - first

    def _is_validation_due(self, step: int) -> bool:
        return step % self._training.eval_steps == 0 or step == self._training.num_steps

    def _inputs(self, steps: range) -> StepInputs:
        batches = self._feed.batches(steps)
        chosen = slice(steps.start, steps.stop)
        return StepInputs(
            rows=batches.rows,
            n_loss_tokens=batches.n_loss_tokens,
            scalars=jax.tree.map(lambda table: table[chosen], self._scalars),
        )
