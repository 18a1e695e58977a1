"""The optional judge for LaTeX."""

from __future__ import annotations

import signal
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from tunixrt.eval.judge import math_verify as math_judge
from tunixrt.eval.judge.judges import UnknownJudgeError, judge_by_name
from tunixrt.eval.judge.math_limits import MAX_CHARACTERS, MAX_DEPTH
from tunixrt.extras import MissingExtraError


def test_without_the_library_a_sentence_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "math_verify", None)  # what Python does for one that is absent
    with pytest.raises(MissingExtraError, match=r"pip install 'tunixrt\[math\]'"):
        judge_by_name("math-verify")


def test_it_is_among_the_judges_that_are_known() -> None:
    with pytest.raises(
        UnknownJudgeError, match=r"the judges are exact, exact-first, math-verify, reasoning-gym"
    ):
        judge_by_name("math_verify")


def test_the_versions_of_the_libraries_are_its_version() -> None:
    math_verify = pytest.importorskip("math_verify")
    assert math_verify
    judge = judge_by_name("math-verify")
    assert judge.name == "math-verify"
    assert judge.version.startswith("3+math-verify-")
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
        assert options == {"timeout_seconds": None, "raise_on_error": True}
        raise ZeroDivisionError

    judgement = math_judge._decide(lambda text, **_: [text], verify, "1", "Answer: 2", cut=False)
    assert not judgement.correct
    assert judgement.reason == (
        'math-verify cannot compare the answer "2" with the expected "1": ZeroDivisionError.'
    )


@pytest.mark.parametrize(
    ("expected", "why"),
    [
        ("x" * (MAX_CHARACTERS + 1), "has 401 characters, more than 400"),
        ("(" * (MAX_DEPTH + 1) + "x+1" + ")" * (MAX_DEPTH + 1), "has brackets 9 deep"),
        ("x^{x^{x^{x^{x}}}}", "has a tower of powers"),
        ("10^{10^{10}}", "has a power of powers of numbers"),
        ("2^{100000}", "has a power of more than 1,000 digits"),
        ("1000!=y", "has a factorial or binomial of a number above 999"),
        (r"\binom{10,000}{5,000}", "has a factorial or binomial of a number above 999"),
        ("(x+y)^{21}", "has an exponent above 20"),
        ("x^{101}", "has an exponent above 100"),
        (r"\sin(x)^{7}", "has an exponent above 6"),
        (r"\sum_{n=1}^{100000} \frac{1}{n}", "has a computation over a variable (Sum)"),
        (r"\int_0^1 x dx", "has a computation over a variable (Integral)"),
        ("+".join(f"{n}{x}z" for n in (2, 3) for x in "abcdfghjklmnopqrstuvwxy"), "parts, more"),
        (r"+".join(rf"\sin({x})" for x in "abcdfgh"), "has 7 functions, more than 6"),
    ],
)
def test_what_is_slow_to_compare_is_not_compared_on_any_machine(expected: str, why: str) -> None:
    pytest.importorskip("math_verify")
    judge = judge_by_name("math-verify")
    judgement = judge(expected=expected, response=r"\boxed{x+1}")
    assert not judgement.correct
    assert "math-verify does not compare" in judgement.reason
    assert why in judgement.reason
    # From the other side as well, and what is the same text needs no comparison.
    assert why in judge(expected="x+1", response=rf"\boxed{{{expected}}}").reason
    assert judge(expected=expected, response=rf"\boxed{{{expected}}}").correct


@pytest.mark.parametrize(
    ("expected", "answer", "why"),
    [
        (r"\sin x + \cos x = \tan x", "2x = 1", "is an equation or inequality with a function"),
        ("2x = 1", r"\log(x)+x < 3", "is an equation or inequality with a function"),
        (r"\log(x)+x < 3", "1", "is an equation or inequality with a function"),
        (
            "x^5+x^4y+x^3y^2+x^2y^3+xy^4+y^5+x^4+y^4+x^3+y^3=2",
            "2x=1",
            "parts to solve, more than 40",
        ),
    ],
)
def test_what_is_slow_to_solve_is_not_solved(expected: str, answer: str, why: str) -> None:
    pytest.importorskip("math_verify")
    judgement = judge_by_name("math-verify")(expected=expected, response=rf"\boxed{{{answer}}}")
    assert not judgement.correct
    assert "math-verify does not compare" in judgement.reason
    assert why in judgement.reason


@pytest.mark.parametrize(
    ("expected", "answer"),
    [
        (r"y = \sin x", r"y=\sin(x)"),
        ("120", r"\binom{10}{3}"),
        ("x^{99}x", "x^{100}"),
        (r"\sin^6(x)+\cos^6(x)", r"1-3\sin^2(x)\cos^2(x)"),
        ("x^2 = 4", "x^2 - 4 = 0"),
        ("6", r"\log_2 64 = 6"),
    ],
)
def test_what_is_within_the_limits_is_compared(expected: str, answer: str) -> None:
    pytest.importorskip("math_verify")
    judgement = judge_by_name("math-verify")(expected=expected, response=rf"\boxed{{{answer}}}")
    assert "By math-verify, the answer" in judgement.reason


def test_a_comparison_that_does_not_end_is_an_error_and_not_a_verdict() -> None:
    def verify(*_: object, **__: object) -> bool:
        signal.raise_signal(signal.SIGALRM)
        return True

    before = signal.getsignal(signal.SIGALRM)
    with pytest.raises(math_judge.UndecidedError, match="did not decide within 120 s") as caught:
        math_judge._decide(lambda text, **_: [text], verify, "1", "Answer: 2", cut=False)
    assert (caught.value.expected, caught.value.answer) == ("1", "2")
    assert signal.getsignal(signal.SIGALRM) == before


def test_another_thread_gives_the_same_verdict() -> None:
    pytest.importorskip("math_verify")
    judge = judge_by_name("math-verify")
    with ThreadPoolExecutor(1) as other:
        there = other.submit(judge, expected=r"\sqrt{8}", response=r"\boxed{2\sqrt{2}}").result()
    assert there.correct
    assert there == judge(expected=r"\sqrt{8}", response=r"\boxed{2\sqrt{2}}")
