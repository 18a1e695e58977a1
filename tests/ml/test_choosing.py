"""Choosing the next token: the right frequencies, the right nucleus, the same bits everywhere."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats  # type: ignore[import-untyped]

from tunixrt.ml import environment
from tunixrt.ml.choosing import choose, draw_keys, uniform
from tunixrt.ml.numerics import numerics_for
from tunixrt.runs.sampling import Sampling

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

N_TOKENS = 261


@pytest.fixture(params=["fast", "portable"])
def mode(request: pytest.FixtureRequest) -> Iterator[str]:
    environment.prepare(request.param)
    yield request.param
    environment.prepare("fast")


def chosen(
    logits: Any, draws: Sequence[int], sampling: Sampling, mode: str, index: int = 0
) -> NDArray[np.int32]:
    """The tokens for rows of logits [B, V], or for one row of logits [V] and many draws."""
    rows = np.broadcast_to(np.asarray(logits, np.float32), (len(draws), np.shape(logits)[-1]))
    return np.asarray(_compiled(mode, sampling)(rows, draw_keys(draws), jnp.int32(index)))


@cache
def _compiled(mode: str, sampling: Sampling) -> Any:
    numerics = numerics_for(mode)
    return jax.jit(lambda logits, keys, index: choose(logits, keys, index, sampling, numerics))


def some_logits(seed: int = 0) -> NDArray[np.float32]:
    return (2 * np.random.default_rng(seed).standard_normal(N_TOKENS)).astype(np.float32)


def probabilities(logits: NDArray[np.float32], sampling: Sampling) -> NDArray[np.float64]:
    """By definition, in float64: softmax, and the tail beyond top_p cut off."""
    weights = np.exp((logits.astype(np.float64) - logits.max()) / sampling.temperature)
    shares = weights / weights.sum()
    kept = np.zeros(len(logits), bool)
    total = 0.0
    for token in np.argsort(-logits, kind="stable"):
        if total >= sampling.top_p:
            break
        kept[token] = True
        total += shares[token]
    cut: NDArray[np.float64] = np.where(kept, shares, 0) / shares[kept].sum()
    return cut


@pytest.mark.parametrize(
    "sampling", [Sampling(1.0), Sampling(0.6), Sampling(1.7, 0.8), Sampling(1.0, 0.3)], ids=repr
)
def test_tokens_are_drawn_as_often_as_the_softmax_says(sampling: Sampling, mode: str) -> None:
    n_draws = 20_000
    logits = some_logits()
    expected = probabilities(logits, sampling) * n_draws
    found = np.bincount(chosen(logits, range(n_draws), sampling, mode), minlength=N_TOKENS)
    assert found[expected == 0].sum() == 0
    # The test needs at least five expected in a class; the rest go together.
    often = expected >= 5
    classes = [np.append(counts[often], counts[~often].sum()) for counts in (found, expected)]
    if classes[1][-1] == 0:
        classes = [counts[:-1] for counts in classes]
    assert stats.chisquare(*classes).pvalue > 0.01


def test_draws_of_one_key_at_many_places_are_as_often_right_too(mode: str) -> None:
    shares = np.array([0.5, 0.3, 0.2])
    logits = np.log(shares)
    found = np.concatenate(
        [chosen(logits, range(50), Sampling(1.0), mode, index=place) for place in range(100)]
    )
    assert stats.chisquare(np.bincount(found), shares * 5_000).pvalue > 0.01


@pytest.mark.parametrize(
    ("top_p", "kept"),
    [
        (0.5, {1}),  # reached exactly: the next one is out
        (0.5001, {1, 3}),
        (0.75, {1, 3}),
        (0.7501, {0, 1, 3}),  # 0 and 2 are equal: the lower id comes first
        (0.8751, {0, 1, 2, 3}),
        (1.0, {0, 1, 2, 3}),
        (1e-9, {1}),  # there is always one
    ],
)
def test_top_p_keeps_the_fewest_likeliest_tokens_that_reach_it(
    top_p: float, kept: set[int], mode: str
) -> None:
    # Powers of two, whose logarithms to the base two are the weights of temperature 1 / ln 2.
    logits = [-2.0, 0.0, -2.0, -1.0, -90.0]
    drawn = chosen(logits, range(400), Sampling(1 / np.log(2), top_p), mode)
    assert set(drawn.tolist()) == kept


def test_a_cold_temperature_is_greedy(mode: str) -> None:
    rows = np.stack([some_logits(seed) for seed in range(50)])
    cold = chosen(rows, range(50), Sampling(0.01), mode)
    greedy = chosen(rows, range(50), Sampling(), mode)
    assert (greedy == rows.argmax(-1)).all()
    assert (cold == greedy).mean() > 0.95


def test_equal_logits_are_told_apart_by_their_ids() -> None:
    assert chosen([1.0, 3.0, 3.0, 2.0], [0], Sampling(), "fast").tolist() == [1]


def test_a_draw_knows_its_key_and_its_place_and_nothing_else(mode: str) -> None:
    rows = np.stack([some_logits(seed) for seed in range(64)])
    draws = [(seed * 0x9E3779B97F4A7C15) % 2**64 for seed in range(64)]
    together = chosen(rows, draws, Sampling(1.0, 0.9), mode, index=7)
    for size in (1, 2, 8, 32):
        part = slice(size, 2 * size)
        alone = chosen(rows[part], draws[part], Sampling(1.0, 0.9), mode, index=7)
        assert alone.tolist() == together[part].tolist()
    elsewhere = chosen(rows, draws, Sampling(1.0, 0.9), mode, index=8)
    assert (elsewhere != together).mean() > 0.5
    others = chosen(rows, [draw ^ 1 << 40 for draw in draws], Sampling(1.0, 0.9), mode, index=7)
    assert (others != together).mean() > 0.5


def threefry(key: tuple[int, int], counter: tuple[int, int]) -> tuple[int, int]:
    """Threefry-2x32 with 20 rounds in plain integers, as in the paper's section 4.2."""
    word = 1 << 32
    schedule = [*key, key[0] ^ key[1] ^ 0x1BD11BDA]
    x, y = ((part + add) % word for part, add in zip(counter, key, strict=True))
    for block in range(5):
        for rotation in ((13, 15, 26, 6), (17, 29, 16, 24))[block % 2]:
            x = (x + y) % word
            y = ((y << rotation) | (y >> (32 - rotation))) % word ^ x
        x = (x + schedule[(block + 1) % 3]) % word
        y = (y + schedule[(block + 2) % 3] + block + 1) % word
    return x, y


