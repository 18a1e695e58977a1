"""The decoder: Gemma 3's text architecture in Flax NNX.

Token embeddings scaled by sqrt(hidden_size); in every layer grouped-query attention with
normalised queries and keys and rotary positions, then a gated GELU network, each between two RMS
norms and around a residual; a last norm; the embedding table again as the head (Gemma Team 2025,
arXiv:2503.19786, and `modeling_gemma3.py` of `transformers`).

Everything that adds floats goes through `Numerics`, so the numeric mode is chosen in one place.
Which token sees which is decided by positions and segment ids alone, never by a place in a row:
several examples may share one, and padding is just another segment.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import jax.numpy as jnp
from flax import nnx

from tunixrt.ml.tables import normal_matrix, rope_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from jax import Array
    from numpy.typing import NDArray

    from tunixrt.ml.numerics import Numerics
    from tunixrt.runs.architecture import Architecture

EMPTY_SEGMENT = -1
"""The segment of a cache slot that nothing was written to; no token's segment is negative."""


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
    """Keys and values of the tokens so far: slot s of S is for the token at position s."""

    keys: tuple[Array, ...]  # a layer: [B, S, Kh, Dh] float32
    values: tuple[Array, ...]  # a layer: [B, S, Kh, Dh] float32
    segments: Array  # [B, S] int32, EMPTY_SEGMENT where nothing was written


class _View(NamedTuple):
    """What a forward pass knows of its tokens, apart from the tokens: the same for every layer."""

    positions: Array  # [B, T] int32
    rotary: dict[bool, tuple[Array, Array]]  # by is_sliding: cos and sin, [B, T, Dh / 2] each
    masks: dict[bool, Array]  # by is_sliding: [B, T, S] bool


class Norm(nnx.Module):
    """RMS norm with a learned scale around 1."""

    def __init__(self, scale: Array) -> None:
        self.scale = nnx.Param(scale)


class Projection(nnx.Module):
    """A matrix [inputs, outputs], without a bias."""

    def __init__(self, kernel: Array) -> None:
        self.kernel = nnx.Param(kernel)


class Embedding(nnx.Module):
    """The table [V, D] that tokens are looked up in, and that logits are products with."""

    def __init__(self, embedding: Array) -> None:
        self.embedding = nnx.Param(embedding)


class _Weights:
    """Hands out named tensors as modules, below a prefix."""

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
        past: tuple[Array, Array] | None,
    ) -> tuple[Array, tuple[Array, Array]]:
        """Attend from x [B, T, D] to itself, or to what past keys and values become with it."""
        a, numerics = self.config.architecture, self.numerics
        batch, length = x.shape[:2]
        n_heads, n_shared = a.num_attention_heads, a.num_key_value_heads
        # One product instead of three: they share their left side.
        kernel = jnp.concatenate(
            [self.q_proj.kernel[...], self.k_proj.kernel[...], self.v_proj.kernel[...]], axis=1
        )
        heads = numerics.linear(x, kernel).reshape(batch, length, -1, a.head_dim)
        rotary, mask = view.rotary[is_sliding], view.masks[is_sliding]
        q, k, v = jnp.split(heads, [n_heads, n_heads + n_shared], axis=2)
        q = numerics.rotate(numerics.rms_norm(q, self.q_norm.scale[...], a.rms_norm_eps), *rotary)
        k = numerics.rotate(numerics.rms_norm(k, self.k_norm.scale[...], a.rms_norm_eps), *rotary)
        if past is not None:
            k = _write(past[0], view.positions, k)
            v = _write(past[1], view.positions, v)
        scale = 1 / math.sqrt(a.query_pre_attn_scalar)
        mixed = numerics.attention(q, k, v, mask, scale, max_length=self.config.max_length)
        return numerics.linear(mixed.reshape(batch, length, -1), self.o_proj.kernel[...]), (k, v)


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

    def __call__(
        self, x: Array, view: _View, past: tuple[Array, Array] | None
    ) -> tuple[Array, tuple[Array, Array]]:
        """Map x [B, T, D] to [B, T, D], and say the keys and values that were attended to."""
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
            The last hidden states, normed, [B, T, D] float32; see ``logits``.
        """
        view = self._view(positions, segments, positions, segments)
        x = self._embed(tokens)
        for layer in self.layers:
            x, _ = layer(x, view, None)
        return self._last_norm(x)

    def empty_cache(self, batch_size: int, n_slots: int) -> Cache:
        """A cache for ``batch_size`` rows of at most ``n_slots`` tokens."""
        a = self.config.architecture
        empty = jnp.zeros((batch_size, n_slots, a.num_key_value_heads, a.head_dim), jnp.float32)
        return Cache(
            (empty,) * a.num_hidden_layers,
            (empty,) * a.num_hidden_layers,
            jnp.full((batch_size, n_slots), EMPTY_SEGMENT, jnp.int32),
        )

    def extend(
        self, tokens: Array, positions: Array, segments: Array, cache: Cache
    ) -> tuple[Array, Cache]:
        """Run the next tokens of rows whose earlier tokens are in the cache.

        Args:
            tokens: [B, T] int32, as are ``positions`` and ``segments``; see ``__call__``.
            positions: which slots of the cache the tokens take; one beyond the last is lost.
            segments: of the tokens. Padding may take a slot that a token takes later.
            cache: of the tokens before.

        Returns:
            The last hidden states of these tokens, normed, [B, T, D]; and the cache with them.
        """
        slot_segments = _write(cache.segments, positions, segments)
        slots = jnp.arange(slot_segments.shape[1], dtype=jnp.int32)
        slot_positions = jnp.broadcast_to(slots, slot_segments.shape)
        view = self._view(positions, segments, slot_positions, slot_segments)
        x = self._embed(tokens)
        pairs = []
        for layer, past in zip(
            self.layers, zip(cache.keys, cache.values, strict=True), strict=True
        ):
            x, pair = layer(x, view, past)
            pairs.append(pair)
        keys, values = zip(*pairs, strict=True)
        return self._last_norm(x), Cache(keys, values, slot_segments)

    def logits(self, hidden: Array) -> Array:
        """The logits [..., V] of hidden states [..., D]: products with the embedding table."""
        return self.numerics.logits(hidden, self.embed_tokens.embedding[...])

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
        return _View(positions, rotary, masks)


def _write(slots: Array, positions: Array, new: Array) -> Array:
    """Put new [B, T, ...] into slots [B, S, ...] at positions [B, T]."""
    rows = jnp.arange(slots.shape[0], dtype=jnp.int32)[:, None]
    return slots.at[rows, positions].set(new, mode="drop")


def _rope_variable(config: ModelConfig, theta: float) -> nnx.Variable[Array]:
    """Cosines and sines, [2, max_length, Dh / 2]; a variable, since it is an array, not learned."""
    cos, sin = rope_table(config.max_length, config.architecture.head_dim, theta)
    return nnx.Variable(jnp.stack([jnp.asarray(cos), jnp.asarray(sin)]))
