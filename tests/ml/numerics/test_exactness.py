"""Every sum of the portable mode, forward and backward, is exact: the proof by looking at terms."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.making.models import sliding_config
from tests.ml.numerics.arrays import normal, wild
from tests.ml.numerics.exactness import InexactSumError, count_exact_sums
from tunixrt.ml.model import Decoder, initial_weights
from tunixrt.ml.numerics import numerics_for

if TYPE_CHECKING:
    from collections.abc import Callable

PORTABLE: Any = numerics_for("portable")
CAUSAL = np.broadcast_to(np.tril(np.ones((9, 9), bool)), (2, 9, 9))
TARGETS = np.arange(40, dtype=np.int32) % 21
IDS = np.arange(40, dtype=np.int32) % 7

#: What is done, the shapes of its operands, and how many sums it takes, forward and backward.
OPERATIONS: dict[str, tuple[Callable[..., Any], tuple[tuple[int, ...], ...], int]] = {
    "linear": (PORTABLE.linear, ((40, 100), (100, 36)), 3),
    "linear of one row": (PORTABLE.linear, ((1, 3), (3, 300)), 3),
    "logits": (PORTABLE.logits, ((40, 24), (21, 24)), 3),
    "embed": (lambda table: PORTABLE.embed(table, IDS), ((21, 24),), 1),
    "rms_norm": (lambda x, scale: PORTABLE.rms_norm(x, scale, 1e-6), ((40, 48), (48,)), 4),
    "rms_norm of odd width": (lambda x, s: PORTABLE.rms_norm(x, s, 1e-6), ((5, 3), (3,)), 4),
    "attention": (
        lambda q, k, v: PORTABLE.attention(q, k, v, CAUSAL, 0.3, max_length=9),
        ((2, 9, 4, 16), (2, 9, 2, 16), (2, 9, 2, 16)),
        10,
    ),
    "attention with large heads": (
        lambda q, k, v: PORTABLE.attention(q, k, v, CAUSAL, 0.1),
        ((2, 9, 1, 200), (2, 9, 1, 200), (2, 9, 1, 200)),
        10,
    ),
    "cross_entropy": (
        lambda logits: PORTABLE.cross_entropy(logits, TARGETS, jnp.ones(40, jnp.float32)),
        ((40, 21),),
        2,
    ),
    "global_norm": (lambda a, b: PORTABLE.global_norm([a, b]), ((40, 100), (7,)), 2),
    "multiply, broadcast": (PORTABLE.multiply, ((40, 1), (30,)), 2),
    "weighted_sum, broadcast": (PORTABLE.weighted_sum, ((), (9, 30), (1, 30), (9, 1)), 3),
}


def extreme(seed: int, *shape: int) -> Any:
    """Magnitudes just below a power of two, so that sums are as large as bounds allow."""
    rng = np.random.default_rng(seed)
    magnitudes = 1 - rng.integers(1, 1 << 10, shape) * 2.0**-24
    return np.where(rng.random(shape) < 0.5, magnitudes, -magnitudes).astype(np.float32)


DRAWS = {"normal": normal, "wild": wild, "extreme": extreme}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_no_sum_can_round(operation: Any, draw: Any) -> None:
    function, shapes, n_sums = operation
    operands = [draw(seed, *shape) for seed, shape in enumerate(shapes)]
    gradient = draw(99, *jax.eval_shape(function, *operands).shape)

    def both(gradient: Any, *operands: Any) -> Any:
        value, pull = jax.vjp(function, *operands)
        return value, pull(gradient)

    assert count_exact_sums(both, gradient, *operands) >= n_sums


@pytest.mark.parametrize("size", [2.0**120, 2.0**-90])
@pytest.mark.parametrize("name", ["linear", "rms_norm", "attention", "embed"])
def test_no_sum_can_round_at_the_ends_of_float32(name: str, size: float) -> None:
    function, shapes, _ = OPERATIONS[name]
    operands = [normal(seed, *shape) for seed, shape in enumerate(shapes)]
    operands[-1] *= np.float32(size)
    gradient = normal(99, *jax.eval_shape(function, *operands).shape)
    assert count_exact_sums(lambda g, *o: jax.vjp(function, *o)[1](g), gradient, *operands)


def test_no_sum_of_a_whole_decoder_can_round() -> None:
    config = sliding_config()
    one_layer = config.architecture.model_copy(update={"num_hidden_layers": 1})
    config = replace(config, architecture=one_layer)
    decoder = Decoder(config, PORTABLE, initial_weights(config, 0))
    parts: Any = nnx.split(decoder, nnx.Param, ...)
    graph, params, rest = parts
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 261, (2, 21)).astype(np.int32)
    positions = np.broadcast_to(np.arange(20, dtype=np.int32), (2, 20))
    segments = np.repeat([[0] * 7 + [1] * 13], 2, 0).astype(np.int32)

    def loss(params: Any) -> Any:
        model = nnx.merge(graph, params, rest)
        logits = model.logits(model(tokens[:, :-1], positions, segments)).reshape(40, -1)
        weights = jnp.ones(40, jnp.float32)
        return PORTABLE.cross_entropy(logits, tokens[:, 1:].reshape(-1), weights) / jnp.float32(40)

    def step(params: Any) -> Any:
        value, gradients = jax.value_and_grad(loss)(params)
        return value, PORTABLE.global_norm(gradients)

    n_leaves = len(jax.tree.leaves(params))
    # Four products, attention, six norms and the last one; head, table, loss; the global norm.
    n_expected = 4 * 3 + 10 + 7 * 4 + 3 + 1 + 2 + n_leaves
    assert count_exact_sums(step, params) >= n_expected


def test_plain_sums_are_found_out() -> None:
    x = normal(0, 30, 30)
    for function in (
        jnp.sum,
        lambda x: x @ x,
        lambda x: jnp.cumsum(x.astype(jnp.float64)),
        lambda x: x.astype(jnp.float64) @ x.astype(jnp.float64),
        lambda x: jnp.sum(x.astype(jnp.float64) * x),
        lambda x: (
            jnp.zeros(3, jnp.float64)
            .at[jnp.zeros(30, jnp.int32)]
            .add(jnp.exp(x[0].astype(jnp.float64)))
        ),
    ):
        with pytest.raises(InexactSumError):
            count_exact_sums(function, x)
