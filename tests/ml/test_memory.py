"""The memory of a dry run: parameters are exact, and the rest grows with what needs it."""

from __future__ import annotations

from math import prod

import pytest

from tunixrt.ml.model import ModelConfig
from tunixrt.runs.architecture import Architecture
from tunixrt.runs.config_sources import load_config
from tunixrt.runs.memory import count_parameters, estimate_memory
from tunixrt.runs.presets import PRESETS


@pytest.mark.parametrize("name", PRESETS)
def test_parameters_are_counted_without_making_them(name: str) -> None:
    architecture = Architecture.model_validate(PRESETS[name]["model"]["architecture"])
    shapes = ModelConfig(architecture, 261, 64).tensor_shapes().values()
    assert count_parameters(architecture, 261) == sum(map(prod, shapes))


def test_memory_grows_with_what_needs_it() -> None:
    nano = estimate_memory(load_config("nano"), 261, 88)
    fast = estimate_memory(load_config("nano", ["training.numeric_mode=fast"]), 261, 88)
    batch = estimate_memory(load_config("nano", ["training.batch_size=64"]), 261, 88)
    assert nano.weights_bytes == 4 * nano.n_params == nano.gradients_bytes
    assert fast.activations_bytes < nano.activations_bytes
    assert batch.activations_bytes == pytest.approx(2 * nano.activations_bytes)
    assert nano.total_bytes > nano.activations_bytes + 4 * nano.weights_bytes - 1
