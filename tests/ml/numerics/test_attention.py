"""Exact attention: no bit of a query's result depends on what the query may not see."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.ml.numerics.arrays import bits, gradients, largest_error, normal, wild
from tunixrt.ml.numerics import numerics_for

PORTABLE: Any = numerics_for("portable")
FAST: Any = numerics_for("fast")
B, T, H, KH, DH = 3, 24, 4, 2, 16
MAX_LENGTH = 64


@partial(jax.jit, static_argnames="max_length")
def attend(q: Any, k: Any, v: Any, mask: Any, max_length: int = MAX_LENGTH) -> Any:
    return PORTABLE.attention(q, k, v, mask, 0.25, max_length=max_length)


def causal(length: int = T, batch: int = B) -> Any:
    return np.broadcast_to(np.tril(np.ones((length, length), bool)), (batch, length, length)).copy()


@pytest.fixture(params=[normal, wild], ids=["normal", "wild"])
def qkv(request: pytest.FixtureRequest) -> tuple[Any, Any, Any]:
    draw = request.param
    return normal(1, B, T, H, DH), normal(2, B, T, KH, DH), draw(3, B, T, KH, DH)


def test_later_tokens_change_no_bit(qkv: tuple[Any, Any, Any]) -> None:
    q, k, v = qkv
    before = attend(q, k, v, causal())
    other = [part.copy() for part in (q, k, v)]
    for part in other:
        part[:, 10:] = normal(9, *part[:, 10:].shape) * np.float32(1e6)
    assert bits(attend(*other, causal())[:, :10]) == bits(before[:, :10])


@pytest.mark.parametrize("length", [1, 9, 17])
def test_the_padded_length_changes_no_bit(qkv: tuple[Any, Any, Any], length: int) -> None:
    whole = attend(*qkv, causal())
    short = attend(*(part[:, :length] for part in qkv), causal(length))
    assert bits(short) == bits(whole[:, :length])


def test_a_row_does_not_know_its_batch(qkv: tuple[Any, Any, Any]) -> None:
    whole = attend(*qkv, causal())
    assert bits(attend(*(part[1:2] for part in qkv), causal(batch=1))) == bits(whole[1:2])


def test_neighbours_packed_into_the_row_change_no_bit(qkv: tuple[Any, Any, Any]) -> None:
    """Two segments of one row: the second computes as if it had a row of its own."""
    segments = np.repeat([[0] * 8 + [1] * 16], B, 0)
    mask = causal() & (segments[:, :, None] == segments[:, None, :])
    packed = attend(*qkv, mask)
    alone = attend(*(part[:, 8:] for part in qkv), causal(16))
    assert bits(packed[:, 8:]) == bits(alone)


def test_decoding_token_by_token_gives_the_bits_of_the_whole_row(
    qkv: tuple[Any, Any, Any],
) -> None:
    q, k, v = qkv
    whole = attend(q, k, v, causal())
    cache = [np.zeros((B, MAX_LENGTH, KH, DH), np.float32) for _ in range(2)]
    for t in range(T):
        cache[0][:, t], cache[1][:, t] = k[:, t], v[:, t]
        mask = np.broadcast_to(np.arange(MAX_LENGTH) <= t, (B, 1, MAX_LENGTH))
        assert bits(attend(q[:, t : t + 1], *cache, mask)) == bits(whole[:, t : t + 1])


def test_the_order_of_keys_changes_no_bit(qkv: tuple[Any, Any, Any]) -> None:
    q, k, v = qkv
    order = np.random.default_rng(0).permutation(T)
    whole, g = attend(q, k, v, causal()), normal(5, B, T, H, DH)
    assert bits(attend(q, k[:, order], v[:, order], causal()[:, :, order])) == bits(whole)
    found = _gradients(q, k[:, order], v[:, order], causal()[:, :, order], g)
    dq, dk, dv = _gradients(q, k, v, causal(), g)
    assert bits(found) == bits((dq, dk[:, order], dv[:, order]))


def test_the_order_of_queries_changes_no_bit_of_the_gradients(qkv: tuple[Any, Any, Any]) -> None:
    q, k, v = qkv
    g = normal(5, B, T, H, DH)
    order = np.random.default_rng(0).permutation(T)
    found = _gradients(q[:, order], k, v, causal()[:, order], g[:, order])
    dq, dk, dv = _gradients(q, k, v, causal(), g)
    assert bits(found) == bits((dq[:, order], dk, dv))


def test_the_order_of_entries_of_a_head_changes_no_bit(qkv: tuple[Any, Any, Any]) -> None:
    q, k, v = qkv
    order = np.random.default_rng(0).permutation(DH)
    assert bits(attend(q[..., order], k[..., order], v, causal())) == bits(
        attend(q, k, v, causal())
    )


def test_a_query_that_sees_nothing_gets_zeros_and_gives_no_gradient() -> None:
    mask = causal()
    mask[0, 5] = False
    q, k, v = normal(1, B, T, H, DH), normal(2, B, T, KH, DH), normal(3, B, T, KH, DH)
    assert not np.asarray(attend(q, k, v, mask)[0, 5]).any()
    found = _gradients(q, k, v, mask, normal(5, B, T, H, DH))
    assert all(np.isfinite(part).all() for part in found)
    assert not np.asarray(found[0][0, 5]).any()


def test_values_and_gradients_are_close_to_float64() -> None:
    q, k, v = normal(1, B, T, H, DH), normal(2, B, T, KH, DH), normal(3, B, T, KH, DH)
    g = normal(5, B, T, H, DH)
    wide = [part.astype(np.float64) for part in (q, k, v)]
    expected = jnp.asarray(FAST.attention(*map(jnp.asarray, wide), jnp.asarray(causal()), 0.25))
    assert expected.dtype == jnp.float64
    assert largest_error(attend(q, k, v, causal()), expected) < 6e-7
    found = _gradients(q, k, v, causal(), g)
    reference = gradients(
        lambda q, k, v: FAST.attention(q, k, v, jnp.asarray(causal()), 0.25),
        g.astype(np.float64),
        *wide,
    )
    for part, exact in zip(found, reference, strict=True):
        assert largest_error(part, exact) < 4e-6


def test_values_far_apart_in_size_keep_their_precision() -> None:
    """A grid over all values would lose the small ones; here only visible ones count."""
    q, k, v = normal(1, 1, T, H, DH), normal(2, 1, T, KH, DH), normal(3, 1, T, KH, DH)
    v[:, 12:] *= np.float32(2.0**30)
    exact = FAST.attention(
        *(jnp.asarray(part, jnp.float64) for part in (q, k, v)), jnp.asarray(causal(batch=1)), 0.25
    )
    found = attend(q, k, v, causal(batch=1))
    assert largest_error(found[:, :12], exact[:, :12]) < 6e-7


def test_a_longer_maximum_changes_the_grid_but_hardly_the_result(
    qkv: tuple[Any, Any, Any],
) -> None:
    short, long = attend(*qkv, causal()), attend(*qkv, causal(), max_length=4096)
    assert bits(short) != bits(long)
    assert largest_error(short, long) < 5e-6


@pytest.mark.parametrize("mode", ["fast", "portable"])
@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((1, 5, 3, 4), (1, 5, 2, 4), (1, 5, 2, 4), (1, 5, 5)), "do not fit keys"),
        (((1, 5, 2, 4), (1, 5, 2, 4), (1, 6, 2, 4), (1, 5, 5)), "do not fit keys"),
        (((1, 5, 2, 4), (1, 5, 2, 4), (1, 5, 2, 4), (1, 5, 6)), "Expected a mask"),
        (((1, 9, 2, 4), (1, 9, 2, 4), (1, 9, 2, 4), (1, 9, 9)), "9 keys exceed max_length 8"),
    ],
)
def test_operands_that_do_not_fit_are_refused(mode: str, shapes: Any, message: str) -> None:
    q, k, v = (jnp.zeros(shape, jnp.float32) for shape in shapes[:3])
    with pytest.raises(ValueError, match=message):
        numerics_for(mode).attention(q, k, v, jnp.ones(shapes[3], bool), 1.0, max_length=8)


def _gradients(q: Any, k: Any, v: Any, mask: Any, g: Any) -> Any:
    return _pull(q, k, v, mask, g)


@jax.jit
def _pull(q: Any, k: Any, v: Any, mask: Any, g: Any) -> Any:
    return jax.vjp(lambda q, k, v: attend(q, k, v, mask), q, k, v)[1](g)
