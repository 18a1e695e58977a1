"""Keys and values of earlier tokens, laid out as attention reads them when a token is decoded.

A slot holds one token. Keys have the slots as last axis and values have them before the head, so
that both products are of row-major matrices, one per key head, without a transposition: XLA:CPU
copies a transposed operand, which took more time than the products.
"""

from __future__ import annotations

from typing import NamedTuple

from tunixrt.ml.xla import Array, jnp, lax


class Slots(NamedTuple):
    """S slots of a layer; the mask must hide unused slots."""

    keys: Array  # [B, Kh, Dh, S] float32, or float64 on a grid
    values: Array  # [B, Kh, S, Dh], likewise
    bounds: Array  # [B, Kh, S, 1] float64, of the values on a grid; empty without grids


def keys_to_slots(k: Array) -> Array:
    """Bring [B, T, Kh, Dh] to [B, Kh, Dh, T]."""
    return jnp.transpose(k, (0, 2, 3, 1))


def values_to_slots(v: Array) -> Array:
    """Bring [B, T, Kh, Dh] to [B, Kh, T, Dh]."""
    return jnp.transpose(v, (0, 2, 1, 3))


def with_room(new: Slots, n_slots: int) -> Slots:
    """The same slots followed by unused ones: S is ``n_slots``."""
    return Slots(
        _lengthened(new.keys, n_slots, 3),
        _lengthened(new.values, n_slots, 2),
        _lengthened(new.bounds, n_slots, 2, filling=1),
    )


def put(slots: Slots, new: Slots, start: Array) -> Slots:
    """Overwrite the slots from ``start`` (scalar int32) on with new ones, the same in every row."""
    return Slots(
        lax.dynamic_update_slice_in_dim(slots.keys, new.keys, start, 3),
        lax.dynamic_update_slice_in_dim(slots.values, new.values, start, 2),
        lax.dynamic_update_slice_in_dim(slots.bounds, new.bounds, start, 2),
    )


def _lengthened(array: Array, length: int, axis: int, filling: int = 0) -> Array:
    widths = [(0, 0)] * array.ndim
    widths[axis] = (0, length - array.shape[axis])
    return jnp.pad(array, widths, constant_values=filling)
