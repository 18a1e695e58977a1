"""A training on its way: the compiled steps, fed and watched, and the checkpoints between them."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import msgspec
import numpy as np

from tunixrt.ml.checkpoints import restored, write_training
from tunixrt.ml.input.validation import ValidationLoss
from tunixrt.ml.metrics import NonFiniteError
from tunixrt.ml.optimizer import scalar_tables
from tunixrt.ml.steps import StepInputs, TrainState, compile_steps
from tunixrt.ml.weights import weights_of
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
"""Floating-point operations after which a call ends sooner, so that a wish to stop is heard."""


@dataclass(frozen=True)
class Saving:
    """Where the checkpoints of a run go, and the one that it goes on from.

    Attributes:
        directory: of the run's checkpoints; the caller holds its lock.
        run_id: the run.
        resume_from: a checkpoint that was found whole; None begins with the first step.
    """

    directory: Path
    run_id: str
    resume_from: Path | None = None


class Course:
    """A training on its way: the state after the steps so far, and the metrics of these."""

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
        # Forward and backward, a parameter takes about six operations for every token.
        work = 6 * n_params * feed.n_rows * feed.row_length
        self._n_at_once = max(1, min(_STEPS_AT_ONCE, int(_WORK_AT_ONCE // work)))
        self._state, self._run_steps = compile_steps(
            decoder,
            decoder.numerics,
            config.training,
            first_learned=max(0, int(feed.examples.loss_starts.min()) - 1),
        )
        if saved is not None:
            opt_state = restored(self._state.opt_state, saved.opt_state)
            self._state = TrainState(self._state.params, opt_state)
        # A few entries more, of no use: the last call is given steps that it does not run.
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
        # A call may be given more steps than it is to run; so one compilation serves all.
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
        """Whether the steps so far end where a checkpoint is wanted. After the last, none is."""
        n_done, every = len(self.metrics), self._training.save_steps
        return bool(every) and n_done % every == 0 and n_done < self._training.num_steps

    def save(self, saving: Saving) -> None:
        """Make a checkpoint.

        Raises:
            NonFiniteError: the last update overflowed; nothing is written.
            WriteError: the file system refuses.
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
        """What to raise when training is asked to stop, once what was done is saved."""
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
        """How many steps to run: no further than to where something is due after a step."""
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
