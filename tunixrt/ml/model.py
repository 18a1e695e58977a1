"""The decoder: Gemma 3's text architecture in Flax NNX.

Token embeddings scaled by sqrt(hidden_size); in every layer grouped-query attention with
normalised queries and keys and rotary positions, then a gated GELU network, each between two RMS
norms and around a residual; a last norm; the embedding table again as the head (Gemma Team 2025,
arXiv:2503.19786, and `modeling_gemma3.py` of `transformers`).

All sums of floats go through `Numerics`, so the numeric mode is chosen in one place. Positions and
segment ids alone decide which token sees which, never the place in a row: several examples may
share a row, and padding is another segment. In whole rows the tokens of a segment must be adjacent
and in order, so that attention can skip the keys that they cannot see.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from tunixrt.ml.blocks import attention_in_blocks
from tunixrt.ml.numerics.slots import put, with_room
from tunixrt.ml.tables import normal_matrix, rope_table
from tunixrt.ml.xla import Array, jnp, lax, nnx

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from tunixrt.ml.numerics import Numerics
    from tunixrt.ml.numerics.slots import Slots
    from tunixrt.runs.architecture import Architecture

EMPTY_SEGMENT = -1
"""The segment of an unused cache slot; no token's segment is negative."""


@dataclass(frozen=True)
class ModelConfig:
    """What the decoder is built from: its architecture, and the limits of its inputs."""

    architecture: Architecture
    vocab_size: int
    max_length: int

    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every tensor by its Hugging Face name; matrices are [outputs, inputs]."""
        a = self.architecture
        n_queries, n_keys = a.num_attention_heads * a.head_dim, a.num_key_value_heads * a.head_dim
        shapes: dict[str, tuple[int, ...]] = {
            "model.embed_tokens.weight": (self.vocab_size, a.hidden_size),
            "model.norm.weight": (a.hidden_size,),
        }
        for layer in range(a.num_hidden_layers):
            prefix = f"model.layers.{layer}."
            for norm in ("input", "post_attention", "pre_feedforward", "post_feedforward"):
                shapes[f"{prefix}{norm}_layernorm.weight"] = (a.hidden_size,)
            for name, shape in {
                "self_attn.q_proj": (n_queries, a.hidden_size),
                "self_attn.k_proj": (n_keys, a.hidden_size),
                "self_attn.v_proj": (n_keys, a.hidden_size),
                "self_attn.o_proj": (a.hidden_size, n_queries),
                "self_attn.q_norm": (a.head_dim,),
                "self_attn.k_norm": (a.head_dim,),
                "mlp.gate_proj": (a.intermediate_size, a.hidden_size),
                "mlp.up_proj": (a.intermediate_size, a.hidden_size),
                "mlp.down_proj": (a.hidden_size, a.intermediate_size),
            }.items():
                shapes[f"{prefix}{name}.weight"] = shape
        return dict(sorted(shapes.items()))


def initial_weights(config: ModelConfig, seed: int) -> dict[str, NDArray[np.float32]]:
    """Draw the weights that training starts from, by their Hugging Face names.

    Matrices are normal with a standard deviation of 1 / sqrt(inputs), so that every product keeps
    the scale of what it multiplies; the embeddings of 1 / sqrt(hidden_size), so that they enter
    the residual stream with the scale 1 that the norms give to everything else in it. Norm scales
    are zero (the factor is 1 + scale).
    """
    return {
        name: normal_matrix(seed, name, shape, 1 / math.sqrt(shape[-1]) if len(shape) == 2 else 0.0)
        for name, shape in config.tensor_shapes().items()
    }


class Cache(NamedTuple):
    """The tokens so far, in S slots per row; every row fills the same slots."""

    layers: tuple[Slots, ...]  # for each layer: its keys and values
    positions: Array  # [B, S] int32, of the token in a slot
    segments: Array  # [B, S] int32, EMPTY_SEGMENT where nothing was written


class _View(NamedTuple):
    """Positions and masks of the tokens of a forward pass: the same for every layer."""

    rotary: dict[bool, tuple[Array, Array]]  # by is_sliding: cos and sin, [B, T, Dh / 2] each
    masks: dict[bool, Array]  # by is_sliding: [B, T, S] bool
    is_kept: bool = False  # whether keys and values are kept for later tokens
    start: Array | None = None  # scalar int32, with a past: the first slot to fill


class Norm(nnx.Module):
    """RMS norm with a learned scale around 1."""

    def __init__(self, scale: Array) -> None:
        self.scale = nnx.Param(scale)


class Projection(nnx.Module):
    """A matrix [inputs, outputs], without a bias."""

    def __init__(self, kernel: Array) -> None:
        self.kernel = nnx.Param(kernel)


class Embedding(nnx.Module):
    """The table [V, D] of token embeddings, which is the output head too."""

    def __init__(self, embedding: Array) -> None:
        self.embedding = nnx.Param(embedding)


class _Weights:
    """Makes modules of the named tensors below a prefix."""

    def __init__(self, weights: Mapping[str, NDArray[np.float32]], prefix: str) -> None:
        self._weights, self._prefix = weights, prefix

    def below(self, name: str) -> _Weights:
        return _Weights(self._weights, f"{self._prefix}{name}.")

    def norm(self, name: str) -> Norm:
        return Norm(self._array(name))

    def projection(self, name: str) -> Projection:
        return Projection(self._array(name).T)

    def embedding(self, name: str) -> Embedding:
        return Embedding(self._array(name))

    def _array(self, name: str) -> Array:
        return jnp.asarray(self._weights[f"{self._prefix}{name}.weight"], jnp.float32)


class Attention(nnx.Module):
    """Grouped-query attention with normalised queries and keys."""

    def __init__(self, config: ModelConfig, numerics: Numerics, weights: _Weights) -> None:
        self.config, self.numerics = config, numerics
        self.q_proj = weights.projection("q_proj")
        self.k_proj = weights.projection("k_proj")
        self.v_proj = weights.projection("v_proj")
        self.o_proj = weights.projection("o_proj")
        self.q_norm = weights.norm("q_norm")
        self.k_norm = weights.norm("k_norm")

    def __call__(
        self,
        x: Array,
        view: _View,
        is_sliding: bool,
        past: Slots | None,
    ) -> tuple[Array, Slots | None]:
        """Attend from x [B, T, D] to itself, or to the slots of the past with x added.

        Returns:
            [B, T, D]; and, where they are kept, the slots of x, or those of the past with x.
        """
        a, numerics = self.config.architecture, self.numerics
        batch, length = x.shape[:2]
        n_heads, n_shared = a.num_attention_heads, a.num_key_value_heads
        # One product instead of three: they share their left operand.
        kernel = jnp.concatenate(
            [self.q_proj.kernel[...], self.k_proj.kernel[...], self.v_proj.kernel[...]], axis=1
        )
        heads = numerics.linear(x, kernel).reshape(batch, length, -1, a.head_dim)
        rotary, mask = view.rotary[is_sliding], view.masks[is_sliding]
        q, k, v = jnp.split(heads, [n_heads, n_heads + n_shared], axis=2)
        q = numerics.rotate(numerics.rms_norm(q, self.q_norm.scale[...], a.rms_norm_eps), *rotary)
        k = numerics.rotate(numerics.rms_norm(k, self.k_norm.scale[...], a.rms_norm_eps), *rotary)
        scale = 1 / math.sqrt(a.query_pre_attn_scalar)
        max_length = self.config.max_length
        slots = numerics.slots(k, v, max_length=max_length) if view.is_kept else None
        if past is None or slots is None or view.start is None:
            window = a.sliding_window if is_sliding else None
            mixed = attention_in_blocks(
                numerics, q, k, v, mask, scale=scale, window=window, max_length=max_length
            )
        else:
            slots = put(past, slots, view.start)
            mixed = numerics.attend_to_slots(q, slots, mask, scale, max_length=max_length)
        return numerics.linear(mixed.reshape(batch, length, -1), self.o_proj.kernel[...]), slots


class GatedNetwork(nnx.Module):
    """down(gelu(gate(x)) * up(x)) (Shazeer 2020)."""

    def __init__(self, numerics: Numerics, weights: _Weights) -> None:
        self.numerics = numerics
        self.gate_proj = weights.projection("gate_proj")
        self.up_proj = weights.projection("up_proj")
        self.down_proj = weights.projection("down_proj")

    def __call__(self, x: Array) -> Array:
        """Map x [B, T, D] to [B, T, D]."""
        numerics = self.numerics
        kernel = jnp.concatenate([self.gate_proj.kernel[...], self.up_proj.kernel[...]], axis=1)
        gate, up = jnp.split(numerics.linear(x, kernel), 2, axis=-1)
        return numerics.linear(
            numerics.multiply(numerics.gelu(gate), up), self.down_proj.kernel[...]
        )


class Layer(nnx.Module):
    """Attention and a gated network, each between two norms and around a residual."""

    def __init__(
        self, config: ModelConfig, numerics: Numerics, weights: _Weights, number: int
    ) -> None:
        self.numerics = numerics
        self.eps = config.architecture.rms_norm_eps
        self.is_sliding = config.architecture.is_sliding(number)
        self.self_attn = Attention(config, numerics, weights.below("self_attn"))
        self.mlp = GatedNetwork(numerics, weights.below("mlp"))
        self.input_layernorm = weights.norm("input_layernorm")
        self.post_attention_layernorm = weights.norm("post_attention_layernorm")
        self.pre_feedforward_layernorm = weights.norm("pre_feedforward_layernorm")
        self.post_feedforward_layernorm = weights.norm("post_feedforward_layernorm")

    def __call__(self, x: Array, view: _View, past: Slots | None) -> tuple[Array, Slots | None]:
        """Map x [B, T, D] to [B, T, D]; the slots are those of the attention."""
        mixed, present = self.self_attn(
            self._norm(x, self.input_layernorm), view, self.is_sliding, past
        )
        x = x + self._norm(mixed, self.post_attention_layernorm)
        fed = self.mlp(self._norm(x, self.pre_feedforward_layernorm))
        return x + self._norm(fed, self.post_feedforward_layernorm), present

    def _norm(self, x: Array, norm: Norm) -> Array:
        return self.numerics.rms_norm(x, norm.scale[...], self.eps)


class Decoder(nnx.Module):
    """The whole model.

    Args:
        config: its sizes.
        numerics: its arithmetic.
        weights: every tensor of ``config.tensor_shapes()``, float32.
    """

    def __init__(
        self,
        config: ModelConfig,
        numerics: Numerics,
        weights: Mapping[str, NDArray[np.float32]],
    ) -> None:
        self.config, self.numerics = config, numerics
        a = config.architecture
        named = _Weights(weights, "model.")
        self.embed_tokens = named.embedding("embed_tokens")
        self.layers = nnx.List(
            [
                Layer(config, numerics, named.below(f"layers.{number}"), number)
                for number in range(a.num_hidden_layers)
            ]
        )
        self.norm = named.norm("norm")
        self.full_rope = _rope_variable(config, a.rope_theta)
        self.sliding_rope = _rope_variable(config, a.rope_local_base_freq)

    def __call__(self, tokens: Array, positions: Array, segments: Array) -> Array:
        """Run whole rows.

        Args:
            tokens: [B, T] int32.
            positions: [B, T] int32, counted within the segment, below ``max_length``.
            segments: [B, T] int32, not negative; a token sees those of its own segment only.

        Returns:
            The last hidden states, normalised, [B, T, D] float32; see ``logits``.
        """
        view = self._view(positions, segments, positions, segments)
        return self._run(tokens, view)[0]

    def begin(
        self, tokens: Array, positions: Array, segments: Array, n_slots: int
    ) -> tuple[Array, Cache]:
        """Run whole rows, and keep their keys and values for later tokens.

        Args:
            tokens: [B, T] int32, as are ``positions`` and ``segments``; see ``__call__``.
            positions: of the tokens; token t fills slot t of the cache.
            segments: of the tokens. A later token does not see the other segments.
            n_slots: capacity of the cache in tokens, these included.

        Returns:
            The last hidden states, normalised, [B, T, D]; and the cache.
        """
        view = self._view(positions, segments, positions, segments)
        hidden, layers = self._run(tokens, view._replace(is_kept=True))
        room = ((0, 0), (0, n_slots - tokens.shape[1]))
        return hidden, Cache(
            tuple(with_room(slots, n_slots) for slots in layers),
            jnp.pad(positions, room),
            jnp.pad(segments, room, constant_values=EMPTY_SEGMENT),
        )

    def extend(
        self, tokens: Array, positions: Array, segments: Array, cache: Cache, start: Array
    ) -> tuple[Array, Cache]:
        """Run the next tokens of rows whose earlier tokens are in the cache.

        Args:
            tokens: [B, T] int32, as are ``positions`` and ``segments``; see ``__call__``.
            positions: of the tokens; they need not be the numbers of their slots.
            segments: of the tokens.
            cache: of the tokens before.
            start: scalar int32; the first slot that the tokens fill, in every row.

        Returns:
            The last hidden states of these tokens, normalised, [B, T, D]; and the cache with them.
        """
        place = (jnp.zeros_like(start), start)
        slot_positions = lax.dynamic_update_slice(cache.positions, positions, place)
        slot_segments = lax.dynamic_update_slice(cache.segments, segments, place)
        view = self._view(positions, segments, slot_positions, slot_segments)
        hidden, layers = self._run(tokens, view._replace(is_kept=True, start=start), cache.layers)
        return hidden, Cache(tuple(layers), slot_positions, slot_segments)

    def logits(self, hidden: Array) -> Array:
        """The logits [..., V] of hidden states [..., D]: products with the embedding table."""
        return self.numerics.logits(hidden, self.embed_tokens.embedding[...])

    def _run(
        self, tokens: Array, view: _View, past: Sequence[Slots] | None = None
    ) -> tuple[Array, list[Slots]]:
        """The last hidden states; and each layer's slots, if they are kept."""
        x = self._embed(tokens)
        present = []
        for number, layer in enumerate(self.layers):
            x, slots = layer(x, view, None if past is None else past[number])
            if slots is not None:
                present.append(slots)
        return self._last_norm(x), present

    def _embed(self, tokens: Array) -> Array:
        x = self.numerics.embed(self.embed_tokens.embedding[...], tokens)
        scale = jnp.float32(math.sqrt(self.config.architecture.hidden_size))
        return self.numerics.multiply(x, scale)

    def _last_norm(self, x: Array) -> Array:
        eps = self.config.architecture.rms_norm_eps
        return self.numerics.rms_norm(x, self.norm.scale[...], eps)

    def _view(
        self,
        positions: Array,
        segments: Array,
        key_positions: Array,
        key_segments: Array,
    ) -> _View:
        distance = positions[:, :, None] - key_positions[:, None, :]
        visible = (segments[:, :, None] == key_segments[:, None, :]) & (distance >= 0)
        rotary, masks = {}, {}
        for is_sliding in sorted({layer.is_sliding for layer in self.layers}):
            cos, sin = (self.sliding_rope if is_sliding else self.full_rope)[...]
            rotary[is_sliding] = (cos[positions], sin[positions])
            masks[is_sliding] = visible
        if True in masks:
            masks[True] = visible & (distance < self.config.architecture.sliding_window)
        return _View(rotary, masks)


def _rope_variable(config: ModelConfig, theta: float) -> nnx.Variable[Array]:
    """Cosines and sines, [2, max_length, Dh / 2]; a variable, since it is an array, not learned."""
    cos, sin = rope_table(config.max_length, config.architecture.head_dim, theta)
    return nnx.Variable(jnp.stack([jnp.asarray(cos), jnp.asarray(sin)]))
