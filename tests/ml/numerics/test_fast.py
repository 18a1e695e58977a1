"""The two modes compute the same thing, up to rounding."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.ml.numerics.arrays import largest_error, normal
from tunixrt.ml.numerics import numerics_for

if TYPE_CHECKING:
    from collections.abc import Callable

FAST: Any = numerics_for("fast")
PORTABLE: Any = numerics_for("portable")
IDS = np.arange(30, dtype=np.int32) % 11
CAUSAL = np.broadcast_to(np.tril(np.ones((9, 9), bool)), (2, 9, 9))
Operation = tuple["Callable[..., Any]", tuple[tuple[int, ...], ...]]

#: Operations of a mode, and the shapes of their operands.
OPERATIONS: dict[str, Operation] = {
    "linear": (lambda mode, x, w: mode.linear(x, w), ((2, 15, 40), (40, 24))),
    "logits": (lambda mode, x, table: mode.logits(x, table), ((30, 24), (11, 24))),
    "embed": (lambda mode, table: mode.embed(table, IDS), ((11, 24),)),
    "rms_norm": (lambda mode, x, scale: mode.rms_norm(x, scale, 1e-6), ((30, 24), (24,))),
    "attention": (
        lambda mode, q, k, v: mode.attention(q, k, v, CAUSAL, 0.3),
        ((2, 9, 4, 8), (2, 9, 2, 8), (2, 9, 2, 8)),
    ),
    "cross_entropy": (
        lambda mode, logits: mode.cross_entropy(logits, IDS, jnp.ones(30, jnp.float32)),
        ((30, 11),),
    ),
    "global_norm": (lambda mode, a, b: mode.global_norm({"a": a, "b": b}), ((30, 11), (5,))),
    "inverse_sqrt": (lambda mode, x: mode.inverse_sqrt(jnp.square(x) + 1), ((50,),)),
    "multiply": (lambda mode, a, b: mode.multiply(a, b), ((30, 11), (11,))),
    "multiply_add": (lambda mode, a, b, c: mode.multiply_add(a, b, c), ((30, 1), (11,), (30, 11))),
    "weighted_sum": (
        lambda mode, a, x, b, y: mode.weighted_sum(a, x, b, y),
        ((), (30, 11), (), (30, 11)),
    ),
}


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_values_and_gradients_agree(operation: Operation) -> None:
    function, shapes = operation
    operands = [normal(seed, *shape) for seed, shape in enumerate(shapes)]
    gradient = normal(99, *jax.eval_shape(lambda *o: function(FAST, *o), *operands).shape)
    values, gradients = {}, {}
    for mode in (FAST, PORTABLE):
        run = partial(function, mode)
        values[mode.mode], gradients[mode.mode] = _both(run, gradient, operands)
    pairs = [(values["fast"], values["portable"])]
    pairs += zip(gradients["fast"], gradients["portable"], strict=True)
    for fast, portable in pairs:
        assert fast.dtype == portable.dtype == jnp.float32
        assert largest_error(portable, fast) < 5e-6


@partial(jax.jit, static_argnums=0)
def _both(function: Any, gradient: Any, operands: Any) -> Any:
    value, pull = jax.vjp(function, *operands)
    return value, pull(gradient)
