"""AdamW whose schedule and bias corrections come from the host.

optax computes ``b1 ** t`` and cosine schedules on the device, where their last bits depend on the
CPU (and on 64-bit types being enabled). Here they are inputs of a step, float32 from
`tunixrt.ml.tables`, and what is left is elementwise: products that meet additions go through
`Numerics`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import optax  # type: ignore[import-untyped]  # optax has no types

if TYPE_CHECKING:
    from jax import Array

    from tunixrt.ml.numerics import Numerics


class AdamState(NamedTuple):
    """Decaying means of the gradients and of their squares, in the shape of the params."""

    first: Any
    second: Any


class StepScalars(NamedTuple):
    """The numbers of one step that come from host-side tables: float32 scalars.

    Arrays of numpy outside of jit, of jax inside; with a leading axis, those of several steps.
    """

    learning_rate: Any
    first_correction: Any  # 1 / (1 - b1 ** t)
    second_correction: Any  # 1 / (1 - b2 ** t)


def adamw(
    numerics: Numerics, *, b1: float, b2: float, eps: float, weight_decay: float
) -> optax.GradientTransformationExtraArgs:
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019) as an optax transformation.

    Its ``update`` takes ``scalars``, the `StepScalars` of the step. Matrices decay; vectors, which
    are norm scales around 1, do not.
    """

    def init(params: Any) -> AdamState:
        return AdamState(jax.tree.map(jnp.zeros_like, params), jax.tree.map(jnp.zeros_like, params))

    def update(
        updates: Any, state: Any, params: Any = None, *, scalars: StepScalars, **_: Any
    ) -> tuple[Any, AdamState]:
        def first_of(gradient: Array, mean: Array) -> Array:
            return numerics.weighted_sum(jnp.float32(b1), mean, jnp.float32(1 - b1), gradient)

        def second_of(gradient: Array, mean: Array) -> Array:
            square = numerics.multiply(gradient, gradient)
            return numerics.weighted_sum(jnp.float32(b2), mean, jnp.float32(1 - b2), square)

        def change_of(first: Array, second: Array, param: Array) -> Array:
            root = jnp.sqrt(numerics.multiply(second, scalars.second_correction))
            mean = numerics.multiply(first, scalars.first_correction)
            change = mean / (root + jnp.float32(eps))
            if weight_decay and param.ndim > 1:
                change = numerics.multiply_add(jnp.float32(weight_decay), param, change)
            return numerics.multiply(-scalars.learning_rate, change)

        first = jax.tree.map(first_of, updates, state.first)
        second = jax.tree.map(second_of, updates, state.second)
        return jax.tree.map(change_of, first, second, params), AdamState(first, second)

    return optax.GradientTransformationExtraArgs(init, update)


def clip_by_global_norm(numerics: Numerics, gradients: Any, max_norm: float) -> tuple[Any, Array]:
    """Scale gradients down to a global norm of at most ``max_norm`` (0: leave them as they are).

    Returns:
        The gradients, and their norm before, a float32 scalar.
    """
    norm = numerics.global_norm(gradients)
    if not max_norm:
        return gradients, norm
    factor = jnp.minimum(jnp.float32(1), jnp.float32(max_norm) / norm)
    return jax.tree.map(lambda g: numerics.multiply(g, factor), gradients), norm
