r"""The judge ``math-verify``: compares mathematics written in LaTeX, with the library of that name.

It is a second opinion, not a stricter one: expressions are equal if sympy says so (``\sqrt{8}`` and
``2\sqrt{2}``, ``(x+1)^2`` and ``x^2+2x+1``), numbers if they agree in 6 digits behind the point.
It reads no words and no units. The final answer is found as for every judge here, so the two differ
in the comparison alone. The versions of math-verify and sympy are part of the judge's version.

A comparison that takes longer than 5 seconds counts as wrong, and the reason says so; that is the
one thing here that may depend on the machine.
"""

from __future__ import annotations

import re
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final

from tunixrt.errors import BadInputError
from tunixrt.eval.judge.answers import parse_response
from tunixrt.eval.judge.judges import MATH_VERIFY, AnswerJudge, Judgement, shown, unanswered

if TYPE_CHECKING:
    from collections.abc import Callable

_VERSION: Final = "1"
_TIMEOUT_S: Final = 5
#: What makes a text mathematics: a command, an operator, a relation, or a variable alone.
_SIGNS: Final = re.compile(r"[\\^_=+*/<>]|^\s*[A-Za-z]\s*$")


class MathVerifyMissingError(BadInputError):
    """The optional library is not installed."""

    def __init__(self) -> None:
        super().__init__(
            f"The judge {MATH_VERIFY} needs the package math-verify, which is not installed: "
            "pip install 'tunixrt[math]'."
        )


def math_verify_judge() -> AnswerJudge:
    """The judge, with the versions that are installed.

    Raises:
        MathVerifyMissingError: the library is not installed.
    """
    try:
        import math_verify
        from math_verify.errors import TimeoutException
    except ImportError:
        raise MathVerifyMissingError from None
    versions = [f"{name}-{metadata.version(name)}" for name in ("math-verify", "sympy")]

    def verify(*sides: object, **options: object) -> bool:
        try:
            return bool(math_verify.verify(*sides, **options))
        except TimeoutException as error:  # not an Exception, so that nothing swallows it
            raise TimeoutError from error

    def decide(expected: str, response: str, cut: bool) -> Judgement:
        return _decide(math_verify.parse, verify, expected, response, cut=cut)

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
    wanted, found = (_read(parse, text) for text in (expected, answer))
    compared = f"the answer {shown(answer)} with the expected {shown(expected)}"
    if not wanted or not found:
        unread = expected if not wanted else answer
        reason = f"math-verify reads no mathematics in {shown(unread)}, comparing {compared}."
        return Judgement(correct=False, reason=reason, parsed=parsed)
    try:
        correct = bool(verify(wanted, found, timeout_seconds=_TIMEOUT_S, raise_on_error=True))
    except Exception as error:  # sympy raises whatever comes to its mind
        reason = f"math-verify cannot compare {compared}: {type(error).__name__}."
        return Judgement(correct=False, reason=reason, parsed=parsed)
    says = "equals" if correct else "does not equal"
    reason = f"By math-verify, the answer {shown(answer)} {says} the expected {shown(expected)}."
    return Judgement(correct=correct, reason=reason, parsed=parsed)


def _read(parse: Callable[..., Any], text: str) -> list[Any]:
    r"""What is read of an answer; LaTeX that is bare (``\frac{1}{2}``) is put between dollar signs.

    Not words: between dollar signs they would be products of their letters, and ``Paris`` would be
    ``pairs``.
    """
    bare = "$" not in text and _SIGNS.search(text) is not None
    return list(parse(f"${text}$" if bare else text, parsing_timeout=_TIMEOUT_S))
