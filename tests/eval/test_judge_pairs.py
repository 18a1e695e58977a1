"""Pairs from grammars and of public solutions: how the judge does on them."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from tests.eval import judge_pairs, judge_pairs_held_out
from tests.eval.judge_grammar import Pair, pairs
from tests.eval.judge_pairs_solutions import other_questions, public_labels, solutions_file

if TYPE_CHECKING:
    from collections.abc import Callable

#: The pairs are those that were committed before the judge was changed.
OPEN_DIGEST = "6320c8e18edd30cdd49ceb3662bab7707e7714487b3a1cd33e71fdff84d9b9e7"
HELD_OUT_DIGEST = "5d72703a717b570161a59df115a1bfbb1466ffdc4cdf400e37acf84b586e8eb8"


def open_pairs() -> list[Pair]:
    return list(pairs(judge_pairs.OPEN, judge_pairs.WORDS, judge_pairs.SEED))


def held_out_pairs() -> list[Pair]:
    held_out = judge_pairs_held_out
    return list(pairs(held_out.HELD_OUT, held_out.WORDS, held_out.SEED))


@pytest.mark.parametrize(
    ("made", "digest"), [(open_pairs, OPEN_DIGEST), (held_out_pairs, HELD_OUT_DIGEST)]
)
def test_the_pairs_are_those_that_were_written_before_the_judge(
    made: Callable[[], list[Pair]], digest: str
) -> None:
    text = "\n".join(repr(tuple(pair)) for pair in made())
    assert sha256(text.encode()).hexdigest() == digest


def test_there_are_more_than_a_thousand_pairs_and_no_label_contradicts_another() -> None:
    both = open_pairs() + held_out_pairs()
    labels = {(pair.family, pair.expected, pair.response): pair.correct for pair in both}
    assert len(labels) == len(both) > 1_900
    assert sum(pair.correct for pair in both) > 600


def test_the_public_labels_are_read() -> None:
    path = solutions_file()
    if path is None:
        pytest.skip("the model solutions of GSM8K are not at hand")
    labels = [pair.correct for pair in public_labels(path)]
    assert (len(labels), sum(labels)) == (5_276, 2_001)
    assert [pair.correct for pair in other_questions(path)] == [False] * 2_001
