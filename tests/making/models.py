"""Small models and examples for the tests of the model layer."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tunixrt.datasets.render import DataFormat, Example, Special, render_prompt, single_turn
from tunixrt.log.digests import digest_bytes
from tunixrt.ml.model import Decoder, ModelConfig, initial_weights
from tunixrt.ml.numerics import numerics_for
from tunixrt.ml.tokenizer import ByteTokenizer
from tunixrt.ml.training import train
from tunixrt.runs.architecture import Architecture
from tunixrt.runs.config_sources import load_config

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunixrt.runs.config import RunConfig

#: Layers of both kinds, grouped queries, and a window shorter than the rows of the tests.
SLIDING = Architecture(
    hidden_size=24,
    intermediate_size=40,
    num_hidden_layers=3,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=8,
    query_pre_attn_scalar=6,
    rms_norm_eps=1e-6,
    rope_theta=50_000.0,
    rope_local_base_freq=1_000.0,
    sliding_window=5,
    sliding_window_pattern=2,
)

#: As small as it gets.
TINY_SIZES = (
    "model.max_length=64",
    "model.architecture.hidden_size=16",
    "model.architecture.intermediate_size=32",
    "model.architecture.num_hidden_layers=1",
    "model.architecture.head_dim=8",
    "training.batch_size=4",
    "training.num_steps=12",
    "training.warmup_steps=2",
    "training.numeric_mode=fast",
)


def tiny_config(*overrides: str) -> RunConfig:
    """The nano preset with a model that trains in a second."""
    return load_config("nano", [*TINY_SIZES, *overrides])


def sliding_config(max_length: int = 64, *, n_layers: int = 3) -> ModelConfig:
    """The sizes of ``SLIDING`` for the byte tokenizer.

    Two layers are one of each kind. The third makes XLA compile for half as long again.
    """
    sizes = SLIDING.model_copy(update={"num_hidden_layers": n_layers})
    return ModelConfig(sizes, ByteTokenizer.vocab_size, max_length)


def decoder(config: ModelConfig, seed: int = 0) -> Decoder:
    """A decoder in plain float32 with its initial weights."""
    return Decoder(config, numerics_for("fast"), initial_weights(config, seed))


def example(prompt: str, response: str) -> Example:
    """A training example of a prompt and a response, as `render_example` would make it."""
    name = f"{prompt}>{response}"
    read = render_prompt(prompt, data_format=DataFormat.TUNIX_SFT)
    return single_turn(name, digest_bytes(name.encode()), read, (response, Special.END_OF_TURN))


def copying_examples(n: int = 40) -> list[Example]:
    """Prompts of one letter whose answer is the letter twice."""
    letters = [chr(ord("a") + place % 26) for place in range(n)]
    return [example(letter, f"Answer: {letter}{letter}") for letter in letters]


def weights_of_both_modes() -> list[str]:
    """The digests of the weights that the tiny training gives, fast and portable."""
    found = []
    for mode in ("fast", "portable"):
        with TemporaryDirectory() as directory:
            config = tiny_config(f"training.numeric_mode={mode}")
            found.append(str(train(config, copying_examples(), Path(directory)).weights))
    return found


def prompts_of(examples: Sequence[Example]) -> list[list[int]]:
    """The tokens of the prompts."""
    return [ByteTokenizer().encode(one.prompt) for one in examples]
