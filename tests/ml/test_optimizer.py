"""AdamW from host-side tables equals optax's, and clipping is by the global norm."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax  # type: ignore[import-untyped]
import pytest

from tunixrt.ml.numerics import numerics_for
from tunixrt.ml.optimizer import StepScalars, adamw, clip_by_global_norm
from tunixrt.ml.tables import adam_corrections, momentum_weights

pytestmark = pytest.mark.usefixtures("fast_mode")

RNG = np.random.default_rng(0)
B1, B2, EPS, DECAY, RATE = 0.9, 0.98, 1e-8, 0.1, 0.01


def tree() -> dict[str, jax.Array]:
    return {
        "matrix": jnp.asarray(RNG.normal(size=(3, 4)), jnp.float32),
        "scale": jnp.asarray(RNG.normal(size=4), jnp.float32),
    }


@pytest.mark.parametrize("decay", [0.0, DECAY])
def test_the_updates_are_those_of_optax(decay: float) -> None:
    ours = adamw(numerics_for("fast"), b1=B1, b2=B2, eps=EPS, weight_decay=decay)
    theirs = optax.adamw(
        RATE, b1=B1, b2=B2, eps=EPS, weight_decay=decay, mask={"matrix": True, "scale": False}
    )
    firsts, seconds = adam_corrections(B1, B2, 5)
    params = expected = tree()
    state, their_state = ours.init(params), theirs.init(params)
    for step in range(5):
        gradients = tree()
        scalars = StepScalars(jnp.float32(RATE), firsts[step], seconds[step])
        changes, state = ours.update(gradients, state, params, scalars=scalars)
        params = optax.apply_updates(params, changes)
        their_changes, their_state = theirs.update(gradients, their_state, expected)
        expected = optax.apply_updates(expected, their_changes)
    for name, value in params.items():
        assert value.dtype == jnp.float32
        np.testing.assert_allclose(value, expected[name], atol=1e-6)


def test_gradients_are_scaled_down_to_the_norm_and_never_up() -> None:
    gradients = {"a": jnp.asarray([3.0], jnp.float32), "b": jnp.asarray([[4.0]], jnp.float32)}
    clipped, norm = clip_by_global_norm(numerics_for("fast"), gradients, 1.0)
    assert norm == 5
    np.testing.assert_allclose(clipped["a"], [0.6], rtol=1e-6)
    np.testing.assert_allclose(clipped["b"], [[0.8]], rtol=1e-6)
    kept, _ = clip_by_global_norm(numerics_for("fast"), gradients, 6.0)
    assert kept["a"] == 3


def test_a_limit_of_zero_clips_nothing() -> None:
    gradients = {"a": jnp.asarray([3.0], jnp.float32)}
    kept, norm = clip_by_global_norm(numerics_for("fast"), gradients, 0.0)
    assert kept["a"].tolist() == [3]
    assert norm == 3


def test_gradients_of_zero_stay_zero() -> None:
    clipped, norm = clip_by_global_norm(numerics_for("fast"), {"a": jnp.zeros(2, jnp.float32)}, 1.0)
    assert norm == 0
    assert clipped["a"].tolist() == [0, 0]


def test_the_weights_of_muon_are_the_corrected_ones_of_nesterov() -> None:
    of_momentum, of_gradient = momentum_weights(0.95, 4)
    for t in range(1, 5):
        assert of_momentum[t - 1] == pytest.approx(0.95 / (1 - 0.95 ** (t + 1)), rel=1e-7)
        assert of_gradient[t - 1] == pytest.approx(0.05 / (1 - 0.95**t), rel=1e-7)
