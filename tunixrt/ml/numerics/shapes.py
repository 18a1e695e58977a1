"""Shapes of operands: what is accepted, and the arrangement that products work on.

Wrong shapes are bugs of the caller, told at trace time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp

if TYPE_CHECKING:
    from jax import Array


def check_attention(q: Array, k: Array, v: Array, mask: Array, max_length: int) -> None:
    """Check the operands of attention against each other.

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


def mask_of_group(mask: Array, group: int) -> Array:
    """Repeat a mask [B, T, S] for the query heads of a key head: [B, 1, group * T, S]."""
    batch, n_queries, n_keys = mask.shape
    repeated = jnp.broadcast_to(mask[:, None, None], (batch, 1, group, n_queries, n_keys))
    return repeated.reshape(batch, 1, group * n_queries, n_keys)


def rotation_terms(x: Array, cos: Array, sin: Array) -> tuple[Array, Array, Array]:
    """Prepare a rotation `c * halves + s * swapped` without slices, which XLA:CPU is slow at.

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
