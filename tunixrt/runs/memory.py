"""Estimates the memory that training needs, from only the configuration, for a dry run.

Weights, gradients and the optimiser's state are counted exactly. Activations
kept for the backward pass are estimated: every array that a layer makes for a token, once in
float32, times a factor per numeric mode that was measured with XLA's accounting (docs/training.md).
Python, jax and the compiler come on top, about 0.5 GB.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from tunixrt.runs.architecture import Architecture
    from tunixrt.runs.config import RunConfig

_FLOAT_BYTES: Final = 4
_ACTIVATION_FACTOR: Final = {"fast": 1.3, "portable": 1.6}
"""Measured bytes divided by those of one float32 per array entry; see docs/training.md."""


class MemoryEstimate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bytes that training needs, apart from Python, jax and the compiler.

    Attributes:
        n_params: the number of parameters.
        weights_bytes: exact.
        gradients_bytes: exact.
        optimizer_bytes: exact.
        activations_bytes: an estimate; within about a factor of 2.
    """

    n_params: int
    weights_bytes: int
    gradients_bytes: int
    optimizer_bytes: int
    activations_bytes: int

    @property
    def total_bytes(self) -> int:
        """The sum of all parts."""
        return (
            self.weights_bytes
            + self.gradients_bytes
            + self.optimizer_bytes
            + self.activations_bytes
        )


def estimate_memory(config: RunConfig, vocab_size: int, row_length: int) -> MemoryEstimate:
    """Return an estimate of the memory of a training.

    Args:
        config: the sizes, the batch, the optimiser, the numeric mode.
        vocab_size: of the tokenizer.
        row_length: tokens in a row.
    """
    training, architecture = config.training, config.model.architecture
    n_params = count_parameters(architecture, vocab_size)
    # Muon keeps no second moments of the hidden matrices.
    n_hidden = architecture.num_hidden_layers * _hidden_matrices(architecture)
    n_squares = n_params if training.optimizer == "adamw" else n_params - n_hidden
    floats = (
        training.batch_size * row_length * _floats_a_token(architecture, vocab_size, row_length)
    )
    return MemoryEstimate(
        n_params=n_params,
        weights_bytes=_FLOAT_BYTES * n_params,
        gradients_bytes=_FLOAT_BYTES * n_params,
        optimizer_bytes=_FLOAT_BYTES * (n_params + n_squares),
        activations_bytes=int(_FLOAT_BYTES * floats * _ACTIVATION_FACTOR[training.numeric_mode]),
    )


def count_parameters(architecture: Architecture, vocab_size: int) -> int:
    """Return the number of parameters, as of `ModelConfig.tensor_shapes` but without jax."""
    a = architecture
    layer = _hidden_matrices(a) + 2 * a.head_dim + 4 * a.hidden_size
    return vocab_size * a.hidden_size + a.num_hidden_layers * layer + a.hidden_size


def _hidden_matrices(architecture: Architecture) -> int:
    """Return the number of parameters in the matrices of one layer."""
    a = architecture
    queries, keys = a.num_attention_heads * a.head_dim, a.num_key_value_heads * a.head_dim
    return a.hidden_size * (2 * queries + 2 * keys + 3 * a.intermediate_size)


def _floats_a_token(architecture: Architecture, vocab_size: int, row_length: int) -> int:
    """Return the number of entries of all arrays that the forward pass makes per token."""
    a = architecture
    queries, keys = a.num_attention_heads * a.head_dim, a.num_key_value_heads * a.head_dim
    attention = 3 * (queries + 2 * keys) + 2 * queries + a.num_attention_heads * row_length
    layer = 4 * a.hidden_size + attention + 4 * a.intermediate_size
    return a.num_hidden_layers * layer + 3 * vocab_size
