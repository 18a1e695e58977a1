"""The optimisers; AdamW, whose schedule and bias corrections come from the host.

optax computes ``b1 ** t`` and cosine schedules on the device, where their last bits depend on the
CPU (and on 64-bit types being enabled). Here they are inputs of a step, float32 from
`tunixrt.ml.tables`, and the rest is elementwise: products that enter additions go through
`Numerics`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tunixrt.ml.muon import muon
from tunixrt.ml.tables import adam_corrections, learning_rates, momentum_weights
from tunixrt.ml.xla import Array, jax, jnp, optax

if TYPE_CHECKING:
    from tunixrt.ml.numerics import Numerics
    from tunixrt.runs.config import TrainingSection


class AdamState(NamedTuple):
    """Decaying means of the gradients and of their squares, in the shape of the params."""

    first: Any
    second: Any


class StepScalars(NamedTuple):
    """The numbers of one step that come from host-side tables: float32 scalars.

    NumPy arrays outside of jit, jax arrays inside; with a leading axis, those of several steps.
    """

    learning_rate: Any
    first_correction: Any  # 1 / (1 - b1 ** t)
    second_correction: Any  # 1 / (1 - b2 ** t)
    momentum: Any = None  # of muon alone: momentum / (1 - momentum ** (t + 1))
    gradient: Any = None  # of muon alone: (1 - momentum) / (1 - momentum ** t)


def scalar_tables(training: TrainingSection) -> StepScalars:
    """The scalars of every step of a run, float32 [num_steps] each."""
    n_steps = training.num_steps
    rates = learning_rates(
        training.lr_scheduler,
        learning_rate=training.learning_rate,
        num_steps=n_steps,
        warmup_steps=training.warmup_steps,
    )
    corrections = adam_corrections(training.adam_b1, training.adam_b2, n_steps)
    if training.optimizer == "adamw":
        return StepScalars(rates, *corrections)
    return StepScalars(rates, *corrections, *momentum_weights(training.muon_momentum, n_steps))


def optimizer_of(
    numerics: Numerics, training: TrainingSection
) -> optax.GradientTransformationExtraArgs:
    """The optimiser of a configuration; its ``update`` takes ``scalars``."""
    adam = adamw(
        numerics,
        b1=training.adam_b1,
        b2=training.adam_b2,
        eps=training.adam_eps,
        weight_decay=training.weight_decay,
    )
    if training.optimizer == "adamw":
        return adam
    return muon(
        numerics,
        momentum=training.muon_momentum,
        weight_decay=training.weight_decay,
        rest=adam,
    )


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
