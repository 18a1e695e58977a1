"""Training: a fixed number of steps over examples in an order that the seed decides.

`train` is the host's part: it feeds the compiled steps of `tunixrt.ml.steps`, watches what they
say, and writes the result. Everything it writes is a function of the configuration and the
examples; there is no clock and no host name in it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import jax.numpy as jnp
import msgspec
import numpy as np

from tunixrt.errors import AnswerIsNoError, BadInputError
from tunixrt.log import canonical
from tunixrt.ml import environment
from tunixrt.ml.batches import batches_of_steps, encode_examples, examples_of_step, times_trained
from tunixrt.ml.model import Decoder, ModelConfig, initial_weights
from tunixrt.ml.numerics import numerics_for
from tunixrt.ml.optimizer import StepScalars
from tunixrt.ml.steps import StepInputs, compile_steps
from tunixrt.ml.tables import adam_corrections, learning_rates
from tunixrt.ml.tokenizer import ByteTokenizer
from tunixrt.ml.weights import load_model, save_model, weights_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from tunixrt.data.render import Example
    from tunixrt.log.digests import Digest
    from tunixrt.ml.batches import EncodedExamples, LedgerEntry
    from tunixrt.ml.steps import TrainState
    from tunixrt.runs.config import RunConfig, TrainingSection

MODEL_DIRECTORY = "model"
METRICS_FILE = "metrics.jsonl"

_STEPS_AT_ONCE = 10
"""Steps that one call of the compiled function runs. Not a setting: no bit may depend on it."""

_N_FINAL = 20
"""The final loss is a mean over this many steps."""


class StepMetric(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of metrics.jsonl: what a step found before its update. Steps count from 1."""

    step: int
    loss: float
    learning_rate: float
    grad_norm: float
    n_loss_tokens: int


@dataclass(frozen=True)
class TrainingProgress:
    """A report in the middle of training."""

    step: int
    num_steps: int
    loss: float
    learning_rate: float


@dataclass(frozen=True)
class TrainingOutcome:
    """What training came to.

    Attributes:
        weights: the digest of ``model/model.safetensors``.
        n_params: how many numbers the model has learned.
        num_steps: how many updates were made.
        initial_loss: of the first step, before its update.
        final_loss: the mean over the last 20 steps.
        n_loss_tokens: tokens that were learned, each as often as it was seen.
        ledger: what became of every example, in their order.
    """

    weights: Digest
    n_params: int
    num_steps: int
    initial_loss: float
    final_loss: float
    n_loss_tokens: int
    ledger: tuple[LedgerEntry, ...]


class NonFiniteError(AnswerIsNoError):
    """Training was stopped by a number that is not finite.

    Attributes:
        step: which step, from 1.
        loss: its loss.
        grad_norm: its gradient norm.
        traces: the traces that it was trained on.
    """

    def __init__(self, metric: StepMetric, traces: Sequence[str]) -> None:
        shown = ", ".join(traces[:8]) + (f" and {len(traces) - 8} more" if len(traces) > 8 else "")
        super().__init__(
            f"Training stopped at step {metric.step}: its loss is {metric.loss} and its gradient "
            f"norm is {metric.grad_norm}, and both must be finite. The step was trained on the "
            f"traces {shown}. Lower training.learning_rate, raise training.warmup_steps, or look "
            "at those traces."
        )
        self.step = metric.step
        self.loss = metric.loss
        self.grad_norm = metric.grad_norm
        self.traces = tuple(traces)


class BaseMismatchError(BadInputError):
    """The model to start from has other sizes than the configuration."""


def model_config_of(config: RunConfig) -> ModelConfig:
    """The decoder that a configuration trains."""
    return ModelConfig(config.model.architecture, ByteTokenizer.vocab_size, config.model.max_length)


def initial_model(config: RunConfig, directory: Path) -> Digest:
    """Write the model that training would start from, into ``directory / "model"``."""
    model_config = model_config_of(config)
    weights = initial_weights(model_config, config.training.seed)
    return save_model(directory / MODEL_DIRECTORY, weights, model_config, ByteTokenizer())


def train(
    config: RunConfig,
    examples: Sequence[Example],
    directory: Path,
    *,
    base: Path | None = None,
    on_progress: Callable[[TrainingProgress], None] | None = None,
) -> TrainingOutcome:
    """Train a model and write it.

    Args:
        config: every decision about the run.
        examples: what it is trained on, in the dataset's order.
        directory: gets ``model/`` and ``metrics.jsonl``; the caller stages and publishes it.
        base: the model directory whose weights training starts from, instead of fresh ones.
        on_progress: called every ``training.logging_steps`` steps and after the last one.

    Raises:
        OverlongExamplesError: examples do not fit, and the configuration does not drop them.
        NoExamplesError: none is left.
        BaseMismatchError: the base has other sizes.
        ModelDirectoryError: the base cannot be read.
        NonFiniteError: the loss, the gradients or the weights overflowed; the directory is not
            complete.
    """
    environment.prepare(config.training.numeric_mode)
    tokenizer = ByteTokenizer()
    encoded = encode_examples(
        examples, tokenizer, max_length=config.model.max_length, overlong=config.data.overlong
    )
    model_config = model_config_of(config)
    start = _first_weights(config, model_config, base)
    directory.mkdir(parents=True, exist_ok=True)
    metrics: list[StepMetric] = []
    with (directory / METRICS_FILE).open("wb") as file:
        for state, new in _run(config, model_config, start, encoded):
            params = state.params
            metrics += new
            file.writelines(canonical.encode(metric) + b"\n" for metric in new)
            _report(config.training, new, on_progress)
    weights = weights_of(params)
    if not all(np.isfinite(tensor).all() for tensor in weights.values()):
        raise NonFiniteError(metrics[-1], _traces_of_step(config, encoded, metrics[-1].step))
    final = [metric.loss for metric in metrics[-_N_FINAL:]]
    return TrainingOutcome(
        weights=save_model(directory / MODEL_DIRECTORY, weights, model_config, tokenizer),
        n_params=sum(tensor.size for tensor in weights.values()),
        num_steps=len(metrics),
        initial_loss=metrics[0].loss,
        final_loss=math.fsum(final) / len(final),
        n_loss_tokens=sum(metric.n_loss_tokens for metric in metrics),
        ledger=_ledger(config, encoded),
    )


