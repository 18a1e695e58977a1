"""Generation: one compiled loop, with the same shapes for every batch.

Prompts are padded at the end to one length, and new tokens fill the slots after it, the same slot
in every row: the padding in between is masked, and the cache grows by a slice, not by a scatter.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tunixrt.errors import BadInputError
from tunixrt.ml.choosing import choose, draw_keys
from tunixrt.ml.input.batches import EXAMPLE_SEGMENT, PADDING_SEGMENT
from tunixrt.ml.model import Decoder
from tunixrt.ml.numerics import numerics_for
from tunixrt.ml.tokenizer import END_OF_TURN, EOS, PAD
from tunixrt.ml.weights import load_model
from tunixrt.ml.xla import Array, computing, jax, jnp, lax, nnx
from tunixrt.runs.sampling import GREEDY

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from tunixrt.ml.model import Cache
    from tunixrt.runs.sampling import Sampling

_LENGTH_MULTIPLE = 16
"""Prompts are padded to a multiple of this, so that similar calls share a compiled program."""


class StopReason(StrEnum):
    """Why a generation ended."""

    END_OF_TURN = "end_of_turn"
    EOS = "eos"
    LENGTH = "length"  # max_new_tokens were generated
    CONTEXT = "context"  # prompt and generation fill the model's max_length


_STOP_TOKENS = {END_OF_TURN: StopReason.END_OF_TURN, EOS: StopReason.EOS}


@dataclass(frozen=True)
class Generation:
    """The tokens of a response, without the stop token, and why generation stopped."""

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
    """The state of the generation loop over B rows and at most N new tokens."""

    n_steps: Array  # scalar int32, tokens chosen so far in every row
    token: Array  # [B] int32, the last of them
    position: Array  # [B] int32, the token's position
    running: Array  # [B] bool, whether another token follows
    n_written: Array  # [B] int32
    written: Array  # [B, N] int32
    cache: Cache


class Generator:
    """A model that continues prompts, loaded once and compiled once for each shape of a batch.

    Args:
        model_directory: the model, in Hugging Face's layout.
        max_new_tokens: the most tokens to generate per prompt, including the stop token.
        batch_size: prompts per batch.
        numeric_mode: the arithmetic, "portable" or "fast".
        sampling: how the next token is chosen.

    Raises:
        ModelDirectoryError: the model cannot be read.
    """

    def __init__(
        self,
        model_directory: Path,
        *,
        max_new_tokens: int,
        batch_size: int = 64,
        numeric_mode: str,
        sampling: Sampling = GREEDY,
    ) -> None:
        with computing(numeric_mode):
            loaded = load_model(model_directory)
            self.max_length = loaded.config.max_length
            self._max_new_tokens, self._batch_size = max_new_tokens, batch_size
            self._numeric_mode, self._sampling = numeric_mode, sampling
            model = Decoder(loaded.config, numerics_for(numeric_mode), loaded.weights)
            # No row can have more, since each has a prompt.
            n_new = min(max_new_tokens, self.max_length)
            self._run, self._state = _compile(model, n_new, sampling)

    def run(
        self,
        prompts: Sequence[Sequence[int]],
        draws: Sequence[int] | None = None,
        *,
        longest: int = 0,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> list[Generation]:
        """Continue prompts. May be called repeatedly.

        Args:
            prompts: token ids of each prompt.
            draws: a 64-bit integer per prompt that seeds its random numbers: the same prompt and
                integer give the same tokens, whatever the batch composition (always in portable
                mode; in fast mode as far as the logits are the same). Not needed when greedy.
            longest: pad as if one prompt had this many tokens, so that calls share shapes and a
                compiled program.
            on_progress: called after every batch with the number of prompts done and their total.

        Returns:
            A generation for each prompt, in their order.

        Raises:
            PromptError: a prompt is empty or fills the model's max_length.
            ValueError: draws are missing, differ in number from the prompts, or exceed 64 bits.
        """
        with computing(self._numeric_mode):
            _check_prompts(prompts, self.max_length)
            keys = self._keys(len(prompts), draws)
            if not prompts:
                return []
            n_columns = min(_rounded(max(longest, *map(len, prompts))), self.max_length)
            generations: list[Generation] = []
            for start in range(0, len(prompts), self._batch_size):
                rows = slice(start, start + self._batch_size)
                tokens, lengths = _columns(prompts[rows], self._batch_size, n_columns)
                written, n_written = self._run(
                    self._state, tokens, lengths, _padded(keys[rows], self._batch_size)
                )
                n_rows = len(prompts[rows])
                generations += [
                    _generation(row[:n_tokens], self._max_new_tokens)
                    for row, n_tokens in zip(
                        np.asarray(written[:n_rows]).tolist(),
                        np.asarray(n_written[:n_rows]).tolist(),
                        strict=True,
                    )
                ]
                if on_progress is not None:
                    on_progress(len(generations), len(prompts))
            return generations

    def _keys(self, n_prompts: int, draws: Sequence[int] | None) -> NDArray[np.uint32]:
        if self._sampling.is_greedy:
            return np.zeros((n_prompts, 2), np.uint32)
        if draws is None or len(draws) != n_prompts:
            found = "none" if draws is None else f"{len(draws):,}"
            raise ValueError(f"Sampling needs a draw for each of {n_prompts:,} prompts: {found}.")
        return draw_keys(draws)


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


def _padded(keys: NDArray[np.uint32], batch_size: int) -> NDArray[np.uint32]:
    return np.pad(keys, ((0, batch_size - len(keys)), (0, 0)))


def _generation(tokens: Sequence[int], max_new_tokens: int) -> Generation:
    if tokens[-1] in _STOP_TOKENS:
        return Generation(tuple(tokens[:-1]), _STOP_TOKENS[tokens[-1]])
    context_is_full = len(tokens) < max_new_tokens
    return Generation(tuple(tokens), StopReason.CONTEXT if context_is_full else StopReason.LENGTH)


def _compile(
    model: Decoder, max_new_tokens: int, sampling: Sampling
) -> tuple[Callable[[Any, Any, Any, Any], tuple[Array, Array]], Any]:
    """The compiled loop, and the model's state, which is its first argument.

    The others are tokens [B, P] int32, lengths [B] int32 and keys [B, 2] uint32. It returns tokens
    [B, N] int32 and, [B] int32, how many of them are valid in each row.
    """
    graph, state = nnx.split(model)

    @jax.jit
    def run(state: Any, tokens: Array, lengths: Array, keys: Array) -> tuple[Array, Array]:
        decoder = nnx.merge(graph, state)
        batch_size, n_columns = tokens.shape

        def next_token(hidden: Array, index: Array) -> Array:
            return choose(decoder.logits(hidden), keys, index, sampling, decoder.numerics)

        def continues(token: Array, position: Array) -> Array:
            stopped = (token == END_OF_TURN) | (token == EOS)
            return ~stopped & (position + 1 < decoder.config.max_length)

        def body(loop: _Loop) -> _Loop:
            hidden, cache = decoder.extend(
                loop.token[:, None],
                loop.position[:, None],
                jnp.full((batch_size, 1), EXAMPLE_SEGMENT, jnp.int32),
                loop.cache,
                loop.n_steps + (n_columns - 1),
            )
            token, position = next_token(hidden[:, 0], loop.n_steps), loop.position + 1
            return _Loop(
                loop.n_steps + 1,
                token,
                position,
                loop.running & continues(token, position),
                loop.n_written + loop.running.astype(jnp.int32),
                loop.written.at[:, loop.n_steps].set(token),
                cache,
            )

        def any_runs(loop: _Loop) -> Array:
            return (loop.n_steps < max_new_tokens) & jnp.any(loop.running)

        positions = jnp.broadcast_to(jnp.arange(n_columns, dtype=jnp.int32), tokens.shape)
        is_prompt = positions < lengths[:, None]
        segments = jnp.where(is_prompt, jnp.int32(EXAMPLE_SEGMENT), jnp.int32(PADDING_SEGMENT))
        hidden, cache = decoder.begin(tokens, positions, segments, n_columns + max_new_tokens)
        last = hidden[jnp.arange(batch_size, dtype=jnp.int32), jnp.maximum(lengths - 1, 0)]
        token = next_token(last, jnp.zeros((), jnp.int32))
        is_row = lengths > 0
        first = _Loop(
            jnp.ones((), jnp.int32),
            token,
            lengths,
            is_row & continues(token, lengths),
            is_row.astype(jnp.int32),
            jnp.zeros((batch_size, max_new_tokens), jnp.int32).at[:, 0].set(token),
            cache,
        )
        end = lax.while_loop(any_runs, body, first)
        return end.written, end.n_written

    return run, state
