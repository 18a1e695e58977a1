"""The optional judge for LaTeX."""

from __future__ import annotations

import sys

import pytest

from tunixrt.eval.judge import math_verify as math_judge
from tunixrt.eval.judge.judges import UnknownJudgeError, judge_by_name
from tunixrt.extras import MissingExtraError


def test_without_the_library_a_sentence_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "math_verify", None)  # what Python does for one that is absent
    with pytest.raises(MissingExtraError, match=r"pip install 'tunixrt\[math\]'"):
        judge_by_name("math-verify")


def test_it_is_among_the_judges_that_are_known() -> None:
    with pytest.raises(
        UnknownJudgeError, match=r"the judges are exact, exact-first, math-verify and verbatim\."
    ):
        judge_by_name("math_verify")


def test_the_versions_of_the_libraries_are_its_version() -> None:
    math_verify = pytest.importorskip("math_verify")
    assert math_verify
    judge = judge_by_name("math-verify")
    assert judge.name == "math-verify"
    assert judge.version.startswith("2+math-verify-")
    assert "+sympy-" in judge.version


@pytest.mark.parametrize(
    ("expected", "response", "correct", "reason"),
    [
        (r"\sqrt{8}", r"So it is $\boxed{2\sqrt{2}}$.", True, "By math-verify, the answer"),
        ("$(x+1)^2$", "Answer: $x^2 + 2x + 1$", True, "equals the expected"),
        (r"\frac{1}{2}", "Answer: 0.5", True, "equals the expected"),
        ("42", "Answer: 43", False, "does not equal the expected"),
        ("Paris", "Answer: Paris", False, 'reads no mathematics in "Paris"'),
        ("x^2 + 1", "Answer: $1 + x^2$", True, "equals the expected"),
        ("x", "Answer: $y$", False, "does not equal"),
        ("1,198", "Answer: 1198", True, "equals"),
        ("42", "Answer: no idea!", False, "reads no mathematics in"),
        ("42", "", False, "The response is empty."),
    ],
)
def test_mathematics_is_compared(expected: str, response: str, correct: bool, reason: str) -> None:
    pytest.importorskip("math_verify")
    judgement = judge_by_name("math-verify")(expected=expected, response=response)
    assert judgement.correct == correct, judgement.reason
    assert reason in judgement.reason


def test_an_answer_that_was_cut_off_is_wrong_here_too() -> None:
    pytest.importorskip("math_verify")
    judge = judge_by_name("math-verify")
    assert not judge(expected="1", response="Answer: 1", cut=True).correct
    assert judge(expected="1", response="Answer: 1").correct


def test_a_comparison_that_breaks_down_is_wrong_and_says_why() -> None:
    def verify(*_: object, **options: object) -> bool:
        assert options == {"timeout_seconds": 5, "raise_on_error": True}
        raise TimeoutError

    judgement = math_judge._decide(lambda text, **_: [text], verify, "1", "Answer: 2", cut=False)
    assert not judgement.correct
    assert judgement.reason == (
        'math-verify cannot compare the answer "2" with the expected "1": TimeoutError.'
    )