def test_threefry_in_plain_integers_gives_the_published_answers() -> None:
    # Known answers of the authors' Random123: zeros, ones, digits of pi.
    assert threefry((0, 0), (0, 0)) == (0x6B200159, 0x99BA4EFE)
    assert threefry((2**32 - 1,) * 2, (2**32 - 1,) * 2) == (0x1CB996FC, 0xBB002BE7)
    assert threefry((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3)) == (0xC4923A9C, 0x483DF7A0)


def test_uniform_numbers_are_the_first_bits_of_threefry(mode: str) -> None:
    draws = [0, 1, 2**63 + 12345, 2**64 - 1]
    for index in (0, 1, 77):
        numbers = uniform(jnp.asarray(draw_keys(draws)), jnp.int32(index), np.dtype(np.float32))
        expected = [
            (threefry((draw >> 32, draw % 2**32), (0, index))[0] >> 8) / 2**24 for draw in draws
        ]
        assert np.asarray(numbers).tolist() == expected


@pytest.mark.parametrize("draw", [-1, 2**64])
def test_a_draw_has_64_bits(draw: int) -> None:
    with pytest.raises(ValueError, match=f"A draw is an integer of 64 bits, found {draw}"):
        draw_keys([3, draw])


def test_running_sums_are_exact_in_portable_mode() -> None:
    environment.prepare("portable")
    weights = np.random.default_rng(0).random((4, 1000)).astype(np.float32) ** 8
    sums = np.asarray(jax.jit(numerics_for("portable").running_sum)(weights))
    environment.prepare("fast")
    n_bits = 53 - 10
    units = np.rint(weights.astype(np.float64) * 2.0**n_bits).astype(np.int64)
    assert (sums * 2.0**n_bits == np.cumsum(units, axis=-1)).all()
    assert all((np.diff(row) >= 0).all() for row in sums)
    assert all(before <= after for row in sums for before, after in pairwise(row))
