"""The loss over a validation split: a mean over tokens, told in the metrics and nowhere else."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.making.conversations import turns
from tests.making.models import copying_examples, decoder, example, tiny_config
from tunixrt.datasets.render import DataFormat, render_example
from tunixrt.log.digests import digest_bytes
from tunixrt.ml.input.batches import NoExamplesError, rows_of_examples
from tunixrt.ml.input.feed import encode
from tunixrt.ml.input.validation import ValidationLoss
from tunixrt.ml.numerics import numerics_for
from tunixrt.ml.training import model_config_of, train
from tunixrt.runs.lines import MetricsLine, encode_lines, read_struct_lines

if TYPE_CHECKING:
    from pathlib import Path

    from tunixrt.ml.metrics import TrainingProgress

pytestmark = pytest.mark.usefixtures("fast_mode")

EXAMPLES = copying_examples()
HELD_OUT = [example(letter * 3, f"Answer: {letter}") for letter in "abcdefg"]


def lines_of(directory: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]


def test_it_is_the_mean_over_tokens_whatever_the_batches() -> None:
    from flax import nnx

    config = tiny_config()
    model = decoder(model_config_of(config))
    talk = turns("a", "bb", "c", "dd")
    two_turns = render_example(talk, digest_bytes(b"talk"), data_format=DataFormat.TUNIX_SFT)
    encoded = encode(config, [*HELD_OUT[:3], two_turns, *HELD_OUT[3:6]])
    parts: Any = nnx.split(model, nnx.Param, ...)
    graph, params, rest = parts
    rows = rows_of_examples(encoded, np.arange(7))

    @jax.jit
    def logits_of(*leaves: jax.Array) -> Any:
        merged = nnx.merge(graph, params, rest)
        return merged.logits(merged(*leaves))

    leaves = (jnp.asarray(leaf) for leaf in (rows.tokens, rows.positions, rows.segments))
    logits = np.asarray(logits_of(*leaves), np.float64)
    log_sums = np.log(np.exp(logits).sum(axis=-1))
    chosen = np.take_along_axis(logits, rows.targets[..., None], axis=-1)[..., 0]
    expected = ((log_sums - chosen) * rows.loss_weights).sum() / rows.loss_weights.sum()
    for batch_size in (1, 3, 7, 16):
        loss = ValidationLoss(model, numerics_for("fast"), encoded, batch_size)(params)
        assert loss == pytest.approx(expected, rel=1e-5)


def test_it_stands_in_the_metrics_where_it_was_asked_for(tmp_path: Path) -> None:
    reports: list[TrainingProgress] = []
    watched = train(
        tiny_config("training.eval_steps=5", "training.logging_steps=1"),
        EXAMPLES,
        tmp_path / "watched",
        validation=HELD_OUT,
        on_progress=reports.append,
    )
    plain = train(tiny_config(), EXAMPLES, tmp_path / "plain")
    assert watched.weights == plain.weights
    lines = lines_of(tmp_path / "watched")
    assert [line["step"] for line in lines if "validation_loss" in line] == [5, 10, 12]
    assert all(1 < line.get("validation_loss", 2) < 10 for line in lines)
    assert reports[3].validation_loss is None
    assert reports[7].validation_loss == lines[4]["validation_loss"]
    without = [{k: v for k, v in line.items() if k != "validation_loss"} for line in lines]
    assert without == lines_of(tmp_path / "plain")


def test_metrics_are_read_as_they_were_written(tmp_path: Path) -> None:
    metrics = [
        MetricsLine(1, 5.5, 0.001, 2.0, 40, "0" * 8),
        MetricsLine(2, 1e-7, 0.001, 2.0, 40, "f" * 8, validation_loss=3.25),
    ]
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(encode_lines(metrics))
    assert [line for _, line in read_struct_lines(path, MetricsLine, "a step")] == metrics
    assert not MetricsLine(1, 1.0, 1.0, 1.0, 1, "", validation_loss=math.nan).is_finite


def test_a_validation_split_without_examples_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NoExamplesError):
        train(tiny_config("training.eval_steps=5"), EXAMPLES, tmp_path)
