"""What a sentence answers: ``She has 12 apples left.`` answers 12.

The readings of a text are tried in turn against the expected answer. A reading is the whole text,
the part behind its only ``is`` or ``are``, its first clause where the expected answer is yes, no or
a letter, and its only number where a number is expected. A sentence that denies or bounds what it
names (``not 12``, ``at least 12``) is read as a whole only.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from tunixrt.eval.judge.markup import plain
from tunixrt.eval.judge.units import known_unit
from tunixrt.eval.judge.values import has_variable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunixrt.eval.judge.values import Listing

_DENIAL: Final = re.compile(
    r"\b(?:not|no|never|neither|nor|cannot|wrong|incorrect|instead|rather|maybe|perhaps|might"
    r"|could|either|between|almost|nearly|barely|unknown)\b|n't\b|[<>≤≥≠±?]"
    r"|\b(?:(?:less|more|fewer|greater|larger|smaller|higher|lower) than|at least|at most|up to"
    r"|over|under|above|below)\s+[-$€£]?\.?\d",
    re.IGNORECASE,
)
_COPULA: Final = re.compile(
    r"\b(?:is|are|was|were|will be|would be|equals|gives|makes|totals)\b\s*:?\s*", re.IGNORECASE
)
#: A reason behind an answer, unless it ends in an answer of its own (`..., so 7`).
_REASON: Final = re.compile(
    r"\s*,?\s+(?:because|since)\b(?!.*\b(?:so|thus|hence|therefore|then)\b).*",
    re.IGNORECASE | re.DOTALL,
)
#: Words that make another number of the one behind them: `half of 12`, `double 12`.
_OPERATION: Final = re.compile(
    r"(?:\b(?:half|thirds?|quarters?|fourths?|fifths?|tenths?|percent|root|square|cube|multiples?"
    r"|factors?|divisors?)\s+of|%\s+of|\b(?:double|twice|triple|thrice|half|square|cube|minus|plus"
    r"|times|than))\s+(?:the\s+|a\s+)?\Z",
    re.IGNORECASE,
)
_SENTENCE: Final = re.compile(r"(?<=[.!?])\s+(?=[A-Z\d$(\\*])")
_CLAUSE_END: Final = re.compile(r"\s*(?:[,.;:)]|\s-\s|—)")
_FIRST_CLAUSE: Final = re.compile(r"yes|no|true|false|[a-z]")
_NUMBER: Final = re.compile(
    r"-?(?:[$€£¥₹]\s?)?-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:\s*/\s*\d+|\s\d+/\d+)?"
)
_BEFORE_NUMBER: Final = re.compile(r"(?:\A|\s)[(\"']?\Z")
_MONTH: Final = re.compile(
    r"\b(?:January|February|March|April|May|June|July|August|September|October|November|December)"
    r"\s+\Z"
)
_ATTACHED: Final = re.compile(r"[^\W\d]+(?:/[^\W\d]+|\^[23])?")
_VARIABLE: Final = re.compile(r"\b([A-Za-z])\s*\Z")
_PHRASE_END: Final = re.compile(
    r"[,.;:!?()\"]|\b(?:in|for|on|at|to|from|with|by|because|since|so|when|that|which|and|as|than"
    r"|each|every|before|after|during|he|she|it|they|we|you|i|his|her|their|has|have|had|was|were"
    r"|is|are|will|would|this|who|then)\b",
    re.IGNORECASE,
)


def readings(answer: str, expected: tuple[Listing, ...], *, guess: bool) -> Iterator[str]:
    """The texts that an answer may stand for, the most literal first.

    Args:
        answer: the final answer as the response gives it.
        expected: the expected answer's alternatives; they say whether a number is looked for.
        guess: whether the answer is only the last line of the response. Then its last sentence is
            read.
    """
    text = plain(answer)
    if not text:
        return
    yield text
    if guess:
        text = plain(_SENTENCE.split(answer.strip())[-1])
        yield text
    items = [item for listing in expected for item in listing.items]
    if any(_FIRST_CLAUSE.fullmatch(item.text) for item in items):
        clause = _first_clause(text)
        if clause:
            yield clause
    text = _REASON.sub("", text)
    numeric = all(item.quantity is not None for item in items)
    name, text = _behind_equals(text) if numeric else ("", text)
    if _DENIAL.search(text):
        return
    parts = _COPULA.split(text)
    if len(parts) == 2 and parts[1]:
        yield name + parts[1]
    number = _only_number(text) if numeric else None
    if number:
        yield name + number


def _first_clause(text: str) -> str | None:
    """``Yes`` of ``Yes, because ...``, ``b`` of ``(B) Paris``; None if the rest takes it back."""
    clause, *rest = _CLAUSE_END.split(text, maxsplit=1)
    if not rest:
        return None
    clause = clause.lstrip("(").casefold()
    others = {"yes", "no", "true", "false"} - {clause}
    said = set(re.findall(r"[a-z]+", rest[0].casefold()))
    return clause if not said & (others | {"or", "wait", "actually"}) else None


def _behind_equals(text: str) -> tuple[str, str]:
    """What stands behind the last equals sign of a sentence, and the variable in front of it."""
    left, equals, right = text.rpartition("=")
    if not equals or has_variable(left) or left.endswith(("<", ">", "!", "=")):
        return "", text
    variable = _VARIABLE.search(left)
    return (f"{variable[1]} = " if variable else ""), right.strip()


def _only_number(text: str) -> str | None:
    """The only number of a text, with the words behind it; None if there are several."""
    match = _NUMBER.search(text)
    if match is None:
        return None
    before, behind = text[: match.start()], text[match.end() :]
    if not _BEFORE_NUMBER.search(before) or _MONTH.search(before) or _OPERATION.search(before):
        return None
    if re.match(r"\s*[-+*/^=×÷]", behind):
        return None
    attached = _ATTACHED.match(behind)
    if attached and not known_unit(attached[0]):
        return None  # `3x` and `3rd`
    rest = behind[attached.end() :] if attached else behind
    if any(character.isdigit() for character in before + rest):
        return None
    end = _PHRASE_END.search(rest)
    phrase = rest[: end.start()] if end else rest
    return match[0] + (attached[0] if attached else "") + _known_beginning(phrase)


def _known_beginning(phrase: str) -> str:
    """``metres`` of ``metres long``: a unit that we know ends where it ends."""
    words = phrase.split()
    for n in range(min(len(words), 4), 0, -1):
        if known_unit(" ".join(words[:n])):
            return " " + " ".join(words[:n])
    return phrase
