"""A whole decoder in the portable mode: logits do not know how they came about."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.making.models import sliding_config
from tests.ml.numerics.arrays import bits, largest_error
from tests.sweeps import product, swept
from tunixrt.ml.model import Decoder, initial_weights
from tunixrt.ml.numerics import numerics_for

BATCH, LENGTH = 3, 20


class Model:
    """A small decoder as compiled functions."""

    def __init__(self, mode: str) -> None:
        config = sliding_config(n_layers=2)
        decoder = Decoder(config, numerics_for(mode), initial_weights(config, 0))
        graph, state = nnx.split(decoder)
        self.decoder = decoder

        @jax.jit
        def run(tokens: Any, positions: Any, segments: Any) -> Any:
            model = nnx.merge(graph, state)
            return model.logits(model(tokens, positions, segments))

        @partial(jax.jit, static_argnums=3)
        def begin(tokens: Any, positions: Any, segments: Any, n_slots: int) -> Any:
            model = nnx.merge(graph, state)
            hidden, cache = model.begin(tokens, positions, segments, n_slots)
            return model.logits(hidden), cache

        @jax.jit
        def extend(tokens: Any, positions: Any, segments: Any, cache: Any, start: Any) -> Any:
            model = nnx.merge(graph, state)
            hidden, cache = model.extend(tokens, positions, segments, cache, start)
            return model.logits(hidden), cache

        self.run, self.begin, self.extend = run, begin, extend

    def logits(self, tokens: Any, segments: Any = None, positions: Any = None) -> Any:
        """Logits of rows that begin at position 0, of one segment each, unless said otherwise."""
        if positions is None:
            positions = np.broadcast_to(np.arange(tokens.shape[1]), tokens.shape)
        if segments is None:
            segments = np.ones_like(tokens)
        arrays = (jnp.asarray(part, jnp.int32) for part in (tokens, positions, segments))
        return np.asarray(self.run(*arrays))


@pytest.fixture(scope="module")
def model() -> Model:
    from tunixrt.ml import environment

    environment.prepare("portable")
    return Model("portable")


@pytest.fixture(scope="module")
def tokens() -> Any:
    return np.random.default_rng(0).integers(0, 261, (BATCH, LENGTH)).astype(np.int32)


def test_logits_are_close_to_the_fast_mode(model: Model, tokens: Any) -> None:
    assert largest_error(model.logits(tokens), Model("fast").logits(tokens)) < 1e-5


@pytest.mark.parametrize(
    ("n_at_once", "n_slots"), product([1, 7, LENGTH - 1], [24, 40, 64], every=3)
)
def test_decoding_token_by_token_gives_the_bits_of_the_prompt_at_once(
    model: Model, tokens: Any, n_at_once: int, n_slots: int
) -> None:
    whole = model.logits(tokens)
    positions = np.broadcast_to(np.arange(LENGTH, dtype=np.int32), tokens.shape)
    ones = np.ones_like(tokens)
    first = slice(0, n_at_once)
    logits, cache = model.begin(tokens[:, first], positions[:, first], ones[:, first], n_slots)
    assert bits(logits) == bits(whole[:, first])
    for place in range(n_at_once, LENGTH):
        column = slice(place, place + 1)
        # The slots need not be the positions.
        slot = jnp.int32(place + n_slots - LENGTH)
        logits, cache = model.extend(
            tokens[:, column], positions[:, column], ones[:, column], cache, slot
        )
        assert bits(logits) == bits(whole[:, column]), place


@pytest.mark.parametrize("batch", swept([1, 2, 8, 32, 64], every=2))
def test_a_row_does_not_know_its_batch(model: Model, tokens: Any, batch: int) -> None:
    many = np.random.default_rng(2).integers(0, 261, (batch, LENGTH)).astype(np.int32)
    places = sorted({0, batch // 2, batch - 1})
    many[places] = tokens[: len(places)]
    assert bits(model.logits(many)[places]) == bits(model.logits(tokens)[: len(places)])


@pytest.mark.parametrize("length", swept([24, 32, 48, 64, 61], every=2))
def test_a_row_does_not_know_its_padding(model: Model, tokens: Any, length: int) -> None:
    padded = np.zeros((BATCH, length), np.int32)
    padded[:, :LENGTH] = tokens
    segments = np.ones_like(padded)
    segments[:, LENGTH:] = 0
    assert bits(model.logits(padded, segments)[:, :LENGTH]) == bits(model.logits(tokens))


def test_a_packed_example_does_not_know_its_neighbours(model: Model, tokens: Any) -> None:
    alone = model.logits(tokens[:, :13])
    neighbours = np.random.default_rng(1).integers(0, 261, (BATCH, 9)).astype(np.int32)
    packed = np.concatenate([neighbours, tokens[:, :13]], 1)
    segments = np.broadcast_to([0] * 9 + [1] * 13, packed.shape)
    positions = np.broadcast_to([*range(9), *range(13)], packed.shape)
    assert bits(model.logits(packed, segments, positions)[:, 9:]) == bits(alone)


def test_later_tokens_do_not_reach_back(model: Model, tokens: Any) -> None:
    changed = tokens.copy()
    changed[:, 11:] = (changed[:, 11:] + 100) % 261
    assert bits(model.logits(changed)[:, :11]) == bits(model.logits(tokens)[:, :11])
