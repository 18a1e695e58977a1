"""Attention in blocks of queries: nothing that a query may see is left out."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ml.numerics.arrays import bits, gradients, largest_error, normal
from tunixrt.ml import environment
from tunixrt.ml.blocks import attention_in_blocks, spans
from tunixrt.ml.numerics import numerics_for

if TYPE_CHECKING:
    from collections.abc import Iterator

LENGTH, MAX_LENGTH = 300, 512
SEGMENTS = np.repeat([1, 2, 3, 0], [70, 150, 60, 20])
SHAPES = ((1, LENGTH, 4, 8), (1, LENGTH, 2, 8), (1, LENGTH, 2, 8))


@pytest.fixture(params=["fast", "portable"])
def mode(request: pytest.FixtureRequest) -> Iterator[str]:
    environment.prepare(request.param)
    yield request.param
    environment.prepare("fast")


def visible(segments: Any, window: int | None) -> Any:
    """[T, T] for segments that stand in a row in their order, as the decoder sees them."""
    distance = np.arange(len(segments))[:, None] - np.arange(len(segments))
    near = distance < (len(segments) if window is None else window)
    return (segments[:, None] == segments) & (distance >= 0) & near


@given(st.lists(st.integers(1, 200), min_size=1, max_size=6), st.none() | st.integers(1, 300))
@settings(max_examples=200, deadline=None)
def test_spans_cut_the_row_up_and_hold_every_visible_key(
    lengths: list[int], window: int | None
) -> None:
    segments = np.repeat(np.arange(len(lengths)), lengths)
    mask = visible(segments, window)
    cut = spans(len(segments), window)
    assert np.concatenate([np.arange(len(segments))[span.queries] for span in cut]).tolist() == (
        list(range(len(segments)))
    )
    assert sum(mask[queries, keys].sum() for queries, keys in cut) == mask.sum()


def test_a_window_leaves_out_what_lies_before_it() -> None:
    assert [span.keys for span in spans(512, 128)] == [
        slice(0, 128),
        slice(0, 256),
        slice(128, 384),
        slice(256, 512),
    ]


@pytest.mark.parametrize("window", [None, 100])
def test_blocks_give_what_the_whole_row_gives(mode: str, window: int | None) -> None:
    numerics: Any = numerics_for(mode)
    mask = visible(SEGMENTS, window)[None]
    operands = [normal(seed, *shape) for seed, shape in enumerate(SHAPES)]

    def whole(q: Any, k: Any, v: Any) -> Any:
        return numerics.attention(q, k, v, mask, 0.3, max_length=MAX_LENGTH)

    blocks: Any = partial(
        attention_in_blocks,
        numerics,
        mask=mask,
        scale=0.3,
        window=window,
        max_length=MAX_LENGTH,
    )
    assert len(spans(LENGTH, window)) > 1
    found, expected = jax.jit(blocks)(*operands), jax.jit(whole)(*operands)
    assert largest_error(found, expected) < 1e-6
    if mode == "portable":
        assert bits(found) == bits(expected)
    cotangent = normal(9, *SHAPES[0])
    for one, other in zip(
        gradients(blocks, cotangent, *operands),
        gradients(whole, cotangent, *operands),
        strict=True,
    ):
        assert largest_error(one, other) < 1e-5
