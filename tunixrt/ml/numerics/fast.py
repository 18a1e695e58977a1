"""Plain float32: fast, with the same bits only within a numeric class."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from tunixrt.ml.environment import FAST
from tunixrt.ml.numerics.protocol import DEFAULT_MAX_LENGTH
from tunixrt.ml.numerics.shapes import (
    LEAST_TOP,
    check_attention,
    heads_first,
    heads_last,
    penalty_of,
    product_of_columns,
    rotation_terms,
)
from tunixrt.ml.numerics.slots import Slots, keys_to_slots, values_to_slots
from tunixrt.ml.xla import Array, jax, jnp

_ONE: Final = np.float32(1)
_GELU_SCALE: Final = np.float32(2 * 0.7978845608028654)
"""2 * sqrt(2 / pi)"""
_GELU_CUBIC: Final = np.float32(2 * 0.7978845608028654 * 0.044715)


@jax.custom_vjp
def _product(x: Array, w: Array) -> Array:
    """Multiply [N, K] by [K, M]."""
    return jnp.matmul(x, w)


def _product_forward(x: Array, w: Array) -> tuple[Array, tuple[Array, Array]]:
    return jnp.matmul(x, w), (x, w)


def _product_backward(operands: tuple[Array, Array], gradient: Array) -> tuple[Array, Array]:
    """Give both gradients in the layout of their operands.

    jax's own rule computes the second one transposed, which XLA:CPU does four times slower.
    """
    x, w = operands
    dx = jax.lax.dot_general(gradient, w, (((1,), (1,)), ((), ())))
    return dx, product_of_columns(x, gradient)


_product.defvjp(_product_forward, _product_backward)


@jax.custom_vjp
def _attend(q: Array, k: Array, v: Array, penalty: Array) -> Array:
    """Attend with `q` [b, k, m, d] to `k`, `v` [b, k, s, d], less `penalty` [b, 1, m, s]."""
    return _attend_forward(q, k, v, penalty)[0]


def _softmax_terms(scores: Array, penalty: Array) -> tuple[Array, Array]:
    """Exponentials of scores [..., s] below the largest, 0 where hidden, and their inverse sum."""
    shown = scores - penalty
    top = jnp.maximum(jnp.max(shown, axis=-1, keepdims=True), LEAST_TOP)
    weights = jnp.exp(shown - top)
    total = jnp.sum(weights, axis=-1, keepdims=True)
    return weights, _ONE / jnp.where(total > 0, total, _ONE)


def _attend_forward(
    q: Array, k: Array, v: Array, penalty: Array
) -> tuple[Array, tuple[Array, ...]]:
    weights, inverse = _softmax_terms(jnp.matmul(q, jnp.swapaxes(k, 2, 3)), penalty)
    out = jnp.matmul(weights, v) * inverse
    return out, (q, k, v, weights, inverse, out)


def _attend_backward(saved: tuple[Array, ...], gradient: Array) -> tuple[Array, Array, Array, None]:
    """Differentiate by hand, as `attention` of the portable mode does, which has the formulas."""
    q, k, v, weights, inverse, out = saved
    a = gradient * inverse
    d_v = product_of_columns(weights, a)
    mean = jnp.sum(a * out, axis=-1, keepdims=True)
    d_scores = weights * (jnp.matmul(a, jnp.swapaxes(v, 2, 3)) - mean)
    return jnp.matmul(d_scores, k), product_of_columns(d_scores, q), d_v, None


_attend.defvjp(_attend_forward, _attend_backward)


@jax.custom_vjp
def _gelu(x: Array) -> Array:
    return x * jax.nn.sigmoid(x * (_GELU_SCALE + _GELU_CUBIC * (x * x)))


def _gelu_forward(x: Array) -> tuple[Array, tuple[Array, Array]]:
    gate = jax.nn.sigmoid(x * (_GELU_SCALE + _GELU_CUBIC * (x * x)))
    return x * gate, (x, gate)


def _gelu_backward(saved: tuple[Array, Array], gradient: Array) -> tuple[Array]:
    x, gate = saved
    slope_inside = _GELU_SCALE + 3 * _GELU_CUBIC * (x * x)
    return (gradient * (gate + x * (gate * (_ONE - gate)) * slope_inside),)


_gelu.defvjp(_gelu_forward, _gelu_backward)


class FastNumerics:
    """The operations of `Numerics` in plain `jax.numpy`."""

    mode = FAST

    def linear(self, x: Array, w: Array) -> Array:
        """Multiply by a matrix."""
        rows = x.reshape(-1, x.shape[-1])
        return _product(rows, w).reshape(*x.shape[:-1], w.shape[1])

    def logits(self, x: Array, table: Array) -> Array:
        """Multiply by the transposed embedding table."""
        return self.linear(x, table.T)

    def embed(self, table: Array, ids: Array) -> Array:
        """Take rows of a table."""
        rows: Array = jnp.take(table, ids, axis=0, mode="clip")
        return rows

    def rms_norm(self, x: Array, scale: Array, eps: float) -> Array:
        """Normalise by the root of the mean square."""
        mean_square = jnp.mean(jnp.square(x), axis=-1, keepdims=True)
        return x * self.inverse_sqrt(mean_square + np.float32(eps)) * (_ONE + scale)

    def rotate(self, x: Array, cos: Array, sin: Array) -> Array:
        """Apply rotary position embeddings."""
        c, s, swapped = rotation_terms(x, cos, sin)
        return (x.reshape(swapped.shape) * c + swapped * s).reshape(x.shape)

    def attention(
        self,
        q: Array,
        k: Array,
        v: Array,
        mask: Array,
        scale: float,
        *,
        max_length: int = DEFAULT_MAX_LENGTH,
    ) -> Array:
        """Attend with softmax over the visible keys."""
        check_attention(q, k, v, mask, max_length)
        n_key_heads = k.shape[2]
        out = _attend(
            heads_first(q * np.float32(scale), n_key_heads),
            heads_first(k, n_key_heads),
            heads_first(v, n_key_heads),
            penalty_of(mask, q.shape[2] // n_key_heads),
        )
        return heads_last(out, q.shape[1])

    def slots(
        self,
        k: Array,
        v: Array,
        *,
        max_length: int = DEFAULT_MAX_LENGTH,  # noqa: ARG002  # no grids here
    ) -> Slots:
        """Lay out keys and values."""
        no_bounds = jnp.zeros((k.shape[0], 0, k.shape[1], 1), jnp.float32)
        return Slots(keys_to_slots(k), values_to_slots(v), no_bounds)

    def attend_to_slots(
        self,
        q: Array,
        slots: Slots,
        mask: Array,
        scale: float,
        *,
        max_length: int = DEFAULT_MAX_LENGTH,  # noqa: ARG002
    ) -> Array:
        """Attend with softmax over the visible slots."""
        n_key_heads = slots.keys.shape[1]
        queries = heads_first(q * np.float32(scale), n_key_heads)
        penalty = penalty_of(mask, q.shape[2] // n_key_heads)
        weights, inverse = _softmax_terms(jnp.matmul(queries, slots.keys), penalty)
        return heads_last(jnp.matmul(weights, slots.values) * inverse, q.shape[1])

    def cross_entropy(self, logits: Array, targets: Array, weights: Array) -> Array:
        """Sum the weighted negative log-likelihoods."""
        top = jax.lax.stop_gradient(jnp.max(logits, axis=-1, keepdims=True))
        shifted = logits - top
        log_total = jnp.log(jnp.sum(jnp.exp(shifted), axis=-1))
        chosen = jnp.take_along_axis(shifted, targets[:, None], axis=-1, mode="clip")[:, 0]
        return jnp.sum(weights * (log_total - chosen))

    def global_norm(self, tree: Any) -> Array:
        """Compute the norm over all leaves."""
        squares = [jnp.sum(jnp.square(leaf)) for leaf in jax.tree.leaves(tree)]
        total: Array = sum(squares, jnp.zeros((), jnp.float32))
        return jnp.sqrt(total)

    def inverse_sqrt(self, x: Array) -> Array:
        """Compute one over the square root."""
        return _ONE / jnp.sqrt(x)

    def gelu(self, x: Array) -> Array:
        """Compute the tanh approximation of GELU."""
        return _gelu(x)

    def silu(self, x: Array) -> Array:
        """Compute x times its logistic function."""
        return jax.nn.silu(x)

    def multiply(self, a: Array, b: Array) -> Array:
        """Multiply elementwise."""
        return a * b

    def multiply_add(self, a: Array, b: Array, c: Array) -> Array:
        """Multiply and add elementwise."""
        return a * b + c

    def weighted_sum(self, a: Array, x: Array, b: Array, y: Array) -> Array:
        """Add two products elementwise."""
        return a * x + b * y

    def exp(self, x: Array) -> Array:
        """Compute the exponential function."""
        return jnp.exp(x)

    def running_sum(self, x: Array) -> Array:
        """Add up along the last axis."""
        return jnp.cumsum(x, axis=-1)
