"""Exact cross entropy and its gradient.

`exp(logit - largest)` is at most 1, so the sum over the vocabulary has a static grid with
`bits_for_sum(V)` bits below 1. The losses of the tokens are summed below the largest of them, on a
grid for 2**20 terms whatever their number: rows of padding do not change it.
"""

from __future__ import annotations

import numpy as np

from tunixrt.ml.numerics.grids import bits_for_sum, bound_over, max_last, round_to, sum_last
from tunixrt.ml.numerics.pins import pin
from tunixrt.ml.numerics.transcendental import exp, log
from tunixrt.ml.xla import Array, jax, jnp, lax

MAX_TOKENS = 1 << 20
"""The most rows that one call of `cross_entropy` may have."""


def _exponentials(logits: Array) -> tuple[Array, Array, Array]:
    """Return logits less the largest of their row, their exponentials, and the sum of those."""
    shifted = logits - max_last(logits)
    weights = exp(shifted)
    total = sum_last(round_to(weights, np.float64(2.0 ** -bits_for_sum(logits.shape[1]))))
    return shifted, weights, total.astype(jnp.float32)


def _token_losses(logits: Array, targets: Array) -> Array:
    shifted, _, total = _exponentials(logits)
    chosen = jnp.take_along_axis(shifted, targets[:, None], axis=1, mode="clip")
    return (log(total) - chosen)[:, 0]


@jax.custom_vjp
def cross_entropy(logits: Array, targets: Array, weights: Array) -> Array:
    """Sum `-weights * log_softmax(logits)[targets]` over N rows into a scalar.

    Raises:
        ValueError: There are more than `MAX_TOKENS` rows.
    """
    if logits.shape[0] > MAX_TOKENS:
        raise ValueError(f"{logits.shape[0]} tokens in one batch exceed {MAX_TOKENS}.")
    losses = pin(weights * _token_losses(logits, targets))
    unit = bound_over(losses) * np.float64(2.0 ** -bits_for_sum(MAX_TOKENS))
    return jnp.sum(round_to(losses, unit)).astype(jnp.float32)


def _cross_entropy_forward(
    logits: Array, targets: Array, weights: Array
) -> tuple[Array, tuple[Array, Array, Array]]:
    return cross_entropy(logits, targets, weights), (logits, targets, weights)


def _cross_entropy_backward(
    operands: tuple[Array, Array, Array], gradient: Array
) -> tuple[Array, None, Array]:
    logits, targets, weights = operands
    _, exponentials, total = _exponentials(logits)
    columns = lax.broadcasted_iota(jnp.int32, logits.shape, 1)
    hit = (columns == targets[:, None]).astype(jnp.float32)
    probabilities = pin(exponentials * (np.float32(1) / total))
    d_logits = pin((probabilities - hit) * (gradient * weights)[:, None])
    return d_logits, None, pin(gradient * _token_losses(logits, targets))


cross_entropy.defvjp(_cross_entropy_forward, _cross_entropy_backward)
