"""A program of its own: compile a training step in the portable mode, and dump what XLA made.

Usage: python -m tests.ml.numerics.compiled_step DIRECTORY adamw|muon
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tunixrt.ml import environment

#: Small, with all that a step can have: windows, grouped heads, decay, clipping, accumulation.
SETTINGS = (
    "model.max_length=64",
    "model.architecture.hidden_size=48",
    "model.architecture.intermediate_size=96",
    "model.architecture.num_hidden_layers=2",
    "model.architecture.num_attention_heads=4",
    "model.architecture.num_key_value_heads=2",
    "model.architecture.head_dim=16",
    "model.architecture.query_pre_attn_scalar=12",
    "model.architecture.sliding_window=16",
    "model.architecture.sliding_window_pattern=2",
    "training.num_steps=12",
    "training.warmup_steps=2",
    "training.weight_decay=0.1",
    "training.max_grad_norm=1.0",
    "training.gradient_accumulation_steps=2",
    "training.numeric_mode=portable",
)
N_STEPS, N_ROWS, LENGTH = 4, 8, 64


def main(directory: Path, optimizer: str) -> None:
    os.environ["XLA_FLAGS"] = f"--xla_dump_to={directory} --xla_dump_hlo_module_re=jit_run"
    environment.prepare("portable")

    import jax
    import jax.numpy as jnp
    import numpy as np

    from tunixrt.ml.input.batches import Rows
    from tunixrt.ml.model import Decoder, ModelConfig, initial_weights
    from tunixrt.ml.numerics import numerics_for
    from tunixrt.ml.optimizer import scalar_tables
    from tunixrt.ml.steps import StepInputs, compile_steps
    from tunixrt.runs.config_sources import load_config

    config = load_config("nano", [*SETTINGS, f"training.optimizer={optimizer}"])
    numerics = numerics_for("portable")
    sizes = ModelConfig(config.model.architecture, 261, config.model.max_length)
    decoder = Decoder(sizes, numerics, initial_weights(sizes, 0))
    state, run = compile_steps(decoder, numerics, config.training, first_learned=0)
    places = np.zeros((N_STEPS, 2, N_ROWS, LENGTH), np.int32)
    scalar = np.ones(N_STEPS, np.float32)
    inputs = StepInputs(
        Rows(places, places, places, places, places.astype(np.float32)),
        scalar,
        jax.tree.map(lambda _: scalar, scalar_tables(config.training)),
    )
    run(state, inputs, jnp.asarray(N_STEPS, jnp.int32))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
