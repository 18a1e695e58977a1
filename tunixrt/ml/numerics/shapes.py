"""Shapes of operands: their checks, and the layouts that products work on.

Wrong shapes are bugs of the caller, reported at trace time.
"""

from __future__ import annotations

from typing import Final, cast

import numpy as np

from tunixrt.ml.xla import Array, jnp, lax

PENALTY: Final = np.float32(2.0**62)
"""Subtracted from a hidden score; visible scores are far smaller."""
LEAST_TOP: Final = np.float32(-(2.0**60))
"""Replaces the largest visible score where none is visible: hidden ones stay far below it."""


def check_attention(q: Array, k: Array, v: Array, mask: Array, max_length: int) -> None:
    """Check that the operands of attention fit each other.

    Raises:
        ValueError: Shapes do not fit, or there are more keys than `max_length`.
    """
    batch, n_queries, n_heads, head_dim = q.shape
    n_keys, n_key_heads = k.shape[1:3]
    expected = (batch, n_keys, n_key_heads, head_dim)
    if k.shape != expected or v.shape != expected or n_heads % n_key_heads:
        raise ValueError(f"Queries {q.shape} do not fit keys {k.shape} and values {v.shape}.")
    if mask.shape != (batch, n_queries, n_keys):
        raise ValueError(f"Expected a mask {(batch, n_queries, n_keys)}, found {mask.shape}.")
    if n_keys > max_length:
        raise ValueError(f"{n_keys} keys exceed max_length {max_length}.")


def heads_first(x: Array, n_key_heads: int) -> Array:
    """Bring [B, T, H, Dh] to [B, Kh, H / Kh * T, Dh]: one matrix for every key head."""
    batch, length, n_heads, head_dim = x.shape
    grouped = x.reshape(batch, length, n_key_heads, n_heads // n_key_heads, head_dim)
    return jnp.transpose(grouped, (0, 2, 3, 1, 4)).reshape(batch, n_key_heads, -1, head_dim)


def heads_last(x: Array, n_queries: int) -> Array:
    """Undo `heads_first`: [B, Kh, H / Kh * T, Dh] to [B, T, H, Dh]."""
    batch, n_key_heads, _, head_dim = x.shape
    grouped = x.reshape(batch, n_key_heads, -1, n_queries, head_dim)
    return jnp.transpose(grouped, (0, 3, 1, 2, 4)).reshape(batch, n_queries, -1, head_dim)


def penalty_of(mask: Array, group: int) -> Array:
    """Compute what to subtract from the scores of a group of heads: 0, or `PENALTY` if hidden.

    XLA:CPU computes a square root once and stores it, since it rates it as expensive. The
    comparisons of a mask would be recomputed for every entry in each loop that reads it, which took
    more time than the rest of those loops.

    Args:
        mask: [B, T, S] bool.
        group: query heads of a key head.

    Returns:
        [B, 1, group * T, S] float32.
    """
    batch, n_queries, n_keys = mask.shape
    penalty = jnp.sqrt(jnp.where(mask, np.float32(0), PENALTY * PENALTY))
    repeated = jnp.broadcast_to(penalty[:, None, None], (batch, 1, group, n_queries, n_keys))
    return repeated.reshape(batch, 1, group * n_queries, n_keys)


def rotation_terms(x: Array, cos: Array, sin: Array) -> tuple[Array, Array, Array]:
    """Prepare a rotation `c * halves + s * swapped` without slices, which are slow in XLA:CPU.

    Args:
        x: [B, T, H, Dh]; entry j of a head is paired with entry j + Dh / 2.
        cos: [B, T, Dh / 2].
        sin: [B, T, Dh / 2].

    Returns:
        c [B, T, 1, 1, Dh / 2], s [B, T, 1, 2, Dh / 2] (negative for the first half), and x with
        its halves swapped, [B, T, H, 2, Dh / 2].
    """
    halves = x.reshape(*x.shape[:-1], 2, x.shape[-1] // 2)
    signed = jnp.stack((-sin, sin), axis=-2)
    return cos[:, :, None, None, :], signed[:, :, None], jnp.flip(halves, axis=-2)


def product_of_columns(x: Array, y: Array) -> Array:
    """Multiply `x` [..., N, K] with `y` [..., N, M] into [..., K, M], contracting over N.

    XLA:CPU takes up to 1.7 times as long for that as for transposing the narrower operand first,
    but by default it folds the transposition into the product. Transposing a wide operand costs
    more than it saves.
    """
    if x.shape[-1] <= y.shape[-1]:
        return jnp.matmul(_kept_apart(jnp.swapaxes(x, -1, -2)), y)
    if x.ndim > 2:
        product = jnp.matmul(_kept_apart(jnp.swapaxes(y, -1, -2)), x)
        return jnp.swapaxes(_kept_apart(product), -1, -2)
    return lax.dot_general(x, y, (((0,), (0,)), ((), ())))


def _kept_apart(x: Array) -> Array:
    """Keep a transposition out of the product before or after it."""
    return cast("Array", lax.optimization_barrier(x))  # type: ignore[no-untyped-call]
