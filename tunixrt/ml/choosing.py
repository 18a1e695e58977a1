"""Choosing the next token from logits: greedily, or by sampling with temperature and top-p.

A draw takes one uniform number u, from threefry (Salmon et al. 2011) with the row's 64-bit key and
the token's index as the counter, so it depends on no other row and on no earlier draw. With the
tokens in descending order of probability (nucleus sampling), the draw inverts the cumulative sum of
their weights exp((logit - largest) / temperature): it takes the first token whose cumulative weight
exceeds u times the weight of the nucleus. The cumulative sum is exact in portable mode
(`Numerics.running_sum`), and sorting does no arithmetic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tunixrt.ml.xla import Array, jax, jnp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tunixrt.ml.numerics import Numerics
    from tunixrt.runs.sampling import Sampling


def draw_keys(draws: Sequence[int]) -> NDArray[np.uint32]:
    """64-bit integers as keys of threefry, [B, 2]: the high half, then the low one.

    Raises:
        ValueError: one is negative or has more than 64 bits.
    """
    for draw in draws:
        if not 0 <= draw < 1 << 64:
            raise ValueError(f"A draw is an integer of 64 bits, found {draw}.")
    words = [(draw >> 32, draw & 0xFFFFFFFF) for draw in draws]
    return np.asarray(words, np.uint32).reshape(-1, 2)


def choose(
    logits: Array, keys: Array, index: Array, sampling: Sampling, numerics: Numerics
) -> Array:
    """The next token of every row.

    Args:
        logits: [B, V] float32.
        keys: [B, 2] uint32, see `draw_keys`; ignored when greedy.
        index: scalar int32, how many tokens were generated before.
        sampling: how to choose.
        numerics: the arithmetic.

    Returns:
        [B] int32.
    """
    if sampling.is_greedy:
        return jnp.argmax(logits, axis=-1).astype(jnp.int32)
    largest = jnp.max(logits, axis=-1, keepdims=True)
    inverse = jnp.float32(np.float32(1) / np.float32(sampling.temperature))
    weights = numerics.exp(numerics.multiply(logits - largest, inverse))
    # Descending order of probability: a stable sort of the negatives, ties by token id.
    negative, tokens = jax.lax.sort_key_val(
        -weights, jax.lax.broadcasted_iota(jnp.int32, weights.shape, 1)
    )
    sums = numerics.running_sum(-negative)
    before = jnp.pad(sums[:, :-1], ((0, 0), (1, 0)))
    kept = before < sums.dtype.type(sampling.top_p) * sums[:, -1:]
    width = jnp.max(jnp.where(kept, sums, 0), axis=-1, keepdims=True)
    place = jnp.sum(
        sums <= uniform(keys, index, sums.dtype)[:, None] * width, axis=-1, dtype=jnp.int32
    )
    return jnp.take_along_axis(tokens, place[:, None], axis=-1)[:, 0]


def uniform(keys: Array, index: Array, dtype: np.dtype[np.floating]) -> Array:
    """Draw one number from [0, 1) for every row, a multiple of 2**-24.

    Args:
        keys: [B, 2] uint32.
        index: scalar int32; threefry's counter is (0, index), and the first 24 of its 64 output
            bits are used.
        dtype: of the result, a float.

    Returns:
        [B].
    """

    def word(key: Array) -> Array:
        folded = jax.random.fold_in(jax.random.wrap_key_data(key, impl="threefry2x32"), index)
        return jax.random.key_data(folded)[0]

    return (jax.vmap(word)(keys) >> 8).astype(dtype) * dtype.type(2.0**-24)
