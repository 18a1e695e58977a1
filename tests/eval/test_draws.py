"""Several responses to a sample: their numbers, the vote, pass@k."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec
import pytest
import rfc8785

from tests.making.predictions import prediction
from tunixrt.eval.compare.draws import (
    answer_key,
    by_sample,
    draw_number,
    majority,
    numbers_of_tries,
    pass_at,
)

if TYPE_CHECKING:
    from tunixrt.runs.lines import Prediction


def responses(*answers: str | None, right: str = "2") -> list[Prediction]:
    """Responses to one sample, right where they say ``right``."""
    return [
        msgspec.structs.replace(
            prediction("s", answer is not None and answer_key(answer) == answer_key(right)),
            parsed_answer=answer,
            draw=n,
        )
        for n, answer in enumerate(answers)
    ]


def test_the_number_of_a_draw_is_what_the_module_says() -> None:
    text = rfc8785.dumps(["draw", 7, "sample ä", 3])
    assert draw_number(7, "sample ä", 3) == int.from_bytes(hashlib.sha256(text).digest()[:8], "big")
    numbers = {draw_number(seed, name, n) for seed in (0, 1) for name in "ab" for n in range(3)}
    assert len(numbers) == 12


def test_predictions_are_grouped_by_sample_in_their_order() -> None:
    one, other = prediction("x", True), prediction("y", False)
    assert by_sample([one, other, one]) == [(one, one), (other,)]


@pytest.mark.parametrize(
    ("n", "ks"), [(1, [1]), (2, [1, 2]), (3, [1, 2, 3]), (8, [1, 2, 4, 8]), (10, [1, 2, 4, 8, 10])]
)
def test_pass_at_k_is_reported_at_powers_of_two_and_at_all_draws(n: int, ks: list[int]) -> None:
    assert numbers_of_tries(n) == ks


def test_pass_at_k_of_a_sample_is_chens_estimate() -> None:
    drawn = responses("2", "3", "2", "5")
    assert pass_at(drawn, 1) == 50.0
    assert pass_at(drawn, 2) == pytest.approx(100 * (1 - 1 / 6))
    assert pass_at(drawn, 3) == 100.0


@pytest.mark.parametrize(
    ("answers", "draw"),
    [
        (("3", "2", "2"), 1),
        (("3", "2.0", "1", "$2"), 1),  # one value is one vote
        (("3", "2"), 0),  # the first drawn wins a tie
        ((None, None, "2"), 2),  # no answer, no vote
        (("Paris", "the paris", "London"), 0),
        (("{2, 3}", "{3, 2}", "3, 2"), 0),
        (("3, 2", "{2, 3}", "{3, 2}"), 1),
    ],
)
def test_the_most_frequent_answer_wins(answers: tuple[str | None, ...], draw: int) -> None:
    winner = majority(responses(*answers))
    assert winner is not None
    assert winner.draw == draw


def test_without_an_answer_there_is_no_winner() -> None:
    assert majority(responses(None, None)) is None
