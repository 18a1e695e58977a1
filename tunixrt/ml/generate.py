"""Greedy generation: one compiled loop, the same shapes for every batch.

Prompts are padded at the end to one length, and each token's keys and values go to the cache slot
of its position, so a token that is generated takes the place of padding that nobody looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax

from tunixrt.errors import BadInputError
from tunixrt.ml import environment
from tunixrt.ml.batches import EXAMPLE_SEGMENT, PADDING_SEGMENT
from tunixrt.ml.model import Decoder
from tunixrt.ml.numerics import numerics_for
from tunixrt.ml.tokenizer import END_OF_TURN, EOS, PAD
from tunixrt.ml.weights import load_model

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from jax import Array
    from numpy.typing import NDArray

    from tunixrt.ml.model import Cache

_LENGTH_MULTIPLE = 16
"""Prompts and caches are rounded up to it, so that similar calls share a compiled program."""


class StopReason(StrEnum):
    """Why a generation ended."""

    END_OF_TURN = "end_of_turn"
    EOS = "eos"
    LENGTH = "length"  # max_new_tokens were generated
    CONTEXT = "context"  # prompt and generation fill the model's max_length


_STOP_TOKENS = {END_OF_TURN: StopReason.END_OF_TURN, EOS: StopReason.EOS}


@dataclass(frozen=True)
class Generation:
    """What the model wrote: its tokens without the one that stopped it, and why it stopped."""

    tokens: tuple[int, ...]
    stop_reason: StopReason


class PromptError(BadInputError):
    """A prompt cannot be continued.

    Attributes:
        number: which prompt, from 0.
    """

    def __init__(self, number: int, problem: str) -> None:
        super().__init__(f"Prompt number {number + 1} {problem}")
        self.number = number


class _Loop(NamedTuple):
    """The state of the generating loop over B rows and N new tokens at most."""

    n_steps: Array  # scalar int32, how often the loop ran
    token: Array  # [B] int32, generated and not yet written down
    position: Array  # [B] int32, the token's position
    running: Array  # [B] bool, whether the token counts
    n_written: Array  # [B] int32
    written: Array  # [B, N] int32
    cache: Cache


def generate(
    model_directory: Path,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    batch_size: int = 64,
    numeric_mode: str,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[Generation]:
    """Continue prompts with the most likely token, again and again.

    Args:
        model_directory: the model, in Hugging Face's layout.
        prompts: token ids of each prompt.
        max_new_tokens: the most tokens to generate for one, the stopping one included.
        batch_size: prompts that are continued side by side.
        numeric_mode: the arithmetic, "portable" or "fast".
        on_progress: called after every batch with how many prompts are done, and of how many.

    Returns:
        A generation for each prompt, in their order.

    Raises:
        PromptError: a prompt is empty or fills the model's max_length.
        ModelDirectoryError: the model cannot be read.
    """
    environment.prepare(numeric_mode)
    loaded = load_model(model_directory)
    _check_prompts(prompts, loaded.config.max_length)
    if not prompts:
        return []
    longest = max(len(prompt) for prompt in prompts)
    n_columns, n_slots = (
        min(_rounded(n_tokens), loaded.config.max_length)
        for n_tokens in (longest, longest + max_new_tokens)
    )
    model = Decoder(loaded.config, numerics_for(numeric_mode), loaded.weights)
    run, state = _compile(model, n_slots, max_new_tokens)
    generations: list[Generation] = []
    for start in range(0, len(prompts), batch_size):
        batch = prompts[start : start + batch_size]
        written, n_written = run(state, *_columns(batch, batch_size, n_columns))
        rows = zip(np.asarray(written).tolist(), np.asarray(n_written).tolist(), strict=True)
        generations += [
            _generation(row[:n_tokens], max_new_tokens)
            for (row, n_tokens), _ in zip(rows, batch, strict=False)
        ]
        if on_progress is not None:
            on_progress(len(generations), len(prompts))
    return generations


def _check_prompts(prompts: Sequence[Sequence[int]], max_length: int) -> None:
    for number, prompt in enumerate(prompts):
        if not prompt:
            raise PromptError(number, "is empty: it needs at least one token, such as <bos>.")
        if len(prompt) >= max_length:
            raise PromptError(
                number,
                f"has {len(prompt):,} tokens, and the model's max_length of {max_length:,} leaves "
                "no room for an answer. Shorten it, or train a model with a larger max_length.",
            )


def _rounded(length: int) -> int:
    return -(-length // _LENGTH_MULTIPLE) * _LENGTH_MULTIPLE


def _columns(
    batch: Sequence[Sequence[int]], batch_size: int, n_columns: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Prompts as [B, P] int32, padded at the end, and their lengths; missing rows have length 0."""
    tokens = np.full((batch_size, n_columns), PAD, np.int32)
    lengths = np.zeros(batch_size, np.int32)
    for number, prompt in enumerate(batch):
        tokens[number, : len(prompt)] = prompt
        lengths[number] = len(prompt)
    return tokens, lengths


