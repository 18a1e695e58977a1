"""Training: a fixed number of steps over examples, in an order derived from the seed.

`train` is the host's part: it feeds the compiled steps of `tunixrt.ml.steps`, checks their metrics,
saves checkpoints, and writes the result. Everything it writes is a function of the configuration
and the examples: no clock, no host name, and no dependence on where training was interrupted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tunixrt.errors import BadInputError
from tunixrt.ml.checkpoints import read_training
from tunixrt.ml.course import Course
from tunixrt.ml.input.feed import Feed, encode
from tunixrt.ml.metrics import ProgressReports
from tunixrt.ml.model import Decoder, ModelConfig, initial_weights
from tunixrt.ml.numerics import numerics_for
from tunixrt.ml.tokenizer import ByteTokenizer
from tunixrt.ml.weights import MODEL_DIRECTORY, load_model, save_model
from tunixrt.ml.xla import computing
from tunixrt.runs.lines import encode_lines
from tunixrt.runs.run import METRICS_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from tunixrt.datasets.render import Example
    from tunixrt.log.digests import Digest
    from tunixrt.ml.course import Saving
    from tunixrt.ml.metrics import TrainingProgress
    from tunixrt.runs.config import RunConfig
    from tunixrt.runs.lines import LedgerLine

_N_FINAL = 20
"""The final loss is a mean over this many steps."""


@dataclass(frozen=True)
class TrainingOutcome:
    """The result of a training.

    Attributes:
        weights: the digest of ``model/model.safetensors``.
        n_params: number of learned parameters.
        num_steps: number of updates.
        initial_loss: of the first step, before its update.
        final_loss: the mean over the last 20 steps.
        n_loss_tokens: targets trained on, each counted as often as it was seen.
        ledger: the outcome of every example, in their order.
    """

    weights: Digest
    n_params: int
    num_steps: int
    initial_loss: float
    final_loss: float
    n_loss_tokens: int
    ledger: tuple[LedgerLine, ...]


class BaseMismatchError(BadInputError):
    """The sizes of the base differ from those of the configuration."""


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
    validation: Sequence[Example] = (),
    saving: Saving | None = None,
    should_stop: Callable[[], bool] | None = None,
    on_progress: Callable[[TrainingProgress], None] | None = None,
) -> TrainingOutcome:
    """Train a model and write it.

    Args:
        config: every decision about the run.
        examples: the training examples, in the dataset's order.
        directory: gets ``model/`` and ``metrics.jsonl``; the caller stages and publishes it.
        base: the model directory whose weights training starts from, instead of newly drawn ones.
        validation: the examples of the validation loss (``training.eval_steps``).
        saving: where checkpoints go; None saves none.
        should_stop: called between calls of the compiled steps; True saves a checkpoint and ends.
        on_progress: called every ``training.logging_steps`` steps and after the last one.

    Raises:
        OverlongExamplesError: examples do not fit, and the configuration does not drop them.
        NoExamplesError: no example is left.
        BaseMismatchError: the sizes of the base differ.
        ModelDirectoryError: the base cannot be read.
        NonFiniteError: the loss, the gradients or the weights overflowed; the directory is not
            complete, and earlier checkpoints are kept.
        TrainingInterruptedError: ``should_stop`` returned True.
    """
    with computing(config.training.numeric_mode):
        training = config.training
        feed = Feed(config, encode(config, examples))
        held_out = encode(config, validation) if training.eval_steps else None
        model_config = model_config_of(config)
        resume_from = None if saving is None else saving.resume_from
        saved = None if resume_from is None else read_training(resume_from)
        start = _first_weights(config, model_config, base) if saved is None else saved.weights
        course = Course(
            config,
            Decoder(model_config, numerics_for(training.numeric_mode), start),
            feed,
            held_out=held_out,
            saved=saved,
            checkpoint=resume_from,
        )
        directory.mkdir(parents=True, exist_ok=True)
        reports = ProgressReports(training, len(course.metrics), on_progress)
        with (directory / METRICS_NAME).open("wb") as file:
            file.write(encode_lines(course.metrics))
            while len(course.metrics) < training.num_steps:
                if should_stop is not None and should_stop():
                    raise course.interrupted(saving)
                new = course.advance()
                file.write(encode_lines(new))
                file.flush()
                if saving is not None and course.is_checkpoint_due():
                    course.save(saving)
                reports.tell(new)
        final = [metric.loss for metric in course.metrics[-_N_FINAL:]]
        weights = course.finite_weights()
        return TrainingOutcome(
            weights=save_model(directory / MODEL_DIRECTORY, weights, model_config, ByteTokenizer()),
            n_params=sum(tensor.size for tensor in weights.values()),
            num_steps=len(course.metrics),
            initial_loss=course.metrics[0].loss,
            final_loss=math.fsum(final) / len(final),
            n_loss_tokens=sum(metric.n_loss_tokens for metric in course.metrics),
            ledger=feed.ledger(),
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
