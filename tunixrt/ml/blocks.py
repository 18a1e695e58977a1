"""Block attention: each block of queries attends to the span of keys that it may see.

In a row, the tokens of a segment are adjacent and in the order of their positions. So a query sees
no later place, and with a sliding window none further back than the window. For long rows a span
covers half of all pairs, or much less with a window, and the operands of a block stay in the
caches. In portable mode a hidden key does not affect the bits, so skipping it changes none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from tunixrt.ml.xla import Array, jnp

if TYPE_CHECKING:
    from tunixrt.ml.numerics import Numerics

_BLOCK: Final = 128
"""Queries per block. Shorter blocks skip more pairs, but each block makes the program longer."""


class Span(NamedTuple):
    """The queries of a block, and the keys that they may see: places in the row."""

    queries: slice
    keys: slice


def spans(length: int, window: int | None) -> list[Span]:
    """Cut a row of ``length`` places into blocks.

    Args:
        length: of the row.
        window: how far back a query sees, itself included; None for no limit.
    """
    return [
        Span(
            slice(start, min(start + _BLOCK, length)),
            slice(_first_key(start, window), min(start + _BLOCK, length)),
        )
        for start in range(0, length, _BLOCK)
    ]


def attention_in_blocks(
    numerics: Numerics,
    q: Array,
    k: Array,
    v: Array,
    mask: Array,
    *,
    scale: float,
    window: int | None,
    max_length: int,
) -> Array:
    """Attend as `Numerics.attention` does, within a row: q [B, T, H, Dh], k and v [B, T, Kh, Dh].

    ``mask`` [B, T, T] must hide what `spans` leaves out from every token that is not padding.
    """
    blocks = [
        numerics.attention(
            q[:, queries],
            k[:, keys],
            v[:, keys],
            mask[:, queries, keys],
            scale,
            max_length=max_length,
        )
        for queries, keys in spans(q.shape[1], window)
    ]
    return blocks[0] if len(blocks) == 1 else jnp.concatenate(blocks, axis=1)


def _first_key(start: int, window: int | None) -> int:
    return 0 if window is None else max(0, start - window + 1) // _BLOCK * _BLOCK
