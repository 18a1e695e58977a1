"""Muon is optax's in fast mode, and independent of the order of sums in portable mode."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax  # type: ignore[import-untyped]
import optax.contrib  # type: ignore[import-untyped]
import pytest

from tests.making.models import copying_examples, tiny_config
from tunixrt.ml import environment
from tunixrt.ml.checkpoints import restored, write_training
from tunixrt.ml.muon import orthogonalised
from tunixrt.ml.numerics import numerics_for
from tunixrt.ml.optimizer import StepScalars, optimizer_of, scalar_tables
from tunixrt.ml.training import train
from tunixrt.runs.memory import estimate_memory

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("fast_mode")

RNG = np.random.default_rng(0)
SETTINGS = ("training.optimizer=muon", "training.learning_rate=0.02")


def tree() -> dict[str, jax.Array]:
    shapes = {"down": (12, 5), "embedding": (9, 5), "same": (5, 5), "scale": (5,), "up": (5, 12)}
    return {
        name: jnp.asarray(RNG.normal(size=shape), jnp.float32) for name, shape in shapes.items()
    }


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_the_updates_are_those_of_optax(decay: float) -> None:
    training = tiny_config(
        *SETTINGS, f"training.weight_decay={decay}", "training.lr_scheduler=constant",
        "training.warmup_steps=0",
    ).training  # fmt: skip
    ours = optimizer_of(numerics_for("fast"), training)
    hidden = {"down", "same", "up"}
    theirs = optax.contrib.muon(
        0.02,
        weight_decay=decay,
        adam_b1=training.adam_b1,
        adam_b2=training.adam_b2,
        muon_weight_dimension_numbers=lambda params: {
            name: optax.contrib.MuonDimensionNumbers() if name in hidden else None
            for name in params
        },
    )
    # What is left is AdamW's; optax's muon would use Nesterov's variant of it there.
    adam = optax.adamw(
        0.02,
        b1=training.adam_b1,
        b2=training.adam_b2,
        weight_decay=decay,
        mask={name: name == "embedding" for name in tree()},
    )
    tables = scalar_tables(training)
    params = tree()
    state, their_state, adam_state = ours.init(params), theirs.init(params), adam.init(params)
    for step in range(4):
        gradients = tree()
        scalars = jax.tree.map(lambda table: jnp.float32(table[step]), tables)  # noqa: B023
        changes, state = ours.update(gradients, state, params, scalars=scalars)
        their_changes, their_state = theirs.update(gradients, their_state, params)
        adam_changes, adam_state = adam.update(gradients, adam_state, params)
        for name, change in changes.items():
            expected = their_changes[name] if name in hidden else adam_changes[name]
            np.testing.assert_allclose(change, expected, atol=2e-5, rtol=1e-3)
        params = optax.apply_updates(params, changes)


@pytest.mark.parametrize("shape", [(6, 6), (4, 9), (9, 4)])
def test_singular_values_come_near_one(shape: tuple[int, int]) -> None:
    matrix = jnp.asarray(RNG.normal(size=shape), jnp.float32)
    (found,) = orthogonalised(numerics_for("fast"), [matrix])
    assert found.shape == shape
    values = np.linalg.svd(np.asarray(found), compute_uv=False)
    assert values.max() < 1.3
    assert values.min() > 0.3


def test_in_portable_mode_the_order_of_rows_and_columns_changes_no_bit() -> None:
    environment.prepare("portable")
    numerics = numerics_for("portable")
    matrix = np.asarray(RNG.normal(size=(8, 24)), np.float32)
    rows, columns = RNG.permutation(8), RNG.permutation(24)

    @jax.jit
    def run(matrix: Any) -> jax.Array:
        return orthogonalised(numerics, [matrix])[0]

    whole = np.asarray(run(matrix))
    shuffled = np.asarray(run(matrix[rows][:, columns]))
    np.testing.assert_array_equal(whole[rows][:, columns], shuffled)
    assert whole.dtype == np.float32


def test_a_model_learns_with_it(tmp_path: Path) -> None:
    outcome = train(tiny_config(*SETTINGS, "training.num_steps=60"), copying_examples(), tmp_path)
    assert outcome.final_loss < 0.5 * outcome.initial_loss


def test_it_keeps_less_than_adamw() -> None:
    adamw = estimate_memory(tiny_config(), 261, 32)
    muon = estimate_memory(tiny_config(*SETTINGS), 261, 32)
    assert adamw.n_params < muon.optimizer_bytes / 4 < 2 * adamw.n_params
    assert StepScalars(1, 1, 1).momentum is None


def test_its_state_is_kept_by_checkpoints(tmp_path: Path) -> None:
    from safetensors.numpy import load

    from tunixrt.ml.model import initial_weights
    from tunixrt.ml.training import model_config_of

    config = tiny_config(*SETTINGS)
    model_config = model_config_of(config)
    optimizer = optimizer_of(numerics_for("fast"), config.training)
    state = jax.tree.map(
        lambda leaf: jnp.asarray(RNG.normal(size=leaf.shape), jnp.float32), optimizer.init(tree())
    )
    write_training(
        tmp_path,
        weights=initial_weights(model_config, 0),
        opt_state=state,
        metrics=[],
        config=model_config,
    )
    leaves = load((tmp_path / "opt_state.safetensors").read_bytes())
    again = restored(optimizer.init(tree()), leaves)
    assert str(jax.tree.structure(again)) == str(jax.tree.structure(state))
    for one, other in zip(jax.tree.leaves(state), jax.tree.leaves(again), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_portable_training_with_it_has_the_same_bits_on_one_thread_and_on_four(
    tmp_path: Path,
) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from tunixrt.ml import environment; environment.prepare('portable')\n"
        "from tests.making.models import copying_examples, tiny_config\n"
        "from tunixrt.ml.training import train\n"
        "config = tiny_config('training.numeric_mode=portable', 'training.optimizer=muon',\n"
        "    'training.gradient_accumulation_steps=2', 'data.packing=true',\n"
        "    'training.lr_scheduler=cosine', 'training.weight_decay=0.1')\n"
        "print(train(config, copying_examples(), Path(sys.argv[1])).weights)\n"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", script, str(tmp_path / n_threads)],
            check=True,
            capture_output=True,
            env={"NPROC": n_threads, "PYTHONPATH": ":".join(sys.path)},
        ).stdout
        for n_threads in ("1", "4")
    }
    assert len(printed) == 1
