"""Muon: the momentum of a matrix, made nearly orthogonal, is its update (Jordan 2024).

Every hidden matrix is updated by it; embeddings and norm scales by AdamW, as Jordan's own training
does (https://kellerjordan.github.io/posts/muon). Defaults are those of `optax.contrib.muon` (a test
compares the two): Nesterov momentum with bias correction, five quintic Newton-Schulz steps, and
updates scaled by sqrt(max(1, outputs / inputs)).

Norms and products go through `Numerics`, and what depends on the step's number comes from
`tunixrt.ml.tables`, so in portable mode the bits are the same everywhere.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from tunixrt.ml.xla import Array, jax, jnp, lax, optax

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunixrt.ml.numerics import Numerics
    from tunixrt.ml.optimizer import AdamState, StepScalars

_COEFFICIENTS: Final = (np.float32(3.4445), np.float32(-4.7750), np.float32(2.0315))
_N_ITERATIONS: Final = 5
_EPS: Final = np.float32(1e-8)


class MuonState(NamedTuple):
    """The momentum of each hidden matrix, in their order, and AdamW's means of the rest."""

    momentum: list[Array]
    rest: AdamState


def muon(
    numerics: Numerics,
    *,
    momentum: float,
    weight_decay: float,
    rest: optax.GradientTransformationExtraArgs,
) -> optax.GradientTransformationExtraArgs:
    """Muon for hidden matrices as an optax transformation.

    Its ``update`` takes ``scalars``, the `StepScalars` of the step, with the weights of momentum
    and gradient.

    Args:
        numerics: the arithmetic.
        momentum: how much of the momentum a step keeps.
        weight_decay: decoupled decay of the hidden matrices.
        rest: the optimiser of all other parameters, see `tunixrt.ml.optimizer.adamw`.
    """

    def init(params: Any) -> MuonState:
        hidden, others = _split(params, params)
        return MuonState([jnp.zeros_like(matrix) for matrix in hidden], rest.init(others))

    def update(
        updates: Any, state: Any, params: Any = None, *, scalars: StepScalars, **_: Any
    ) -> tuple[Any, MuonState]:
        gradients, other_gradients = _split(params, updates)
        matrices, others = _split(params, params)
        means = [
            numerics.weighted_sum(jnp.float32(momentum), mean, jnp.float32(1 - momentum), gradient)
            for mean, gradient in zip(state.momentum, gradients, strict=True)
        ]
        ahead = [
            numerics.weighted_sum(scalars.momentum, mean, scalars.gradient, gradient)
            for mean, gradient in zip(means, gradients, strict=True)
        ]

        def change_of(orthogonal: Array, matrix: Array) -> Array:
            n_inputs, n_outputs = matrix.shape
            scale = np.float32(math.sqrt(max(1.0, n_outputs / n_inputs)))
            change = numerics.multiply(jnp.asarray(scale), orthogonal)
            if weight_decay:
                change = numerics.multiply_add(jnp.float32(weight_decay), matrix, change)
            return numerics.multiply(-scalars.learning_rate, change)

        orthogonal = orthogonalised(numerics, ahead)
        changes = [change_of(one, matrix) for one, matrix in zip(orthogonal, matrices, strict=True)]
        other_changes, rest_state = rest.update(
            other_gradients, state.rest, others, scalars=scalars
        )
        return _join(params, changes, other_changes), MuonState(means, rest_state)

    return optax.GradientTransformationExtraArgs(init, update)


def orthogonalised(numerics: Numerics, matrices: Sequence[Array]) -> list[Array]:
    """The matrices with all singular values near 1, by five Newton-Schulz steps.

    Matrices of one shape (transposed to at most as many rows as columns) share one loop of the
    compiled program, which keeps the program small.
    """
    wide = [matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T for matrix in matrices]
    by_shape: defaultdict[tuple[int, ...], list[int]] = defaultdict(list)
    for place, matrix in enumerate(wide):
        by_shape[matrix.shape].append(place)
    results = list(wide)
    for places in by_shape.values():
        stacked = jnp.stack([wide[place] for place in places])
        found = lax.map(lambda matrix: _newton_schulz(numerics, matrix), stacked)
        for number, place in enumerate(places):
            results[place] = found[number]
    return [
        result if matrix.shape == result.shape else result.T
        for matrix, result in zip(matrices, results, strict=True)
    ]


def _newton_schulz(numerics: Numerics, matrix: Array) -> Array:
    a, b, c = (jnp.asarray(coefficient) for coefficient in _COEFFICIENTS)

    def iterate(_: int, x: Array) -> Array:
        square = numerics.linear(x, x.T)
        factor = numerics.weighted_sum(b, square, c, numerics.linear(square, square))
        return numerics.multiply_add(a, x, numerics.linear(factor, x))

    start = matrix / (numerics.global_norm(matrix) + _EPS)
    result: Array = lax.fori_loop(0, _N_ITERATIONS, iterate, start)
    return result


def _is_hidden(path: tuple[Any, ...], param: Array) -> bool:
    return param.ndim == 2 and "embed" not in jax.tree_util.keystr(path)


def _hidden(params: Any) -> list[bool]:
    paths, _ = jax.tree_util.tree_flatten_with_path(params)
    return [_is_hidden(path, param) for path, param in paths]


def _split(params: Any, tree: Any) -> tuple[list[Array], list[Array]]:
    """The leaves of a tree like ``params``: those of hidden matrices, and the others."""
    leaves = list(zip(_hidden(params), jax.tree.leaves(tree), strict=True))
    return [leaf for hidden, leaf in leaves if hidden], [
        leaf for hidden, leaf in leaves if not hidden
    ]


def _join(params: Any, hidden: Sequence[Array], others: Sequence[Array]) -> Any:
    """Undo `_split`."""
    of_hidden, of_others = iter(hidden), iter(others)
    leaves = [next(of_hidden) if is_hidden else next(of_others) for is_hidden in _hidden(params)]
    return jax.tree.unflatten(jax.tree.structure(params), leaves)
