"""The decoder: shapes, who sees whom, and that a cache changes nothing."""

from __future__ import annotations

import dataclasses
import functools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.making.models import SLIDING, decoder, sliding_config
from tunixrt.ml.model import EMPTY_SEGMENT, Decoder, initial_weights
from tunixrt.ml.numerics import numerics_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tunixrt.ml.model import Cache, ModelConfig

pytestmark = pytest.mark.usefixtures("fast_mode")

ROWS, LENGTH = 2, 16
RNG = np.random.default_rng(0)
TOKENS = jnp.asarray(RNG.integers(5, 261, (ROWS, LENGTH)), jnp.int32)
POSITIONS = jnp.broadcast_to(jnp.arange(LENGTH, dtype=jnp.int32), (ROWS, LENGTH))
ONE_SEGMENT = jnp.ones((ROWS, LENGTH), jnp.int32)


@functools.cache
def compiled_forward(config: ModelConfig) -> Callable[..., jax.Array]:
    graph, _ = nnx.split(decoder(config))

    def forward(
        state: Any, tokens: jax.Array, positions: jax.Array, segments: jax.Array
    ) -> jax.Array:
        model = nnx.merge(graph, state)
        return model.logits(model(tokens, positions, segments))

    return jax.jit(forward)


def logits_of(
    model: Decoder, tokens: jax.Array, positions: jax.Array, segments: jax.Array
) -> np.ndarray:
    _, state = nnx.split(model)
    return np.asarray(compiled_forward(model.config)(state, tokens, positions, segments))


def test_the_forward_pass_gives_float32_logits_for_every_token() -> None:
    logits = logits_of(decoder(sliding_config()), TOKENS, POSITIONS, ONE_SEGMENT)
    assert logits.shape == (ROWS, LENGTH, 261)
    assert logits.dtype == np.float32
    # Normed states of size 1 times embeddings of size 1 / sqrt(D): logits of size 1 at first.
    assert 0.5 < logits.std() < 2


def test_a_token_never_changes_what_came_before_it() -> None:
    model = decoder(sliding_config())
    before = logits_of(model, TOKENS, POSITIONS, ONE_SEGMENT)
    changed = TOKENS.at[:, 10].set(7)
    after = logits_of(model, changed, POSITIONS, ONE_SEGMENT)
    np.testing.assert_array_equal(before[:, :10], after[:, :10])
    assert (before[:, 10:] != after[:, 10:]).any(axis=-1).all()


def test_a_model_of_sliding_layers_only_forgets_what_left_all_windows() -> None:
    only_sliding = SLIDING.model_copy(update={"sliding_window_pattern": 9, "num_hidden_layers": 2})
    model = decoder(dataclasses.replace(sliding_config(), architecture=only_sliding))
    before = logits_of(model, TOKENS, POSITIONS, ONE_SEGMENT)
    after = logits_of(model, TOKENS.at[:, 0].set(7), POSITIONS, ONE_SEGMENT)
    # Each of two layers reaches 4 tokens back, so the first token reaches place 8.
    assert (before[:, 8] != after[:, 8]).any()
    np.testing.assert_array_equal(before[:, 9:], after[:, 9:])


def test_examples_that_share_a_row_do_not_see_each_other() -> None:
    model = decoder(sliding_config())
    alone = logits_of(model, TOKENS, POSITIONS, ONE_SEGMENT)
    row = jnp.tile(jnp.concatenate([TOKENS[0, :10], TOKENS[1, :6]]), (ROWS, 1))
    positions = jnp.tile(jnp.asarray([*range(10), *range(6)], jnp.int32), (ROWS, 1))
    segments = jnp.tile(jnp.asarray([1] * 10 + [2] * 6, jnp.int32), (ROWS, 1))
    packed = logits_of(model, row, positions, segments)
    np.testing.assert_allclose(packed[0, :10], alone[0, :10], atol=1e-5)
    np.testing.assert_allclose(packed[0, 10:], alone[1, :6], atol=1e-5)


def test_decoding_with_a_cache_equals_the_full_forward_pass() -> None:
    model = decoder(sliding_config())
    full = logits_of(model, TOKENS, POSITIONS, ONE_SEGMENT)
    graph, state = nnx.split(model)

    @jax.jit
    def begin(tokens: jax.Array) -> tuple[jax.Array, Cache]:
        merged = nnx.merge(graph, state)
        length = tokens.shape[1]
        hidden, cache = merged.begin(
            tokens, POSITIONS[:, :length], ONE_SEGMENT[:, :length], n_slots=24
        )
        return merged.logits(hidden), cache

    @jax.jit
    def extend(
        tokens: jax.Array, position: jax.Array, slot: jax.Array, cache: Cache
    ) -> tuple[jax.Array, Cache]:
        merged = nnx.merge(graph, state)
        hidden, cache = merged.extend(
            tokens, jnp.full_like(tokens, position), jnp.ones_like(tokens), cache, slot
        )
        return merged.logits(hidden), cache

    logits, cache = begin(TOKENS[:, :7])
    pieces = [logits]
    for place in range(7, 12):
        # Slots 7 to 9 stay empty: a token's place among the slots means nothing.
        logits, cache = extend(
            TOKENS[:, place : place + 1], jnp.int32(place), jnp.int32(place + 3), cache
        )
        pieces.append(logits)
    np.testing.assert_allclose(np.concatenate(pieces, axis=1), full[:, :12], atol=2e-5)


def test_a_cache_slot_is_empty_until_a_token_takes_it() -> None:
    model = decoder(sliding_config())
    ones = jnp.ones((1, 1), jnp.int32)
    run = jax.jit(lambda tokens: model.begin(tokens, 0 * ones, ones, n_slots=4)[1])
    more = jax.jit(lambda cache: model.extend(ones, 7 * ones, 2 * ones, cache, jnp.int32(2))[1])
    cache = more(run(TOKENS[:1, :1]))
    empty = EMPTY_SEGMENT
    assert cache.segments.tolist() == [[1, empty, 2, empty]]
    assert cache.positions.tolist() == [[0, 0, 7, 0]]


def test_logits_agree_with_those_of_transformers() -> None:
    # What transformers 5.24.0 (torch 2.13.0) computed from the model that `save_model` wrote.
    stored = json.loads(Path(__file__).with_name("transformers_logits.json").read_text())
    config = sliding_config()
    weights = {
        name: tensor if tensor.ndim > 1 else np.linspace(-0.5, 0.5, tensor.size, dtype=np.float32)
        for name, tensor in initial_weights(config, stored["seed"]).items()
    }
    model = Decoder(config, numerics_for("fast"), weights)
    tokens = jnp.asarray([stored["tokens"]], jnp.int32)
    positions = jnp.arange(tokens.shape[1], dtype=jnp.int32)[None]
    logits = logits_of(model, tokens, positions, jnp.ones_like(tokens))
    np.testing.assert_allclose(logits[0, -1], stored["last_logits"], atol=1e-4)
    np.testing.assert_allclose(logits[0, :, 65], stored["logits_of_65"], atol=1e-4)


def test_initial_weights_follow_from_the_seed_and_keep_the_scale() -> None:
    config = sliding_config()
    weights = initial_weights(config, 0)
    assert list(weights) == sorted(weights)
    again, other = initial_weights(config, 0), initial_weights(config, 1)
    for name, tensor in weights.items():
        np.testing.assert_array_equal(tensor, again[name])
        if tensor.ndim == 2:
            assert (tensor != other[name]).any()
            assert tensor.std() * tensor.shape[1] ** 0.5 == pytest.approx(1, abs=0.15)
        else:
            assert not tensor.any()
