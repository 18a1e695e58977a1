r"""The judge ``math-verify``: compares mathematics written in LaTeX, with the library of that name.

It is a second opinion, not a stricter one: expressions are equal if sympy says so (``\sqrt{8}`` and
``2\sqrt{2}``, ``(x+1)^2`` and ``x^2+2x+1``), numbers if they agree to 6 decimal places.
It reads neither words nor units. The final answer is found as for every judge here, so the judges
differ only in the comparison. The versions of math-verify and sympy are part of the judge's
version.

A comparison that takes longer than 5 seconds counts as wrong, with that reason; it is the only
result here that may depend on the machine.
"""

from __future__ import annotations

import re
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final

from tunixrt.eval.judge.answers import parse_response
from tunixrt.eval.judge.judges import MATH_VERIFY, AnswerJudge, Judgement, shown, unanswered
from tunixrt.extras import MATH, require

if TYPE_CHECKING:
    from collections.abc import Callable

_VERSION: Final = "2"
_TIMEOUT_S: Final = 5
#: What identifies a text as mathematics: a command, an operator, a relation, or a variable alone.
_SIGNS: Final = re.compile(r"[\\^_=+*/<>]|^\s*[A-Za-z]\s*$")


def math_verify_judge() -> AnswerJudge:
    """The judge, with the installed versions.

    Raises:
        MissingExtraError: the library is not installed.
    """
    require(MATH, f"The judge {MATH_VERIFY}")
    import math_verify
    from math_verify.errors import TimeoutException

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
    except Exception as error:  # sympy may raise anything
        reason = f"math-verify cannot compare {compared}: {type(error).__name__}."
        return Judgement(correct=False, reason=reason, parsed=parsed)
    says = "equals" if correct else "does not equal"
    reason = f"By math-verify, the answer {shown(answer)} {says} the expected {shown(expected)}."
    return Judgement(correct=correct, reason=reason, parsed=parsed)


def _read(parse: Callable[..., Any], text: str) -> list[Any]:
    r"""The expression that is parsed; bare LaTeX (``\frac{1}{2}``) is put between dollar signs.

    Not words: between dollar signs they would be products of their letters, and ``Paris`` would be
    ``pairs``.
    """
    bare = "$" not in text and _SIGNS.search(text) is not None
    return list(parse(f"${text}$" if bare else text, parsing_timeout=_TIMEOUT_S))
