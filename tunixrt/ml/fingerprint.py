"""A fingerprint of the weights: 32 bits that locate the step after which two trainings diverge.

Loss and gradient norm of a step are of the weights before its update, so they show a different
update one step late or not at all. The fingerprint is of the weights after the update.

It is the sum, modulo 2**32, of a mix of the bits of every entry with its position. Integers are
added exactly, so neither their order nor threads nor vector width matter. The mix is the finaliser
of MurmurHash3 (Austin Appleby, public domain), which is a bijection: a change of one entry always
changes the fingerprint. Swapped entries, or changes of several entries, are missed with a
probability of 2**-32. It is not a cryptographic digest: weights with a given fingerprint can be
constructed. docs/format.md specifies it.
"""

from __future__ import annotations

from typing import Any, Final

from tunixrt.ml.weights import tensors_of
from tunixrt.ml.xla import Array, jnp, lax

_POSITION_FACTOR: Final = 0x9E3779B9
"""2**32 over the golden ratio, odd: neighbouring positions contribute unlike bits."""

_ROW: Final = 1024
"""Entries per row of the layout. No bit depends on it."""


def fingerprint(params: Any) -> Array:
    """The fingerprint of a decoder's params, a uint32 scalar; inside of jit or outside.

    The entries are concatenated first: that is a copy, but XLA compiles one loop instead of
    several per tensor, which would take a third of the compile time of a small model.

    Args:
        params: the ``nnx.Param`` part of its state, float32. Positions count through all tensors
            in the order of their names, each as ``model.safetensors`` holds it.
    """
    tensors = tensors_of(params, jnp.asarray).values()
    bits = jnp.concatenate([lax.bitcast_convert_type(t, jnp.uint32).reshape(-1) for t in tensors])
    n_in_rows = bits.size - bits.size % _ROW
    rows, rest = bits[:n_in_rows].reshape(-1, _ROW), bits[n_in_rows:].reshape(1, -1)
    return _sum_of_mixed(rows, 0) + _sum_of_mixed(rest, n_in_rows)


def _sum_of_mixed(bits: Array, n_before: int) -> Array:
    """The sum of the mixed entries of uint32 [n_rows, row]; the first has the position n_before.

    A position is added in two parts, row and column, so that the constants which the compiler
    keeps for all steps are two vectors and not an array of the size of the weights.
    """
    n_rows, row = bits.shape
    first_of_row = lax.iota(jnp.uint32, n_rows) * _u32(row) + _u32(n_before)
    x = bits + (first_of_row * _u32(_POSITION_FACTOR))[:, None]
    x += (lax.iota(jnp.uint32, row) * _u32(_POSITION_FACTOR))[None, :]
    x = (x ^ (x >> _u32(16))) * _u32(0x85EBCA6B)
    x = (x ^ (x >> _u32(13))) * _u32(0xC2B2AE35)
    total: Array = jnp.sum(x ^ (x >> _u32(16)), dtype=jnp.uint32)
    return total


def _u32(value: int) -> Array:
    return jnp.asarray(value % 2**32, jnp.uint32)
