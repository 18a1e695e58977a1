"""The judge against a table of labelled pairs: how often is it right?"""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

from tunixrt.eval import judge_answer

CASES = Path(__file__).with_name("judge_cases.jsonl")

#: Right answers in words that the judge does not follow, on purpose: reading them would also
#: accept wrong ones (`2 to 3` is a range as often as a ratio).
KNOWN_MISSES = {
    ("William Shakespeare", "Answer: William Shakespeare wrote it."),
    ("2:3", "Answer: 2 to 3"),
    ("3 R 2", "Answer: 3 R2"),
    ("prime", "Answer: It is a prime number"),
    ("jupiter", "Answer: Jupiter (the planet)"),
    ("Mars", "Answer: Mars, the red planet"),
    ("Mercury", "Mercury is the closest planet."),
}


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One expected answer and one response; ``correct`` is what a person says of it."""

    kind: str
    expected: str
    response: str
    correct: bool


def cases() -> list[Case]:
    lines = CASES.read_text(encoding="utf-8").splitlines()
    return [msgspec.convert(json.loads(line), Case) for line in lines]


def test_the_table_holds_hundreds_of_distinct_pairs_of_both_kinds() -> None:
    table = cases()
    assert len({(case.expected, case.response) for case in table}) == len(table)
    assert sum(case.correct for case in table) >= 200
    assert sum(not case.correct for case in table) >= 200


def test_no_wrong_answer_of_the_table_is_called_right() -> None:
    wrong = [case for case in cases() if not case.correct]
    accepted = [c for c in wrong if judge_answer(expected=c.expected, response=c.response).correct]
    assert accepted == []


def test_the_right_answers_of_the_table_are_called_right_but_for_the_known_misses() -> None:
    right = [case for case in cases() if case.correct]
    missed = {
        (c.expected, c.response)
        for c in right
        if not judge_answer(expected=c.expected, response=c.response).correct
    }
    assert missed == KNOWN_MISSES


def test_precision_and_recall_over_the_table() -> None:
    table = cases()
    judged = [judge_answer(expected=c.expected, response=c.response).correct for c in table]
    true_positives = sum(j and c.correct for j, c in zip(judged, table, strict=True))
    assert true_positives / sum(judged) == 1.0
    assert true_positives / sum(c.correct for c in table) > 0.97


def test_every_judgement_of_the_table_says_why_in_one_sentence() -> None:
    for case in cases():
        reason = judge_answer(expected=case.expected, response=case.response).reason
        assert reason.endswith(".")
        assert "\n" not in reason
        assert reason[0].isupper()
