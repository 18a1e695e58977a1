"""Exact cross entropy."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.ml.numerics.arrays import bits, largest_error, normal
from tunixrt.ml.numerics import losses
from tunixrt.ml.numerics.losses import cross_entropy

N_ROWS, N_CLASSES = 40, 261


def batch() -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(0)
    logits = normal(1, N_ROWS, N_CLASSES) * np.float32(5)
    targets = rng.integers(0, N_CLASSES, N_ROWS).astype(np.int32)
    return logits, targets, (rng.random(N_ROWS) < 0.6).astype(np.float32)


@jax.jit
def loss_and_gradient(logits: Any, targets: Any, weights: Any) -> Any:
    return jax.value_and_grad(cross_entropy)(logits, targets, weights)


def reference(logits: Any, targets: Any, weights: Any) -> tuple[Any, Any]:
    wide = logits.astype(np.float64)
    shifted = np.exp(wide - wide.max(1, keepdims=True))
    p = shifted / shifted.sum(1, keepdims=True)
    rows = np.arange(len(targets))
    loss = -(weights * np.log(p[rows, targets])).sum()
    p[rows, targets] -= 1
    return loss, p * weights[:, None]


def test_loss_and_gradient_are_as_good_as_float32() -> None:
    loss, gradient = loss_and_gradient(*batch())
    expected_loss, expected_gradient = reference(*batch())
    assert loss.dtype == gradient.dtype == jnp.float32
    assert largest_error(loss, expected_loss) < 3e-7
    assert largest_error(gradient, expected_gradient) < 3e-7


def test_the_order_of_rows_and_classes_changes_no_bit() -> None:
    logits, targets, weights = batch()
    rng = np.random.default_rng(1)
    rows, classes = rng.permutation(N_ROWS), rng.permutation(N_CLASSES)
    loss, gradient = loss_and_gradient(logits, targets, weights)
    other = loss_and_gradient(
        logits[rows][:, classes], np.argsort(classes)[targets[rows]].astype(np.int32), weights[rows]
    )
    assert bits(other) == bits((loss, gradient[rows][:, classes]))


def test_rows_without_weight_change_no_bit() -> None:
    logits, targets, weights = batch()
    loss, gradient = loss_and_gradient(logits, targets, weights)
    padded = [np.concatenate([part, part[:24]]) for part in (logits, targets, weights)]
    padded[2][N_ROWS:] = 0
    padded_loss, padded_gradient = loss_and_gradient(*padded)
    assert bits(padded_loss) == bits(loss)
    assert bits(padded_gradient[:N_ROWS]) == bits(gradient)
    assert not np.asarray(padded_gradient[N_ROWS:]).any()


def test_weights_have_a_gradient_too() -> None:
    logits, targets, weights = batch()
    found = jax.jit(jax.grad(cross_entropy, argnums=2))(logits, targets, weights)
    each = [reference(logits[i : i + 1], targets[i : i + 1], np.ones(1))[0] for i in range(N_ROWS)]
    assert largest_error(found, each) < 3e-7


def test_certainty_costs_nothing_and_being_wrong_stays_finite() -> None:
    logits = np.array([[1e4, 0, -1e4]] * 2, np.float32)
    targets, weights = np.array([0, 2], np.int32), np.ones(2, np.float32)
    loss, gradient = loss_and_gradient(logits, targets, weights)
    assert loss == 2e4
    assert gradient.tolist() == [[0, 0, 0], [1, 0, -1]]


def test_logits_that_are_not_finite_show_in_the_loss() -> None:
    logits, targets, weights = batch()
    logits[3, 5] = np.nan
    weights[3] = 1
    assert np.isnan(loss_and_gradient(logits, targets, weights)[0])


def test_too_many_tokens_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, "MAX_TOKENS", N_ROWS - 1)
    with pytest.raises(ValueError, match="40 tokens in one batch exceed 39"):
        cross_entropy(*(jnp.asarray(part) for part in batch()))
