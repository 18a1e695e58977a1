"""Our trainer as a contender of `benchmarks.train`, and what its matrix products alone take.

`python -m benchmarks.training_contenders fast|portable|float32|float64 DIRECTORY`; see
`benchmarks.training_peers` for what the directory holds, and how examples reach the others.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.turns import take_turns
from tunixrt.ml import environment

ROWS_A_STEP = {"equal": 8, "mixed": 4}
"""A packed row holds about two of the examples of mixed lengths, so this is as many examples."""


def trainer(mode: str, directory: Path) -> None:
    """The steps of `tunixrt train`, over packed rows."""
    environment.prepare(mode)
    import jax.numpy as jnp

    from tunixrt.ml.model import Decoder
    from tunixrt.ml.numerics import numerics_for
    from tunixrt.ml.optimizer import StepScalars
    from tunixrt.ml.steps import StepInputs, compile_steps
    from tunixrt.ml.weights import load_model
    from tunixrt.runs.config_sources import load_config

    model = load_model(directory / "model")
    batches = packed(directory)
    numerics = numerics_for(mode)
    training = load_config("micro", ["training.adam_b2=0.98", "training.weight_decay=0.0"]).training
    state, run = compile_steps(
        Decoder(model.config, numerics, model.weights), numerics, training, first_learned=0
    )
    n_steps = len(batches.n_loss_tokens)
    scalars = StepScalars(*(np.ones(n_steps, np.float32) for _ in range(3)))

    def steps(n: int, learning_rate: float) -> float:
        nonlocal state
        rates = np.full(n_steps, learning_rate, np.float32)
        inputs = StepInputs(*batches, scalars._replace(learning_rate=rates))
        state, metrics = run(state, inputs, jnp.asarray(n, jnp.int32))
        return float(np.average(np.asarray(metrics.loss)[:n], weights=batches.n_loss_tokens[:n]))

    take_turns(lambda: steps(1, 0.0), lambda learning_rate: steps(n_steps, learning_rate))


def packed(directory: Path) -> Any:
    """The examples as the trainer would lay them out: the rows of one epoch."""
    from tunixrt.ml.input.batches import EncodedExamples
    from tunixrt.ml.input.packing import pack, packed_batches_of_steps

    given = np.load(directory / "examples.npz")
    n_rows = ROWS_A_STEP[directory.name]
    places = np.arange(len(given["tokens"]))
    examples = EncodedExamples(given["tokens"], given["lengths"], given["learned"], (), places)
    packing = pack(examples)
    n_steps = -(-len(packing.rows) // n_rows)
    batches = packed_batches_of_steps(
        examples, packing, range(n_steps), shuffle_seed=0, batch_size=n_rows, accumulation=1
    )
    # Rows beyond the first epoch fill up the last step. They are computed, but not learned.
    surplus = n_steps * n_rows - len(packing.rows)
    if surplus:
        batches.rows.loss_weights[-1, :, -surplus:] = 0
    n_learned = batches.rows.loss_weights.sum(axis=(1, 2, 3)).astype(np.float32)
    return batches._replace(n_loss_tokens=n_learned)


def products(dtype: str, directory: Path) -> None:
    """Only the matrix products of one step, forward and backward, and nothing in between."""
    environment.prepare("portable")
    import jax
    import jax.numpy as jnp

    from tunixrt.ml.weights import load_model

    config = load_model(directory / "model").config
    a = config.architecture
    n_steps, _, n_rows, length = packed(directory).rows.tokens.shape
    n_places = n_rows * length
    n_queries, n_keys = a.num_attention_heads * a.head_dim, a.num_key_value_heads * a.head_dim
    group = a.num_attention_heads // a.num_key_value_heads
    shapes = {
        (n_places, a.hidden_size, n_queries + 2 * n_keys): a.num_hidden_layers,
        (n_places, n_queries, a.hidden_size): a.num_hidden_layers,
        (n_places, a.hidden_size, 2 * a.intermediate_size): a.num_hidden_layers,
        (n_places, a.intermediate_size, a.hidden_size): a.num_hidden_layers,
        (n_places, a.hidden_size, config.vocab_size): 1,
    }
    inside = (n_rows * a.num_key_value_heads, group * length)
    random = np.random.default_rng(0)

    def matrix(*shape: int) -> Any:
        return jnp.asarray(random.standard_normal(shape), dtype)

    def multiply(operands: Any) -> Any:
        """Every product once; a layer's are the same as the next one's, so they are repeated."""
        results = []
        for x, w, gradient in operands[0]:
            results += [x @ w, gradient @ w.T, x.T @ gradient]
        for q, k, scores in operands[1]:
            for _ in range(2):  # scores and values: the same shapes
                results += [q @ k.swapaxes(1, 2), scores @ k, scores.swapaxes(1, 2) @ q]
        return results

    compiled = jax.jit(multiply)
    layers = [
        [(matrix(n, k), matrix(k, m), matrix(n, m)) for (n, k, m), count in shapes.items()
         if layer < count]
        for layer in range(a.num_hidden_layers)
    ]  # fmt: skip
    attention = [
        (
            matrix(*inside, a.head_dim),
            matrix(inside[0], length, a.head_dim),
            matrix(*inside, length),
        )
    ]

    def steps(n: int) -> float:
        for _ in range(n):
            for layer in layers:
                jax.block_until_ready(compiled((layer, attention)))
        return 0.0

    take_turns(lambda: steps(1), lambda _: steps(n_steps))


if __name__ == "__main__":
    _kind, _directory = sys.argv[1], Path(sys.argv[2])
    (trainer if _kind in environment.NUMERIC_MODES else products)(_kind, _directory)
