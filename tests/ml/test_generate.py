"""Generation: what it writes, why it stops, and that batching changes nothing."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.making.models import sliding_config
from tests.sweeps import swept
from tunixrt.ml import environment
from tunixrt.ml.choosing import choose, draw_keys
from tunixrt.ml.generate import Generation, Generator, PromptError, StopReason
from tunixrt.ml.model import Decoder, initial_weights
from tunixrt.ml.numerics import numerics_for
from tunixrt.ml.tokenizer import END_OF_TURN, EOS, ByteTokenizer
from tunixrt.ml.weights import load_model, save_model
from tunixrt.runs.sampling import Sampling

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("fast_mode")

PROMPTS = [[2, 3, 70], [2, 9, 9, 80, 90, 100, 7], [2], [5, 200], [2, 3, 71]]


@pytest.fixture(scope="module")
def model_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("model")
    config = sliding_config(n_layers=2)
    save_model(directory, initial_weights(config, 4), config, ByteTokenizer())
    return directory


def run(
    directory: Path, prompts: Sequence[Sequence[int]], *, new: int = 12, batch_size: int = 4
) -> list[Generation]:
    return Generator(directory, max_new_tokens=new, batch_size=batch_size, numeric_mode="fast").run(
        prompts
    )


def slowly(directory: Path, prompt: Sequence[int], n_new: int) -> list[int]:
    """The same by definition: the likeliest token after a full forward pass, n times."""
    loaded = load_model(directory)
    model = Decoder(loaded.config, numerics_for("fast"), loaded.weights)
    graph, state = nnx.split(model)
    length = len(prompt) + n_new
    positions = jnp.arange(length, dtype=jnp.int32)[None]

    @jax.jit
    def likeliest(tokens: jax.Array) -> jax.Array:
        merged = nnx.merge(graph, state)
        return jnp.argmax(merged.logits(merged(tokens, positions, jnp.ones_like(tokens))), axis=-1)

    tokens = np.zeros((1, length), np.int32)
    tokens[0, : len(prompt)] = prompt
    for place in range(len(prompt), length):
        tokens[0, place] = np.asarray(likeliest(tokens))[0, place - 1]
    return [int(token) for token in tokens[0, len(prompt) :]]


def test_generation_takes_the_likeliest_token_of_the_full_forward_pass(
    model_directory: Path,
) -> None:
    generations = run(model_directory, PROMPTS[:2])
    for prompt, generation in zip(PROMPTS, generations, strict=False):
        assert generation.stop_reason is StopReason.LENGTH
        assert list(generation.tokens) == slowly(model_directory, prompt, 12)


def test_the_answer_to_a_prompt_depends_on_neither_its_batch_nor_its_neighbours(
    model_directory: Path,
) -> None:
    together = run(model_directory, PROMPTS)
    assert len(together) == len(PROMPTS)
    assert run(model_directory, PROMPTS[::-1], batch_size=5)[::-1] == together
    assert run(model_directory, PROMPTS[1:2], batch_size=1) == together[1:2]


@pytest.fixture
def portable_mode(fast_mode: None) -> Iterator[None]:
    environment.prepare("portable")
    yield
    environment.prepare("fast")


def sampled(directory: Path, batch_size: int) -> Generator:
    return Generator(
        directory,
        max_new_tokens=6,
        batch_size=batch_size,
        numeric_mode="portable",
        sampling=Sampling(1.3, 0.95),
    )


DRAWS = [7, 2**64 - 1, 7, 0, 12_345_678_901_234_567_890]


@pytest.fixture(scope="module")
def alone(model_directory: Path) -> Iterator[list[tuple[int, ...]]]:
    """The tokens for each prompt by the definition of a draw: logits of the whole row so far."""
    environment.prepare("portable")
    yield drawn_alone(model_directory)
    environment.prepare("fast")


def drawn_alone(model_directory: Path) -> list[tuple[int, ...]]:
    loaded = load_model(model_directory)
    numerics = numerics_for("portable")
    graph, state = nnx.split(Decoder(loaded.config, numerics, loaded.weights))
    positions = jnp.arange(24, dtype=jnp.int32)[None]

    @jax.jit
    def drawn(tokens: jax.Array, place: jax.Array, key: jax.Array, index: jax.Array) -> jax.Array:
        model = nnx.merge(graph, state)
        hidden = model(tokens, positions, jnp.ones_like(tokens))
        return choose(model.logits(hidden[:, place]), key, index, Sampling(1.3, 0.95), numerics)[0]

    def continued(prompt: list[int], draw: int) -> tuple[int, ...]:
        row = list(prompt)
        for index in range(6):
            tokens = np.zeros((1, 24), np.int32)
            tokens[0, : len(row)] = row
            row.append(int(drawn(tokens, len(row) - 1, draw_keys([draw]), index)))
            assert row[-1] not in {END_OF_TURN, EOS}
        return tuple(row[len(prompt) :])

    return [continued(prompt, draw) for prompt, draw in zip(PROMPTS, DRAWS, strict=True)]


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", swept([8, 2, 1, 32, 64], every=2))
@pytest.mark.usefixtures("portable_mode")
def test_drawn_tokens_depend_on_neither_batch_nor_order(
    model_directory: Path, alone: list[tuple[int, ...]], batch_size: int
) -> None:
    generator = sampled(model_directory, batch_size)
    together = generator.run(PROMPTS, DRAWS)
    assert [one.tokens for one in together] == alone
    backwards = generator.run(PROMPTS[::-1], DRAWS[::-1])
    assert backwards[::-1] == together
    assert generator.run(PROMPTS[:2], DRAWS[:2]) == together[:2]


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", swept([8, 1, 64], every=3))
@pytest.mark.usefixtures("portable_mode")
def test_drawn_tokens_do_not_depend_on_padding(
    model_directory: Path, alone: list[tuple[int, ...]], batch_size: int
) -> None:
    # The prompt of 20 tokens pads the others to another length.
    found = sampled(model_directory, batch_size).run([[2] * 20, *PROMPTS[2:]], [1, *DRAWS[2:]])
    assert [one.tokens for one in found[1:]] == alone[2:]


@pytest.mark.usefixtures("portable_mode")
def test_the_same_prompt_with_the_same_draw_gives_the_same_tokens(model_directory: Path) -> None:
    first, second, third = sampled(model_directory, 8).run([[2, 3, 70]] * 3, [5, 6, 5])
    assert first == third
    assert first != second


@pytest.mark.parametrize(
    ("draws", "problem"),
    [(None, "5 prompts: none"), ([1, 2], "5 prompts: 2"), ([0, 0, 0, 0, 2**64], "64 bits")],
)
def test_sampling_needs_a_draw_for_each_prompt(
    model_directory: Path, draws: list[int] | None, problem: str
) -> None:
    generator = Generator(
        model_directory, max_new_tokens=2, numeric_mode="fast", sampling=Sampling(1.0)
    )
    with pytest.raises(ValueError, match=problem):
        generator.run(PROMPTS, draws)


def test_generation_ends_where_the_context_does(model_directory: Path) -> None:
    long, short = run(model_directory, [[2] * 60, [2]], new=10)
    assert (len(long.tokens), long.stop_reason) == (4, StopReason.CONTEXT)
    assert (len(short.tokens), short.stop_reason) == (10, StopReason.LENGTH)


@pytest.mark.parametrize(
    ("stopping", "reason"), [(END_OF_TURN, StopReason.END_OF_TURN), (EOS, StopReason.EOS)]
)
def test_generation_ends_at_a_stopping_token_and_leaves_it_out(
    tmp_path: Path, stopping: int, reason: StopReason
) -> None:
    # One layer that adds nothing: a token's successor is decided by the embeddings alone.
    config = sliding_config()
    one_layer = config.architecture.model_copy(update={"num_hidden_layers": 1})
    config = dataclasses.replace(config, architecture=one_layer)
    weights = {
        name: np.full_like(tensor, -1.0 if name.endswith("norm.weight") else 0.0)
        for name, tensor in initial_weights(config, 0).items()
    }
    weights["model.norm.weight"][:] = 0.0
    table = weights["model.embed_tokens.weight"]
    # Byte 70 points to itself and, more strongly, to 71; 71 to the stopping token.
    table[70, 0], table[71, :2], table[stopping, 1] = 1.0, (2.0, 1.0), 9.0
    save_model(tmp_path, weights, config, ByteTokenizer())
    assert run(tmp_path, [[70]]) == [Generation((71,), reason)]


def test_progress_is_reported_after_every_batch(model_directory: Path) -> None:
    reports: list[tuple[int, int]] = []
    generator = Generator(model_directory, max_new_tokens=12, batch_size=4, numeric_mode="fast")
    generator.run(PROMPTS, on_progress=lambda done, total: reports.append((done, total)))
    assert reports == [(4, 5), (5, 5)]


def test_no_prompt_gives_no_generation(model_directory: Path) -> None:
    assert run(model_directory, []) == []


@pytest.mark.parametrize(
    ("prompt", "problem"),
    [([], "Prompt number 2 is empty"), ([2] * 64, "Prompt number 2 has 64 tokens")],
)
def test_a_prompt_that_cannot_be_continued_is_an_error(
    model_directory: Path, prompt: list[int], problem: str
) -> None:
    with pytest.raises(PromptError, match=problem) as caught:
        run(model_directory, [[2], prompt])
    assert caught.value.number == 1
