"""Training: what is learned, what is written, and that it is the same every time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.making.models import copying_examples, decoder, example, prompts_of, tiny_config
from tunixrt.ml.generate import Generator, StopReason
from tunixrt.ml.input.batches import OverlongExamplesError, batches_of_steps, encode_examples
from tunixrt.ml.metrics import NonFiniteError, TrainingProgress
from tunixrt.ml.model import Decoder, initial_weights
from tunixrt.ml.numerics import numerics_for
from tunixrt.ml.optimizer import StepScalars
from tunixrt.ml.steps import StepInputs, compile_steps
from tunixrt.ml.tokenizer import ByteTokenizer
from tunixrt.ml.training import (
    BaseMismatchError,
    TrainingOutcome,
    initial_model,
    model_config_of,
    train,
)
from tunixrt.ml.weights import load_model, save_model

if TYPE_CHECKING:
    from pathlib import Path

    from tunixrt.runs.config import RunConfig

pytestmark = pytest.mark.usefixtures("fast_mode")

EXAMPLES = copying_examples()


def metrics_of(directory: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainingOutcome]:
    directory = tmp_path_factory.mktemp("trained")
    config = tiny_config(
        "training.num_steps=150", "training.learning_rate=0.02", "training.batch_size=16"
    )
    return directory, train(config, EXAMPLES, directory)


def test_a_small_problem_is_learned(trained: tuple[Path, TrainingOutcome]) -> None:
    directory, outcome = trained
    assert outcome.initial_loss > 4
    assert outcome.final_loss < 0.05
    generator = Generator(directory / "model", max_new_tokens=12, numeric_mode="fast")
    generations = generator.run(prompts_of(EXAMPLES[:26]))
    texts = [ByteTokenizer().decode(generation.tokens) for generation in generations]
    answers = [f"Answer: {chr(97 + n)}{chr(97 + n)}" for n in range(26)]
    assert sum(map(str.__eq__, texts, answers)) >= 24
    # The end of the turn is learned with the rest, or the model would never stop.
    assert {generation.stop_reason for generation in generations} == {StopReason.END_OF_TURN}


def test_every_step_writes_its_metrics(trained: tuple[Path, TrainingOutcome]) -> None:
    directory, outcome = trained
    metrics = metrics_of(directory)
    assert [metric["step"] for metric in metrics] == list(range(1, 151))
    assert set(metrics[0]) == {
        "step",
        "loss",
        "learning_rate",
        "grad_norm",
        "n_loss_tokens",
        "weights_fingerprint",
    }
    assert metrics[0]["loss"] == outcome.initial_loss
    assert metrics[0]["n_loss_tokens"] == 16 * len("Answer: aa.")
    assert max(metric["learning_rate"] for metric in metrics) == np.float32(0.02)
    assert metrics[-1]["learning_rate"] == pytest.approx(0.02 / 148)
    assert outcome.n_loss_tokens == sum(int(metric["n_loss_tokens"]) for metric in metrics)


def test_the_ledger_counts_how_often_each_example_was_trained_on(
    trained: tuple[Path, TrainingOutcome],
) -> None:
    _, outcome = trained
    assert [entry.trace for entry in outcome.ledger] == [one.trace for one in EXAMPLES]
    assert sum(entry.n_times_trained for entry in outcome.ledger) == 150 * 16
    assert {entry.n_times_trained for entry in outcome.ledger} == {60}


def test_the_number_of_parameters_is_that_of_the_file(
    trained: tuple[Path, TrainingOutcome],
) -> None:
    directory, outcome = trained
    weights = load_model(directory / "model").weights
    assert outcome.n_params == sum(tensor.size for tensor in weights.values())


def test_two_trainings_in_two_processes_give_the_same_bytes(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from tunixrt.ml import environment; environment.prepare('fast')\n"
        "from tests.making.models import copying_examples, tiny_config\n"
        "from tunixrt.ml.training import train\n"
        "train(tiny_config(), copying_examples(), Path(sys.argv[1]))\n"
    )
    # The second process compiles whatever it does not ask for in the very words of the first.
    compiled_once = {k: v for k, v in os.environ.items() if k.startswith("JAX_")}
    for name, hash_seed in (("one", "1"), ("two", "2")):
        subprocess.run(
            [sys.executable, "-c", script, str(tmp_path / name)],
            check=True,
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": ":".join(sys.path), **compiled_once},
        )
    first, second = (
        {
            path.relative_to(tmp_path / name).as_posix(): path.read_bytes()
            for path in sorted((tmp_path / name).rglob("*"))
            if path.is_file()
        }
        for name in ("one", "two")
    )
    assert sorted(first) == [
        "metrics.jsonl",
        "model/config.json",
        "model/model.safetensors",
        "model/tokenizer.json",
        "model/tokenizer_config.json",
    ]
    assert first == second


def test_the_reporting_interval_changes_no_byte(tmp_path: Path) -> None:
    reports: list[TrainingProgress] = []
    often = train(
        tiny_config("training.logging_steps=5"),
        EXAMPLES,
        tmp_path / "often",
        on_progress=reports.append,
    )
    never = train(tiny_config("training.logging_steps=1000"), EXAMPLES, tmp_path / "never")
    assert [report.step for report in reports] == [5, 10, 12]
    assert often.weights == never.weights
    assert (tmp_path / "often" / "metrics.jsonl").read_bytes() == (
        tmp_path / "never" / "metrics.jsonl"
    ).read_bytes()


def test_how_many_steps_one_call_runs_changes_no_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = train(tiny_config("training.save_steps=0"), EXAMPLES, tmp_path / "many")
    monkeypatch.setattr("tunixrt.ml.course._WORK_AT_ONCE", 1.0)
    asked: list[int] = []

    def should_stop() -> bool:
        asked.append(len(asked))
        return False

    one = train(
        tiny_config("training.save_steps=0"), EXAMPLES, tmp_path / "one", should_stop=should_stop
    )
    assert len(asked) == 12
    assert one == many
    assert metrics_of(tmp_path / "one") == metrics_of(tmp_path / "many")


def test_accumulated_gradients_are_those_of_the_big_batch(tmp_path: Path) -> None:
    big = train(tiny_config("training.batch_size=8"), EXAMPLES, tmp_path / "big")
    small = train(
        tiny_config("training.batch_size=2", "training.gradient_accumulation_steps=4"),
        EXAMPLES,
        tmp_path / "small",
    )
    assert big.n_loss_tokens == small.n_loss_tokens
    for one, other in zip(
        metrics_of(tmp_path / "big"), metrics_of(tmp_path / "small"), strict=True
    ):
        assert one["loss"] == pytest.approx(other["loss"], abs=1e-3)
        assert one["grad_norm"] == pytest.approx(other["grad_norm"], rel=1e-2)


def inputs_of(config: RunConfig) -> StepInputs:
    encoded = encode_examples(EXAMPLES, ByteTokenizer(), max_length=64, overlong="error")
    batches = batches_of_steps(
        encoded, range(1), shuffle_seed=0, batch_size=config.training.batch_size, accumulation=1
    )
    one = np.ones(1, np.float32)
    return StepInputs(batches.rows, batches.n_loss_tokens, StepScalars(one, one, one))


def test_gradients_agree_with_finite_differences() -> None:
    config = tiny_config()
    model_config, numerics = model_config_of(config), numerics_for("fast")
    rows = jax.tree.map(lambda leaf: jnp.asarray(leaf[0, 0]), inputs_of(config).rows)
    graph, state = nnx.split(decoder(model_config))
    params, rest = nnx.split_state(state, nnx.Param, ...)

    @jax.jit
    def loss_of(params: Any) -> jax.Array:
        model = nnx.merge(graph, params, rest)
        logits = model.logits(model(rows.tokens, rows.positions, rows.segments))
        return numerics.cross_entropy(
            logits.reshape(-1, 261), rows.targets.reshape(-1), rows.loss_weights.reshape(-1)
        )

    gradients = jax.jit(jax.grad(loss_of))(params)
    rng = np.random.default_rng(0)
    leaves, structure = jax.tree.flatten(params)
    for _ in range(4):
        direction = jax.tree.unflatten(
            structure, [jnp.asarray(rng.normal(size=leaf.shape), jnp.float32) for leaf in leaves]
        )
        slope = sum(
            float(np.vdot(np.asarray(g, np.float64), np.asarray(d, np.float64)))
            for g, d in zip(jax.tree.leaves(gradients), jax.tree.leaves(direction), strict=True)
        )
        step = 1e-3
        ahead, behind = (
            float(loss_of(jax.tree.map(lambda p, d: p + sign * d, params, direction)))  # noqa: B023
            for sign in (step, -step)
        )
        assert slope == pytest.approx((ahead - behind) / (2 * step), rel=0.02, abs=0.5)


def test_a_call_may_run_fewer_steps_than_it_was_given() -> None:
    config = tiny_config("training.max_grad_norm=0")
    model = decoder(model_config_of(config))
    state, run = compile_steps(model, numerics_for("fast"), config.training, first_learned=0)
    inputs = jax.tree.map(lambda leaf: np.repeat(leaf, 3, axis=0), inputs_of(config))
    after, metrics = run(state, inputs, jnp.int32(1))
    assert metrics.loss[0] > 0
    assert metrics.loss[1:].tolist() == [0, 0]
    one_more, _ = run(after, inputs, jnp.int32(1))
    two, _ = run(state, inputs, jnp.int32(2))
    for one, other in zip(jax.tree.leaves(one_more), jax.tree.leaves(two), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_loss_that_is_not_finite_stops_training_and_names_step_and_traces(
    tmp_path: Path,
) -> None:
    config = tiny_config("training.batch_size=1", "training.num_steps=20")
    model_config = model_config_of(config)
    weights = initial_weights(model_config, 0)
    weights["model.embed_tokens.weight"][5 + ord("A")] = np.nan
    save_model(tmp_path / "base", weights, model_config, ByteTokenizer())
    with pytest.raises(NonFiniteError) as caught:
        train(config, EXAMPLES[:3], tmp_path, base=tmp_path / "base")
    assert caught.value.step == 1
    assert len(caught.value.traces) == 1
    assert caught.value.traces[0] in {one.trace for one in EXAMPLES[:3]}
    assert "Training stopped at step 1: its loss is nan" in str(caught.value)
    assert not (tmp_path / "model").exists()


def test_a_step_that_overflows_the_weights_stops_training(tmp_path: Path) -> None:
    config = tiny_config("training.learning_rate=3e38", "training.num_steps=30")
    with pytest.raises(NonFiniteError, match=r"Lower training.learning_rate") as caught:
        train(config, EXAMPLES, tmp_path)
    assert 1 < caught.value.step <= 30
    assert len(caught.value.traces) == 4


def test_weights_that_are_not_finite_after_the_last_step_stop_training(tmp_path: Path) -> None:
    config = tiny_config(
        "training.num_steps=1",
        "training.warmup_steps=0",
        "training.learning_rate=3e38",
        "training.weight_decay=1e30",
        "training.batch_size=12",
    )
    with pytest.raises(NonFiniteError, match=r"at step 1: .* and 4 more") as caught:
        train(config, EXAMPLES, tmp_path)
    assert len(caught.value.traces) == 12


def test_overlong_examples_stop_training_unless_they_are_to_be_dropped(tmp_path: Path) -> None:
    examples = [*EXAMPLES, example("z" * 60, "Answer: z")]
    with pytest.raises(OverlongExamplesError):
        train(tiny_config(), examples, tmp_path)
    outcome = train(tiny_config("data.overlong=drop"), examples, tmp_path)
    assert [entry.outcome for entry in outcome.ledger] == ["kept"] * 40 + ["dropped"]
    assert outcome.ledger[-1].n_times_trained == 0


def test_training_may_start_from_a_model(tmp_path: Path) -> None:
    config = tiny_config()
    digest = initial_model(config, tmp_path / "base")
    fresh = train(config, EXAMPLES, tmp_path / "fresh")
    based = train(config, EXAMPLES, tmp_path / "based", base=tmp_path / "base" / "model")
    assert digest != fresh.weights
    assert based.weights == fresh.weights


def test_a_base_of_other_sizes_is_an_error_that_names_them(tmp_path: Path) -> None:
    initial_model(tiny_config(), tmp_path)
    other = tiny_config("model.architecture.num_hidden_layers=3")
    with pytest.raises(
        BaseMismatchError, match="num_hidden_layers is 1 in the base and 3 in the configuration"
    ):
        train(other, EXAMPLES, tmp_path, base=tmp_path / "model")


def test_the_untrained_model_is_the_one_that_training_starts_from(tmp_path: Path) -> None:
    config = tiny_config("training.seed=3")
    initial_model(config, tmp_path)
    stored = load_model(tmp_path / "model").weights
    for name, tensor in initial_weights(model_config_of(config), 3).items():
        np.testing.assert_array_equal(stored[name], tensor)


def test_portable_training_gives_float32_and_nearly_the_same_losses(tmp_path: Path) -> None:
    train(tiny_config("training.num_steps=4"), EXAMPLES, tmp_path / "fast")
    train(
        tiny_config("training.num_steps=4", "training.numeric_mode=portable"),
        EXAMPLES,
        tmp_path / "portable",
    )
    losses = [
        [metric["loss"] for metric in metrics_of(tmp_path / mode)] for mode in ("fast", "portable")
    ]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)
    assert load_model(tmp_path / "portable" / "model").weights.keys()


def test_a_decoder_of_portable_numerics_is_float32_throughout() -> None:
    from tunixrt.ml import environment

    environment.prepare("portable")
    model_config = model_config_of(tiny_config())
    model = Decoder(model_config, numerics_for("portable"), initial_weights(model_config, 0))
    tokens = jnp.ones((1, 8), jnp.int32)
    logits = jax.eval_shape(lambda: model.logits(model(tokens, tokens, tokens)))
    assert logits.dtype == jnp.float32
