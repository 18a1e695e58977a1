"""Exact attention: the bits of an output depend only on what its query may see.

Shapes inside: `bkms` with b the batch, k the key head, m = (g, t) the query heads of its group and
the queries, s the keys; d is an entry of a head.

*Scores* are exact dot products over Dh, with a bound for every query and one for every key.

*Weights* are w = exp(score - largest visible score), between 0 and 1, 0 where hidden. Their sum has
a static grid, `bits_for_sum(max_length)` bits below 1. Its inverse is multiplied with after the
product with the values.

*Values.* `sum(w[m, s] * v[s])` has the keys as contracted axis. A grid over all values would
depend on values that the query may not see. So every value row has a bound of its own, V[s], and
the weight takes the inverse: with E[m] the largest V[s] among the keys that m sees,

    unit_v[s] = V[s] * 2**-q_v          unit_w[m, s] = E[m] / V[s] * 2**-q_w

whose product E[m] * 2**-(q_w + q_v) is the same for every s. A visible product is at most
w * V[s] <= E[m]; a hidden weight is exactly 0 on any grid. q_w + q_v is bits_for_sum(max_length), a
constant of the configuration, so neither the padded length nor later tokens nor neighbours packed
into the same row have any influence. The error of an output entry is at most
`S * E[m] * (2**-(q_w + 1) + 2**-(q_v + 1) + 2**-(q_w + q_v + 2))` over the sum of the weights.

*Backward* (dO the gradient, n the sum of the weights, o the output):

    a[m] = dO[m] / n[m]                     dV[s] = sum_m w[m, s] a[m]
    dP[m, s] = a[m] . v[s]                  D[m] = a[m] . o[m]
    dS[m, s] = w[m, s] (dP[m, s] - D[m])    dQ[m] = sum_s dS[m, s] k[s]
                                            dK[s] = sum_m dS[m, s] q[m]

All contractions are exact in the same way. dS is not searched for its largest entry: by Cauchy and
Schwarz |dS[m, s]| <= |a[m]| max_s |v[s]| + |D[m]|. The Euclidean norms are exact sums of squares
too, and a margin of 2**-10 leaves room for all roundings. The rows of dS have these
bounds, and the rows of q take the inverse units.
"""

from __future__ import annotations

from functools import partial
from typing import Final

import numpy as np

from tunixrt.ml.numerics.elementwise import multiply
from tunixrt.ml.numerics.grids import (
    SMALLEST_BOUND,
    bits_for_sum,
    bound_over,
    inverse_of_power,
    max_last,
    power_above,
    round_in_units,
    round_to,
    sum_last,
)
from tunixrt.ml.numerics.pins import pin
from tunixrt.ml.numerics.shapes import (
    LEAST_TOP,
    check_attention,
    heads_first,
    heads_last,
    penalty_of,
    product_of_columns,
)
from tunixrt.ml.numerics.slots import Slots, keys_to_slots, values_to_slots
from tunixrt.ml.numerics.transcendental import exp
from tunixrt.ml.xla import Array, jax, jnp, lax

_MARGIN: Final = np.float64(1 + 2.0**-10)


def _scale(bits: int) -> np.float64:
    return np.float64(2.0**-bits)


def _batched(left: Array, right: Array, contracted: tuple[int, int]) -> Array:
    """Multiply matrices [b, k, ., .] with each other; both operands must be on fitting grids."""
    dimensions = (((contracted[0],), (contracted[1],)), ((0, 1), (0, 1)))
    return lax.dot_general(left, right, dimensions)


def _dot_rows(x: Array, y: Array, bound: Array) -> Array:
    """Multiply rows of float32 with each other; no product of two entries exceeds the bound."""
    products = x.astype(jnp.float64) * y.astype(jnp.float64)
    return sum_last(round_to(products, bound * _scale(bits_for_sum(x.shape[-1]))))


