"""Pairs from grammars and of public solutions: how the judge does on them."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from tests.eval.judge import judge_pairs, judge_pairs_held_out
from tests.eval.judge.judge_grammar import Pair, pairs
from tests.eval.judge.judge_pairs_solutions import other_questions, public_labels, solutions_file
from tunixrt.eval import judge_answer

if TYPE_CHECKING:
    from collections.abc import Callable

#: The pairs are those that were committed before the judge was changed.
OPEN_DIGEST = "6320c8e18edd30cdd49ceb3662bab7707e7714487b3a1cd33e71fdff84d9b9e7"
HELD_OUT_DIGEST = "5d72703a717b570161a59df115a1bfbb1466ffdc4cdf400e37acf84b586e8eb8"


#: Right answers that the judge does not accept: `p` is a letter of algebra more often than pence,
#: and dollars per box are not dollars.
KNOWN_MISSES = {"$5.35 per box", "$8.50 per box", "5p", "75p"}
RUN_ON = {f.name for f in (*judge_pairs.OPEN, *judge_pairs_held_out.HELD_OUT) if f.run_on}


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


def called_right(pair: Pair) -> bool:
    return judge_answer(
        expected=pair.expected,
        response=pair.response,
        stop_at_new_question=pair.family in RUN_ON,
    ).correct


def test_the_pairs_that_were_looked_at_are_judged_as_their_labels_say() -> None:
    assert [pair for pair in open_pairs() if called_right(pair) != pair.correct] == []


def test_the_held_out_pairs_are_judged_as_their_labels_say_but_for_the_known_misses() -> None:
    differ = [pair for pair in held_out_pairs() if called_right(pair) != pair.correct]
    assert {pair.response for pair in differ} == KNOWN_MISSES
    assert all(pair.correct for pair in differ)


def test_every_public_label_agrees_and_no_answer_to_another_question_is_right() -> None:
    path = solutions_file()
    if path is None:
        pytest.skip("the model solutions of GSM8K are not at hand")
    labels = list(public_labels(path))
    assert (len(labels), sum(pair.correct for pair in labels)) == (5_276, 2_001)
    assert [pair for pair in labels if called_right(pair) != pair.correct] == []
    others = list(other_questions(path))
    assert len(others) == 2_001
    assert [pair for pair in others if called_right(pair)] == []
