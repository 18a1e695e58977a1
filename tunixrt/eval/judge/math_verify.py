r"""The judge ``math-verify``: compares mathematics written in LaTeX, with the library of that name.

It is a second opinion, not a stricter one: expressions are equal if sympy says so (``\sqrt{8}`` and
``2\sqrt{2}``, ``(x+1)^2`` and ``x^2+2x+1``), numbers if they agree to 6 decimal places.
It reads neither words nor units. The final answer is found as for every judge here, so the judges
differ only in the comparison. The versions of math-verify and sympy are part of the judge's
version.

No verdict depends on the speed of the machine. What is large or slow to compare is not compared,
by limits on the text and on the expression (see `tunixrt.eval.judge.math_limits`), and counts as
wrong, with that reason. A comparison within the limits that takes longer than 2 minutes is an
error, and nothing is published.
"""

from __future__ import annotations

import contextlib
import logging
import re
import signal
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final, NoReturn

from tunixrt.errors import BadInputError
from tunixrt.eval.judge.answers import parse_response
from tunixrt.eval.judge.judges import MATH_VERIFY, AnswerJudge, Judgement, shown, unanswered
from tunixrt.eval.judge.math_limits import (
    beyond_limits,
    solving_beyond_limits,
    text_beyond_limits,
)
from tunixrt.extras import MATH, require

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

_VERSION: Final = "3"
#: Long enough that only a comparison that may never end reaches it.
_PATIENCE_S: Final = 120
#: What identifies a text as mathematics: a command, an operator, a relation, or a variable alone.
_SIGNS: Final = re.compile(r"[\\^_=+*/<>]|^\s*[A-Za-z]\s*$")


class UndecidedError(BadInputError):
    """A comparison did not end, so that the answer has no verdict.

    Attributes:
        expected: the expected answer.
        answer: the answer that was compared with it.
    """

    def __init__(self, expected: str, answer: str) -> None:
        super().__init__(
            f"The judge {MATH_VERIFY} did not decide within {_PATIENCE_S} s whether the answer "
            f"{shown(answer)} equals the expected {shown(expected)}. A verdict must not depend on "
            "the speed of a machine, so nothing was published; the responses are kept, and "
            "`--judge exact` judges them."
        )
        self.expected = expected
        self.answer = answer


class _OutOfPatience(BaseException):
    """Not an Exception, so that no handler in sympy swallows it."""


def math_verify_judge() -> AnswerJudge:
    """The judge, with the installed versions.

    Raises:
        MissingExtraError: the library is not installed.
    """
    require(MATH, f"The judge {MATH_VERIFY}")
    import math_verify

    # It warns that its own time limits are off.
    logging.getLogger("math_verify").setLevel(logging.ERROR)
    versions = [f"{name}-{metadata.version(name)}" for name in ("math-verify", "sympy")]

    def decide(expected: str, response: str, cut: bool) -> Judgement:
        return _decide(math_verify.parse, math_verify.verify, expected, response, cut=cut)

    return AnswerJudge(name=MATH_VERIFY, version="+".join([_VERSION, *versions]), decide=decide)


def _decide(
    parse: Callable[..., Any],
    verify: Callable[..., Any],
    expected: str,
    response: str,
    *,
    cut: bool,
) -> Judgement:
    parsed = parse_response(response)
    problem = unanswered(response, parsed, cut=cut)
    if problem is not None:
        return Judgement(correct=False, reason=problem, parsed=parsed)
    answer = parsed.answer or ""
    try:
        with _patience():
            correct, reason = _compare(parse, verify, expected, answer)
    except _OutOfPatience:
        raise UndecidedError(expected, answer) from None
    return Judgement(correct=correct, reason=reason, parsed=parsed)


def _compare(
    parse: Callable[..., Any], verify: Callable[..., Any], expected: str, answer: str
) -> tuple[bool, str]:
    compared = f"the answer {shown(answer)} with the expected {shown(expected)}"
    sides = []
    for text in (expected, answer):
        beyond = text_beyond_limits(text)
        read = [] if beyond else _read(parse, text)
        beyond = beyond or next(filter(None, map(beyond_limits, read)), None)
        if beyond:
            if expected.strip() == answer.strip():
                return True, f"The answer {shown(answer)} is the expected answer."
            return False, f"math-verify does not compare {compared}: {shown(text)} {beyond}."
        if not read:
            reason = f"math-verify reads no mathematics in {shown(text)}, comparing {compared}."
            return False, reason
        sides.append(read)
    for text, one, other in zip((expected, answer), sides, reversed(sides), strict=True):
        for expression in one:
            if beyond := solving_beyond_limits(expression, other):
                reason = f"math-verify does not compare {compared}: {shown(text)} {beyond}."
                return False, reason
    try:
        correct = bool(verify(*sides, timeout_seconds=None, raise_on_error=True))
    except Exception as error:  # sympy may raise anything
        return False, f"math-verify cannot compare {compared}: {type(error).__name__}."
    says = "equals" if correct else "does not equal"
    return correct, (
        f"By math-verify, the answer {shown(answer)} {says} the expected {shown(expected)}."
    )


def _read(parse: Callable[..., Any], text: str) -> list[Any]:
    r"""The expression that is parsed; bare LaTeX (``\frac{1}{2}``) is put between dollar signs.

    Not words: between dollar signs they would be products of their letters, and ``Paris`` would be
    ``pairs``.
    """
    bare = "$" not in text and _SIGNS.search(text) is not None
    return list(parse(f"${text}$" if bare else text, parsing_timeout=None))


@contextlib.contextmanager
def _patience() -> Iterator[None]:
    """Raise _OutOfPatience in a block that does not end; not outside the main thread."""

    def end(_number: int, _frame: FrameType | None) -> NoReturn:
        raise _OutOfPatience

    try:
        before = signal.signal(signal.SIGALRM, end)
    except (AttributeError, ValueError):  # Windows; another thread
        yield
        return
    signal.alarm(_PATIENCE_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