def _first_weights(
    config: RunConfig, model_config: ModelConfig, base: Path | None
) -> dict[str, NDArray[np.float32]]:
    if base is None:
        return initial_weights(model_config, config.training.seed)
    loaded = load_model(base)
    wanted, found = model_config.architecture.model_dump(), loaded.config.architecture.model_dump()
    differing = [
        f"{key} is {found[key]} in the base and {wanted[key]} in the configuration"
        for key in wanted
        if wanted[key] != found[key]
    ]
    if differing:
        raise BaseMismatchError(
            f"{base} cannot be the base of this run: {'; '.join(differing)}. Set "
            "model.architecture to the base's sizes."
        )
    return loaded.weights


def _run(
    config: RunConfig,
    model_config: ModelConfig,
    start: dict[str, NDArray[np.float32]],
    encoded: EncodedExamples,
) -> Iterator[tuple[TrainState, list[StepMetric]]]:
    """Train, and yield the state and the metrics of every few steps."""
    training = config.training
    numerics = numerics_for(training.numeric_mode)
    state, run_steps = compile_steps(
        Decoder(model_config, numerics, start),
        numerics,
        training,
        first_learned=max(0, int(encoded.loss_starts.min()) - 1),
    )
    scalars = _scalars(training)
    for first in range(0, training.num_steps, _STEPS_AT_ONCE):
        # The last call may be given more steps than there are; it does not run the surplus.
        n_steps = min(_STEPS_AT_ONCE, training.num_steps - first)
        inputs = _inputs(config, encoded, scalars, range(first, first + _STEPS_AT_ONCE))
        state, found = run_steps(state, inputs, jnp.asarray(n_steps, jnp.int32))
        losses, norms = np.asarray(found.loss), np.asarray(found.grad_norm)
        new = [
            StepMetric(
                step=first + k + 1,
                loss=float(losses[k]),
                learning_rate=float(scalars.learning_rate[first + k]),
                grad_norm=float(norms[k]),
                n_loss_tokens=int(inputs.n_loss_tokens[k]),
            )
            for k in range(n_steps)
        ]
        for metric in new:
            if not (math.isfinite(metric.loss) and math.isfinite(metric.grad_norm)):
                raise NonFiniteError(metric, _traces_of_step(config, encoded, metric.step))
        yield state, new


def _scalars(training: TrainingSection) -> StepScalars:
    """The tables of the whole run, float32 [num_steps] each, and a few entries more of no use."""
    rates = learning_rates(
        training.lr_scheduler,
        learning_rate=training.learning_rate,
        num_steps=training.num_steps,
        warmup_steps=training.warmup_steps,
    )
    tables = (rates, *adam_corrections(training.adam_b1, training.adam_b2, training.num_steps))
    return StepScalars(*(np.pad(table, (0, _STEPS_AT_ONCE)) for table in tables))


def _inputs(
    config: RunConfig, encoded: EncodedExamples, scalars: StepScalars, steps: range
) -> StepInputs:
    batches = batches_of_steps(
        encoded,
        steps,
        shuffle_seed=config.data.shuffle_seed,
        batch_size=config.training.batch_size,
        accumulation=config.training.gradient_accumulation_steps,
    )
    chosen = slice(steps.start, steps.stop)
    return StepInputs(
        rows=batches.rows,
        n_loss_tokens=batches.n_loss_tokens,
        scalars=StepScalars(*(table[chosen] for table in scalars)),
    )


def _report(
    training: TrainingSection,
    metrics: Sequence[StepMetric],
    on_progress: Callable[[TrainingProgress], None] | None,
) -> None:
    for metric in metrics:
        is_due = metric.step % training.logging_steps == 0 or metric.step == training.num_steps
        if on_progress and is_due:
            on_progress(
                TrainingProgress(metric.step, training.num_steps, metric.loss, metric.learning_rate)
            )


def _n_rows(config: RunConfig) -> int:
    return config.training.batch_size * config.training.gradient_accumulation_steps


def _traces_of_step(config: RunConfig, encoded: EncodedExamples, step: int) -> list[str]:
    chosen = examples_of_step(
        config.data.shuffle_seed, step - 1, len(encoded.tokens), _n_rows(config)
    )
    return [encoded.ledger[encoded.kept[row]].trace for row in chosen]


def _ledger(config: RunConfig, encoded: EncodedExamples) -> tuple[LedgerEntry, ...]:
    times = times_trained(
        len(encoded.tokens),
        shuffle_seed=config.data.shuffle_seed,
        num_steps=config.training.num_steps,
        n_rows=_n_rows(config),
    )
    ledger = list(encoded.ledger)
    for place, n_times in zip(encoded.kept.tolist(), times.tolist(), strict=True):
        ledger[place] = msgspec.structs.replace(ledger[place], n_times_trained=n_times)
    return tuple(ledger)
