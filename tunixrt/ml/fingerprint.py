"""A fingerprint of the weights: 32 bits that say after which step two trainings part.

Loss and gradient norm of a step are of the weights before its update, so they show an update that
went another way one step late, and some never. The fingerprint is of the weights after it.

It is the sum, modulo 2**32, of a mix of the bits of every entry with its position. Integers are
added exactly, so the order does not matter, nor do threads and vectors. The mix is the finaliser
of MurmurHash3 (Austin Appleby, public domain), which is one to one: a change of one entry, by one
bit or by many, always changes the fingerprint. Entries that change places and changes of several
entries at once go unseen with a probability of 2**-32, like any other accident. It is no digest:
whoever wants to can make weights of a given fingerprint. docs/format.md has the same in words.
"""

from __future__ import annotations

from typing import Any, Final

import jax.numpy as jnp
from jax import Array, lax

from tunixrt.ml.weights import tensors_of

_POSITION_FACTOR: Final = 0x9E3779B9
"""2**32 over the golden ratio, odd: neighbouring positions are mixed in with unlike bits."""

_ROW: Final = 1024
"""Entries that are laid out in a row. No bit depends on it."""


def fingerprint(params: Any) -> Array:
    """The fingerprint of a decoder's params, a uint32 scalar; inside of jit or outside.

    The entries are laid out one after the other first: that is a copy, but one loop for XLA to
    compile instead of several for each tensor, which would be a third of the time that compiling
    a small model takes.

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
    """The sum of the mixed entries of uint32 [n_rows, row], of which the first is at n_before.

    A position is added in two parts, those of row and column: what the compiler may compute once
    and keep for every step is then a few numbers, and not an array as big as the weights.
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
