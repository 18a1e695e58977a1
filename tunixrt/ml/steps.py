"""The compiled part of training: several steps in one loop on the device.

The inputs are those of a fixed number of steps, and how many of these the loop runs is an
argument, so one compilation serves every call, including a shorter last one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

from tunixrt.ml.fingerprint import fingerprint
from tunixrt.ml.optimizer import StepScalars, clip_by_global_norm, optimizer_of
from tunixrt.ml.xla import Array, jax, jnp, lax, nnx, optax

if TYPE_CHECKING:
    from collections.abc import Callable

    from tunixrt.ml.input.batches import Rows
    from tunixrt.ml.model import Decoder
    from tunixrt.ml.numerics import Numerics
    from tunixrt.runs.config import TrainingSection


class TrainState(NamedTuple):
    """The state that one step passes to the next."""

    params: Any  # the nnx.Param part of a Decoder's state
    opt_state: Any  # what the optimiser's ``init`` returns


class StepInputs(NamedTuple):
    """The inputs of one step besides its state; of several steps with a leading axis.

    NumPy arrays outside of jit, jax arrays inside.
    """

    rows: Rows  # [A, B, T]: A forward passes
    n_loss_tokens: Any  # scalar float32, the sum of the loss weights of all passes
    scalars: StepScalars


class StepMetrics(NamedTuple):
    """The metrics of one step: scalars."""

    loss: Array  # float32, mean over the learned tokens, before the update
    grad_norm: Array  # float32, before clipping
    fingerprint: Array  # uint32, of the weights after the update


def compile_steps(
    model: Decoder, numerics: Numerics, training: TrainingSection, *, first_learned: int
) -> tuple[TrainState, Callable[[TrainState, StepInputs, Array], tuple[TrainState, StepMetrics]]]:
    """Prepare training of a decoder.

    Args:
        model: with its initial weights.
        numerics: the arithmetic.
        training: the optimiser's settings.
        first_learned: a position before which no row has a target that is learned; no logits are
            computed there.

    Returns:
        The state before the first step, and a function of a state, the inputs of K steps (every
        leaf with a leading axis K) and n <= K, which runs the first n of them. The metrics that it
        returns have a leading axis K too, zero from n on.

    Fingerprints are of the weights that enter the next step, not of an update's result: the
    compiler may recompute an update for another consumer and round it differently.
    """
    graph, params, constants = cast("tuple[Any, Any, Any]", nnx.split(model, nnx.Param, ...))
    optimizer = optimizer_of(numerics, training)
    total_loss = _total_loss(graph, constants, numerics, first_learned)

    def loss_of(params: Any, rows: Any, n_loss_tokens: Array) -> Array:
        return total_loss(params, rows) / n_loss_tokens

    def gradients_of(params: Any, inputs: StepInputs) -> tuple[Array, Any]:
        """The loss and its gradients over all rows, one pass after the other, summed in order."""
        differentiate = jax.value_and_grad(loss_of)
        if inputs.rows.tokens.shape[0] == 1:
            rows = jax.tree.map(lambda leaf: leaf[0], inputs.rows)
            return differentiate(params, rows, inputs.n_loss_tokens)

        def accumulate(so_far: tuple[Array, Any], rows: Any) -> tuple[tuple[Array, Any], None]:
            one = differentiate(params, rows, inputs.n_loss_tokens)
            return jax.tree.map(jnp.add, so_far, one), None

        nothing = (jnp.zeros((), jnp.float32), jax.tree.map(jnp.zeros_like, params))
        return lax.scan(accumulate, nothing, inputs.rows)[0]

    def step(state: TrainState, inputs: StepInputs) -> tuple[TrainState, Array, Array]:
        loss, gradients = gradients_of(state.params, inputs)
        gradients, norm = clip_by_global_norm(numerics, gradients, training.max_grad_norm)
        changes, opt_state = optimizer.update(
            gradients, state.opt_state, state.params, scalars=inputs.scalars
        )
        params = optax.apply_updates(state.params, changes)
        return TrainState(params, opt_state), loss, norm

    @jax.jit
    def run(
        state: TrainState, inputs: StepInputs, n_steps: Array
    ) -> tuple[TrainState, StepMetrics]:
        n_at_once = inputs.n_loss_tokens.shape[0]
        nothing = jnp.zeros(n_at_once, jnp.float32)
        found = jnp.zeros(n_at_once + 1, jnp.uint32)

        def body(number: Array, carry: tuple[TrainState, StepMetrics]) -> Any:
            state, metrics = carry
            own = jax.tree.map(
                lambda leaf: lax.dynamic_index_in_dim(leaf, number, keepdims=False), inputs
            )
            before = fingerprint(state.params)
            state, loss, norm = step(state, own)
            new = StepMetrics(loss, norm, before)
            return state, jax.tree.map(lambda all_, one: all_.at[number].set(one), metrics, new)

        start = jnp.zeros((), jnp.int32)
        state, metrics = lax.fori_loop(
            start, n_steps, body, (state, StepMetrics(nothing, nothing, found))
        )
        found = metrics.fingerprint.at[n_steps].set(fingerprint(state.params))
        return state, metrics._replace(fingerprint=found[1:])

    return TrainState(params, optimizer.init(params)), run


def compile_loss(
    model: Decoder, numerics: Numerics, *, first_learned: int
) -> Callable[[Any, Rows], Array]:
    """Prepare the loss of rows without an update.

    Args:
        model: a decoder of the sizes that are trained; its own weights are not used.
        numerics: the arithmetic.
        first_learned: see `compile_steps`.

    Returns:
        A function of params and rows [B, T]: the loss summed over the learned tokens, a scalar.
    """
    graph, _, constants = cast("tuple[Any, Any, Any]", nnx.split(model, nnx.Param, ...))
    return cast(
        "Callable[[Any, Rows], Array]",
        jax.jit(_total_loss(graph, constants, numerics, first_learned)),
    )


def _total_loss(
    graph: Any, constants: Any, numerics: Numerics, first_learned: int
) -> Callable[[Any, Any], Array]:
    def total_loss(params: Any, rows: Any) -> Array:
        decoder = nnx.merge(graph, params, constants)
        hidden = decoder(rows.tokens, rows.positions, rows.segments)
        logits = decoder.logits(hidden[:, first_learned:])
        return numerics.cross_entropy(
            logits.reshape(-1, logits.shape[-1]),
            rows.targets[:, first_learned:].reshape(-1),
            rows.loss_weights[:, first_learned:].reshape(-1),
        )

    return total_loss