def _queries_on_grid(q: Array) -> Array:
    return round_to(q, bound_over(q) * _scale(bits_for_sum(q.shape[-1]) // 2))


def _keys_on_grid(k: Array) -> Array:
    n_bits = bits_for_sum(k.shape[-1])
    return round_to(k, bound_over(k) * _scale(n_bits - n_bits // 2))


def _values_on_grid(v: Array, max_length: int) -> tuple[Array, Array]:
    """Round values; and their bounds, which the weights need too."""
    bound = bound_over(v)
    return round_to(v, bound * _scale(bits_for_sum(max_length) // 2)), bound


def _mix(
    scores: Array, penalty: Array, values: Array, bound: Array, max_length: int
) -> tuple[Array, Array, Array]:
    """Average values on their grid; the weights before the division too, and their inverse sum."""
    shown = scores - penalty
    weights = exp(shown - jnp.maximum(max_last(shown), LEAST_TOP))
    n_bits = bits_for_sum(max_length)
    total = sum_last(round_to(weights, _scale(n_bits))).astype(jnp.float32)
    inverse = np.float32(1) / jnp.where(total > 0, total, np.float32(1))

    across = jnp.swapaxes(bound, 2, 3)
    seen = max_last(jnp.where(penalty > 0, SMALLEST_BOUND, across)) * _scale(n_bits - n_bits // 2)
    on_grid = round_in_units(
        weights, inverse_of_power(seen) * across, seen * inverse_of_power(across)
    )
    return pin(_batched(on_grid, values, (3, 2)).astype(jnp.float32) * inverse), weights, inverse


@partial(jax.custom_vjp, nondiff_argnums=(4,))
def _attend(q: Array, k: Array, v: Array, penalty: Array, max_length: int) -> Array:
    """Attend with `q` [b, k, m, d] to `k`, `v` [b, k, s, d] less `penalty` [b, 1, m, s]."""
    return _attend_forward(q, k, v, penalty, max_length)[0]


def _attend_forward(
    q: Array, k: Array, v: Array, penalty: Array, max_length: int
) -> tuple[Array, tuple[Array, ...]]:
    scores = _batched(_queries_on_grid(q), _keys_on_grid(k), (3, 3)).astype(jnp.float32)
    values, bound = _values_on_grid(v, max_length)
    out, weights, inverse = _mix(scores, penalty, values, bound, max_length)
    return out, (q, k, v, values, weights, inverse, out)


def _attend_backward(
    max_length: int, saved: tuple[Array, ...], gradient: Array
) -> tuple[Array, Array, Array, None]:
    q, k, v, values, weights, inverse, out = saved
    over_d, over_s, over_m = (bits_for_sum(n) for n in (q.shape[3], k.shape[2], q.shape[2]))
    a = pin(gradient * inverse)
    a_bound, v_bound = bound_over(a), jnp.max(bound_over(v), axis=2, keepdims=True)

    a_bits = min(over_d - bits_for_sum(max_length) // 2, over_m // 2)
    a_unit = a_bound * _scale(a_bits)
    rows = round_to(a, a_unit)
    w_unit = jnp.max(a_bound, axis=2, keepdims=True) * _scale(over_m) / a_unit
    d_v = product_of_columns(round_to(weights, w_unit), rows)

    d_weights = _batched(rows, values, (3, 3)).astype(jnp.float32)
    mean = _dot_rows(a, out, a_bound * v_bound).astype(jnp.float32)
    d_scores = weights * (d_weights - mean)

    longest = jnp.max(_dot_rows(v, v, v_bound * v_bound), axis=2, keepdims=True)
    reach = jnp.sqrt(_dot_rows(a, a, a_bound * a_bound) * longest)
    bound = power_above((reach + jnp.abs(mean.astype(jnp.float64))) * _MARGIN)
    s_bits = min(over_s, over_m) // 2 + 1
    unit = bound * _scale(s_bits)
    on_grid = round_to(d_scores, unit)
    k_bound = jnp.max(bound_over(k), axis=2, keepdims=True)
    d_q = _batched(on_grid, round_to(k, k_bound * _scale(over_s - s_bits)), (3, 2))
    largest = jnp.max(bound * bound_over(q), axis=2, keepdims=True)
    d_k = product_of_columns(on_grid, round_to(q, largest * _scale(over_m) / unit))
    return (d_q.astype(jnp.float32), d_k.astype(jnp.float32), d_v.astype(jnp.float32), None)


_attend.defvjp(_attend_forward, _attend_backward)


def attention(q: Array, k: Array, v: Array, mask: Array, scale: float, *, max_length: int) -> Array:
    """Attend with `q` [B, T, H, Dh] to `k`, `v` [B, S, Kh, Dh] through `mask` [B, T, S]."""
    check_attention(q, k, v, mask, max_length)
    n_key_heads = k.shape[2]
    out = _attend(
        heads_first(multiply(q, jnp.float32(scale)), n_key_heads),
        heads_first(k, n_key_heads),
        heads_first(v, n_key_heads),
        penalty_of(mask, q.shape[2] // n_key_heads),
        max_length,
    )
    return heads_last(out, q.shape[1])


def slots(k: Array, v: Array, max_length: int) -> Slots:
    """Lay out `k` and `v` [B, T, Kh, Dh], rounded once: each row has its own grid."""
    values, bounds = _values_on_grid(values_to_slots(v), max_length)
    return Slots(keys_to_slots(_keys_on_grid(k)), values, bounds)


def attend_to_slots(
    q: Array, filled: Slots, mask: Array, scale: float, *, max_length: int
) -> Array:
    """Attend with `q` [B, T, H, Dh] to slots through `mask` [B, T, S], to the bits of `attention`.

    Not differentiable: training runs whole rows.
    """
    n_key_heads = filled.keys.shape[1]
    queries = _queries_on_grid(heads_first(multiply(q, jnp.float32(scale)), n_key_heads))
    scores = _batched(queries, filled.keys, (3, 2)).astype(jnp.float32)
    penalty = penalty_of(mask, q.shape[2] // n_key_heads)
    out, _, _ = _mix(scores, penalty, filled.values, filled.bounds, max_length)
    return heads_last(out, q.shape[1])