def _generation(tokens: Sequence[int], max_new_tokens: int) -> Generation:
    if tokens[-1] in _STOP_TOKENS:
        return Generation(tuple(tokens[:-1]), _STOP_TOKENS[tokens[-1]])
    context_is_full = len(tokens) < max_new_tokens
    return Generation(tuple(tokens), StopReason.CONTEXT if context_is_full else StopReason.LENGTH)


def _compile(
    model: Decoder, n_slots: int, max_new_tokens: int
) -> tuple[Callable[[Any, Any, Any], tuple[Array, Array]], Any]:
    """The compiled loop, a function of the model's state, tokens [B, P] and lengths [B]; the state.

    The function returns tokens [B, N] int32 and [B] int32, how many of them count in each row.
    """
    graph, state = nnx.split(model)

    @jax.jit
    def run(state: Any, tokens: Array, lengths: Array) -> tuple[Array, Array]:
        decoder = nnx.merge(graph, state)
        batch_size, n_columns = tokens.shape

        def body(loop: _Loop) -> _Loop:
            written = loop.written.at[:, loop.n_steps].set(loop.token)
            stopped = (loop.token == END_OF_TURN) | (loop.token == EOS)
            hidden, cache = decoder.extend(
                loop.token[:, None],
                loop.position[:, None],
                jnp.full((batch_size, 1), EXAMPLE_SEGMENT, jnp.int32),
                loop.cache,
            )
            position = loop.position + jnp.int32(1)
            return _Loop(
                loop.n_steps + jnp.int32(1),
                _likeliest(decoder.logits(hidden[:, 0])),
                position,
                loop.running & ~stopped & (position < n_slots),
                loop.n_written + loop.running.astype(jnp.int32),
                written,
                cache,
            )

        def go_on(loop: _Loop) -> Array:
            return (loop.n_steps < max_new_tokens) & jnp.any(loop.running)

        positions = jnp.broadcast_to(jnp.arange(n_columns, dtype=jnp.int32), tokens.shape)
        is_prompt = positions < lengths[:, None]
        segments = jnp.where(is_prompt, jnp.int32(EXAMPLE_SEGMENT), jnp.int32(PADDING_SEGMENT))
        cache = decoder.empty_cache(batch_size, n_slots)
        hidden, cache = decoder.extend(tokens, positions, segments, cache)
        last = hidden[jnp.arange(batch_size, dtype=jnp.int32), jnp.maximum(lengths - 1, 0)]
        first = _Loop(
            jnp.zeros((), jnp.int32),
            _likeliest(decoder.logits(last)),
            lengths,
            lengths > 0,
            jnp.zeros(batch_size, jnp.int32),
            jnp.zeros((batch_size, max_new_tokens), jnp.int32),
            cache,
        )
        end = lax.while_loop(go_on, body, first)
        return end.written, end.n_written

    return run, state


def _likeliest(logits: Array) -> Array:
    """The token with the highest logit, [B, V] to [B] int32; the first of equal ones."""
    return jnp.argmax(logits, axis=-1).astype(jnp.int32)
