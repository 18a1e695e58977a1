"""Several responses to one sample: their random numbers, pass@k and the majority vote.

A response is drawn from a 64-bit number, the first 8 bytes, big-endian, of the SHA-256 of JCS
``["draw", seed, sample id, n]``, where ``n`` counts the responses to the sample from 0. So a
response does not change when samples are added, or more are drawn.

Votes are counted by value: ``$12``, ``12.00`` and ``twelve`` are one answer, for every judge;
units are left out. A response without an answer does not vote, the first drawn wins a tie, and the
winner is right if the first response that gave it was judged right. Where no response votes, the
sample is wrong. This is the self-consistency of Wang et al. 2022, arXiv:2203.11171.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from tunixrt.eval.compare.statistics import pass_at_k
from tunixrt.eval.judge.markup import plain
from tunixrt.eval.judge.values import parse_alternatives
from tunixrt.log.digests import digest_value, hex_of
from tunixrt.unicode_14 import pin

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from tunixrt.eval.judge.values import Item
    from tunixrt.runs.lines import Prediction


def draw_number(seed: int, sample_id: str, n: int) -> int:
    """The number, 0 to 2^64 - 1, that decides the ``n``-th response to a sample."""
    return int(hex_of(digest_value(["draw", seed, sample_id, n]))[:16], 16)


def by_sample(predictions: Iterable[Prediction]) -> list[tuple[Prediction, ...]]:
    """The predictions grouped by sample; samples in order of their first prediction."""
    groups: dict[str, list[Prediction]] = {}
    for prediction in predictions:
        groups.setdefault(prediction.example_id, []).append(prediction)
    return [tuple(group) for group in groups.values()]


def are_drawn(predictions: Sequence[Prediction]) -> bool:
    """Whether the responses were sampled."""
    return any(prediction.draw is not None for prediction in predictions)


def numbers_of_tries(n_draws: int) -> list[int]:
    """The values of k for which pass@k is reported: 1, 2, 4, ... and the number of draws."""
    return [*(1 << i for i in range(n_draws.bit_length()) if 1 << i < n_draws), n_draws]


def pass_at(responses: Sequence[Prediction], k: int) -> float:
    """The unbiased estimate, 0 to 100, that one of ``k`` responses to this sample is right."""
    n_right = sum(response.correct for response in responses)
    return 100 * pass_at_k(len(responses), n_right, k)


def majority(responses: Sequence[Prediction]) -> Prediction | None:
    """The first response that gave the most frequent answer; None if no response gave one."""
    voters: dict[Hashable, Prediction] = {}
    votes: Counter[Hashable] = Counter()
    for response in responses:
        if response.parsed_answer is not None:
            key = answer_key(response.parsed_answer)
            voters.setdefault(key, response)
            votes[key] += 1
    # most_common keeps the order of first votes among equals.
    return voters[votes.most_common(1)[0][0]] if votes else None


def answer_key(answer: str) -> Hashable:
    """A key that is equal for answers that count as the same vote."""
    return tuple(
        tuple(_value(item) for item in listing.items)
        if listing.ordered
        else frozenset(_value(item) for item in listing.items)
        for listing in parse_alternatives(plain(pin(answer)))
    )


def _value(item: Item) -> Hashable:
    if item.quantity is None:
        return item.name, item.text
    return item.name, item.quantity.value, item.quantity.factor
