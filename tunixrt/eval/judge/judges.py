r"""Judges: is a response right, and why.

A judge reads the expected answer of an eval set and the text that a model generated, and returns a
``Judgement``: ``correct`` and a sentence. Judgements are part of a result's bytes, so a judge has a
name and a version; the version changes whenever the judgement of any answer might.

``exact`` (version 2) compares values, not characters:

- Numbers are exact fractions: ``1,198`` = ``1 198`` = ``1198``, ``0.5`` = ``1/2`` = ``50%``;
  ``0.33`` is not ``1/3``, and ``50`` is not ``50%``. No tolerance.
- Units are names, never converted, but for money: ``50 cents`` is ``$0.50``. If only one side names
  a unit, the number decides (``120`` and ``$120`` answer ``120 km`` and ``120``); if both do, the
  units must be the same.
- Times of day are compared as times: ``8 a.m.`` is ``8:00 AM``.
- ``A or B`` in the expected answer accepts either. In a response every alternative must be right:
  naming the right answer among others is a guess, not an answer.
- Lists need every item in its order; a set in braces (``{2, 3}``) needs them in any order, and so
  do named values (``x = 3, y = 4``).
- Words are compared without letter case, articles, quotes and final punctuation.
- If the response's answer is a sentence, the part after its only ``is`` or ``are``, or its only
  number (the only one in bold), is compared too, unless the sentence denies it, bounds it or makes
  another number of it (``not 12``, ``more than 12``, ``half of 12``). ``12, not 13`` answers 12.
- No number is picked out of mathematics: ``ln 5`` does not answer 5. An equation answers with its
  right side, unless its left side is algebra (``5x = 5``, ``|x| = 5``).
- An answer that was cut off by the end of generation is wrong: ``Answer: 1`` may have become
  ``12``.

``exact-first`` does the same, up to the point where the response starts a new question: see
``tunixrt.eval.judge.run_on``. ``verbatim`` (version 2) compares the final answer character by
character, white space at its ends aside. ``math-verify`` compares LaTeX: see
``tunixrt.eval.judge.math_verify``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import msgspec

from tunixrt.errors import BadInputError
from tunixrt.eval.judge.answers import AnswerForm, ParsedResponse, parse_response, strip_end_tokens
from tunixrt.eval.judge.markup import plain
from tunixrt.eval.judge.not_text import is_text, legible
from tunixrt.eval.judge.quantities import Quantity, same_money
from tunixrt.eval.judge.run_on import before_new_question
from tunixrt.eval.judge.sentences import readings
from tunixrt.eval.judge.units import units_agree
from tunixrt.eval.judge.values import Item, Listing, parse_alternatives, words
from tunixrt.unicode_14 import pin, unpin
from tunixrt.words import quoted, series, shorten, suggestion

_MAX_CHARACTERS: Final = 2_000
_MAX_SHOWN: Final = 80
_MARK: Final = "Answer: "
_EXCLAIMED: Final = re.compile(r"\s*(-?\d+)\s*!+\s*")


class Judgement(msgspec.Struct, frozen=True):
    """A verdict on one response.

    Attributes:
        correct: whether the response is right.
        reason: why, as a sentence.
        parsed: the steps and the final answer that were read from the response.
        graded: the score of a judge that gives more than right and wrong, 0 to 100; else None.
    """

    correct: bool
    reason: str
    parsed: ParsedResponse
    graded: float | None = None

    @property
    def score(self) -> float:
        """0 to 100; of a judge that does not grade, 100 when correct, else 0."""
        if self.graded is not None:
            return self.graded
        return 100.0 if self.correct else 0.0


class AnswerJudge(msgspec.Struct, frozen=True):
    """A judge, by name and version.

    ``decide`` takes the expected answer, the response and whether the generation was cut off.
    """

    name: str
    version: str
    decide: Callable[[str, str, bool], Judgement]

    def __call__(self, *, expected: str, response: str, cut: bool = False) -> Judgement:
        """Judge one response; the same on every version of Python."""
        pinned = pin(expected), pin(response)
        judged = self.decide(*pinned, cut)
        if pinned == (expected, response):
            return judged
        return _as_written(judged, expected, response)


class UnknownJudgeError(BadInputError):
    """A judge that does not exist.

    Attributes:
        name: what was asked for.
    """

    def __init__(self, name: str) -> None:
        known = sorted((*JUDGES, MATH_VERIFY, REASONING_GYM))
        super().__init__(
            f"The judge {quoted(name)} does not exist; the judges are {series(known)}, and your "
            f"own functions, as module:function.{suggestion(name, known)}"
        )
        self.name = name


def _as_written(judged: Judgement, *originals: str) -> Judgement:
    """A judgement of texts with pinned characters, quoted in the original characters."""
    parsed = judged.parsed
    return Judgement(
        correct=judged.correct,
        reason=unpin(judged.reason, *originals),
        parsed=msgspec.structs.replace(
            parsed,
            steps=tuple(unpin(step, *originals) for step in parsed.steps),
            answer=None if parsed.answer is None else unpin(parsed.answer, *originals),
            remainder=unpin(parsed.remainder, *originals),
        ),
    )


def judge_answer(
    *, expected: str, response: str, cut: bool = False, stop_at_new_question: bool = False
) -> Judgement:
    """Judge a response with the judge ``exact``, or with ``exact-first``.

    Args:
        expected: the expected answer of the eval set.
        response: the text that the model generated, or a bare answer.
        cut: whether the generation stopped at its length limit instead of ending its turn.
        stop_at_new_question: whether the response ends where it starts a new question
            (``exact-first``), as base models without a stop token do.
    """
    judge = JUDGES[FIRST_ANSWER if stop_at_new_question else DEFAULT_JUDGE]
    return judge(expected=expected, response=response, cut=cut)


def judge_by_name(name: str) -> AnswerJudge:
    """The judge of that name.

    Raises:
        UnknownJudgeError: it does not exist.
        MissingExtraError: it is ``math-verify``, and the library is not installed.
    """
    if name == MATH_VERIFY:
        from tunixrt.eval.judge.math_verify import math_verify_judge

        return math_verify_judge()
    try:
        return JUDGES[name]
    except KeyError:
        raise UnknownJudgeError(name) from None


def _exact(expected: str, response: str, cut: bool) -> Judgement:
    parsed = parse_response(response)
    problem = unanswered(response, parsed, cut=cut)
    if _verbatim_match(expected, response, parsed, cut=cut):
        reason = f"The answer {shown(expected)} is the expected answer, character by character."
        return Judgement(correct=True, reason=reason, parsed=parsed)
    if problem is not None:
        return Judgement(correct=False, reason=problem, parsed=parsed)
    answer = parsed.answer or ""
    if "\n" in expected.strip():
        return _several_lines(expected, parsed)
    if len(answer) > _MAX_CHARACTERS or len(expected) > _MAX_CHARACTERS:
        reason = (
            f"The answer {shown(answer)} is not the expected {shown(expected)}; answers of more "
            f"than {_MAX_CHARACTERS} characters are compared character by character."
        )
        return Judgement(correct=False, reason=reason, parsed=parsed)
    correct, reason = _compare(expected, answer, parsed.form)
    return Judgement(correct=correct, reason=reason, parsed=parsed)


def _exact_first(expected: str, response: str, cut: bool) -> Judgement:
    first = before_new_question(response)
    # Text before a new question was not cut off, wherever the generation ended.
    return _exact(expected, first, cut and len(first) == len(response))


def unanswered(response: str, parsed: ParsedResponse, *, cut: bool) -> str | None:
    """Why the response has no answer to compare; None if it has one."""
    if not strip_end_tokens(response):
        return "The response is empty."
    if parsed.answer is None:
        return "No final answer was found in the response."
    if cut and parsed.at_end:
        return (
            f"The generation was cut off inside or right after the answer {shown(parsed.answer)},"
            " so it may be incomplete."
        )
    return None


def _verbatim_match(expected: str, response: str, parsed: ParsedResponse, *, cut: bool) -> bool:
    """Whether the final answer has the expected characters and is certainly complete."""
    wanted = expected.strip()
    if not wanted or (cut and parsed.at_end):
        return False
    if wanted in (parsed.answer, parsed.remainder):
        return True
    # An expected answer may itself contain what the parser searches for (an end token, a box).
    text = response.strip()
    texts = (text, text.removesuffix("<end_of_turn>").rstrip(), strip_end_tokens(text))
    heads = [text.removesuffix(wanted) for text in texts if text.endswith(wanted)]
    marked = (head in ("", _MARK) or head.endswith(f"\n{_MARK}") for head in heads)
    return not cut and any(marked) and "<think>" not in heads[0]


def _several_lines(expected: str, parsed: ParsedResponse) -> Judgement:
    correct = words(plain(expected)) == words(plain(parsed.remainder))
    return Judgement(
        correct=correct,
        reason=(
            f"The answer {shown(parsed.remainder)} "
            f"{'matches' if correct else 'is not'} the expected text {shown(expected)}."
        ),
        parsed=parsed,
    )


def _compare(expected: str, answer: str, form: AnswerForm) -> tuple[bool, str]:
    """Compare each reading of the answer; the first right one decides, else the first failure."""
    answer, wanted = _factorial(answer, form), parse_alternatives(plain(_factorial(expected)))
    first_failure = None
    for reading in readings(answer, wanted, guess=form is AnswerForm.LAST_LINE):
        correct, reason = _compare_alternatives(wanted, reading, answer, expected)
        if correct:
            return True, reason
        first_failure = first_failure or reason
    return False, first_failure or _differs(answer, expected, "nothing in it can be read")


def _factorial(text: str, form: AnswerForm = AnswerForm.BOXED) -> str:
    """``5!`` is 120; in a sentence or after ``Answer:`` it is an exclamation."""
    in_prose = form in (AnswerForm.ANSWER_LINE, AnswerForm.SENTENCE)
    match = None if in_prose else _EXCLAIMED.fullmatch(text)
    return f"{match[1]} factorial" if match else text


def _compare_alternatives(
    wanted: tuple[Listing, ...], reading: str, answer: str, expected: str
) -> tuple[bool, str]:
    found = parse_alternatives(reading)
    if not found or not wanted:
        return False, _differs(answer, expected, "nothing is left of it without punctuation")
    for listing in found:
        problems = [_listing_problem(alternative, listing) for alternative in wanted]
        if all(problem is not None for problem in problems):
            if len(found) > 1:
                return False, (
                    f"The response answers {shown(answer)}: of its {len(found)} alternatives, "
                    f"{shown(listing.shown)} is not the expected {shown(expected)}."
                )
            return False, _differs(answer, expected, problems[0] or "")
    return True, f"The answer {shown(answer)} equals the expected {shown(expected)}."


def _differs(answer: str, expected: str, problem: str) -> str:
    return f"The answer {shown(answer)} is not the expected {shown(expected)}: {problem}."


def _listing_problem(wanted: Listing, found: Listing) -> str | None:
    """Why the found list is not the expected one, or None if it is."""
    if len(wanted.items) != len(found.items):
        return f"it has {len(found.items)} values where {len(wanted.items)} are expected"
    if len(wanted.items) == 1:
        return _item_problem(wanted.items[0], found.items[0])
    names = [item.name for item in wanted.items]
    if all(names) and all(item.name for item in found.items):
        return _any_order_problem(wanted, found)
    if not wanted.ordered:
        return _any_order_problem(wanted, found)
    problems = (_item_problem(w, f) for w, f in zip(wanted.items, found.items, strict=True))
    return next((problem for problem in problems if problem), None)


def _any_order_problem(wanted: Listing, found: Listing) -> str | None:
    left = list(found.items)
    for item in wanted.items:
        match = next((other for other in left if _item_problem(item, other) is None), None)
        if match is None:
            return f"{shown(item.shown)} is missing"
        left.remove(match)
    return None


def _item_problem(wanted: Item, found: Item) -> str | None:
    """Why the found value is not the expected one, or None if it is."""
    if wanted.name and found.name and wanted.name != found.name:
        return f"it is a value of {found.name}, not of {wanted.name}"
    if wanted.quantity is None or found.quantity is None:
        # Letter case is part of a unit that only one side could read: `4 m`, `4 M`.
        same_kind = wanted.quantity is None and found.quantity is None
        same = wanted.text == found.text if same_kind else wanted.shown == found.shown
        return None if same else "the texts differ"
    if same_money(wanted.quantity, found.quantity):
        return None
    return _quantity_problem(wanted.quantity, found.quantity)


def _quantity_problem(wanted: Quantity, found: Quantity) -> str | None:
    if wanted.value != found.value:
        return "the numbers differ"
    if wanted.factor != found.factor:
        return "the numbers differ by a factor that is not rational"
    if not units_agree(wanted.unit, found.unit):
        names = [q.unit.name for q in (found, wanted) if q.unit]
        return f"the units differ ({names[0]}, not {names[1]})"
    return None


def shown(text: str) -> str:
    """The text in quotes on one line, shortened; a description where it is not text."""
    if not is_text(text):
        return legible(text)
    line = " ".join(text.split())
    return f'"{shorten(line, _MAX_SHOWN)}"'


def _verbatim(expected: str, response: str, cut: bool) -> Judgement:
    parsed = parse_response(response)
    problem = unanswered(response, parsed, cut=cut)
    if _verbatim_match(expected, response, parsed, cut=cut):
        reason = f"The answer {shown(expected)} is the expected answer, character by character."
        return Judgement(correct=True, reason=reason, parsed=parsed)
    reason = problem or _differs(parsed.answer or "", expected, "the characters differ")
    return Judgement(correct=False, reason=reason, parsed=parsed)


DEFAULT_JUDGE: Final = "exact"
#: As ``exact``, for base models that continue with new questions.
FIRST_ANSWER: Final = "exact-first"
#: Optional: see ``tunixrt.eval.judge.math_verify``.
MATH_VERIFY: Final = "math-verify"
#: Optional, and reads the whole sample: see ``tunixrt.eval.gym``.
REASONING_GYM: Final = "reasoning-gym"
JUDGES: Final = {
    judge.name: judge
    for judge in (
        AnswerJudge(name="exact", version="2", decide=_exact),
        AnswerJudge(name=FIRST_ANSWER, version="2", decide=_exact_first),
        AnswerJudge(name="verbatim", version="2", decide=_verbatim),
    )
}
