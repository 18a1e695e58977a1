"""The answer that a sentence gives: ``She has 12 apples left.`` answers 12.

The readings of a text are tried in turn against the expected answer. A reading is the whole text,
the part after its only ``is`` or ``are``, its first clause where the expected answer is yes, no or
a letter, and where a number (a time of day) is expected, its only one, or the only one in bold. A
sentence that denies or bounds what it names (``not 12``, ``at least 12``) is read only as a whole,
except for contrasts that also name the answer (``12, not 13``): see
``tunixrt.eval.judge.contrasts``.
Mathematics is not a sentence: no number is picked out of ``ln 5`` or ``|x| = 5``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from tunixrt.eval.judge.algebra import has_variable
from tunixrt.eval.judge.clock import only_clock, parse_clock
from tunixrt.eval.judge.contrasts import without_contrast
from tunixrt.eval.judge.markup import plain
from tunixrt.eval.judge.units import FUNCTIONS, known_unit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunixrt.eval.judge.values import Listing

_DENIAL: Final = re.compile(
    r"\b(?:not|no|never|neither|nor|cannot|wrong|incorrect|instead|rather|maybe|perhaps|might"
    r"|could|either|between|almost|nearly|barely|unknown|possibly|close to|near|used to|formerly"
    r"|(?:anything|everything|all) but)\b|n't\b|[<>≤≥≠±?]"
    r"|\d\+|\b(?:at most|at least|or (?:more|less|fewer|so|above|below|higher|lower))\Z"
    r"|\b(?:(?:less|more|fewer|greater|larger|smaller|higher|lower) than|at least|at most|up to"
    r"|over|under|above|below)\s+[-$€£]?\.?\d"
    r"|\bthan [a-z]\b",
    re.IGNORECASE,
)
_OR: Final = re.compile(r"\bor\b", re.IGNORECASE)
_COPULA: Final = re.compile(
    r"\b(?:is|are|was|were|will be|would be|equals|gives|makes|totals)\b\s*:?\s*", re.IGNORECASE
)
#: A reason after an answer, unless it ends in an answer of its own (`..., so 7`).
_REASON: Final = re.compile(
    r"\s*,?\s+(?:because|since)\b(?!.*\b(?:so|thus|hence|therefore|then)\b).*",
    re.IGNORECASE | re.DOTALL,
)
#: A remark in parentheses that names the origin of the answer, and offers no other.
_REMARK: Final = re.compile(
    r"\s*\((?:from|since|because|rounded|as|given|i\.e\.|that is|including|counting|with|after"
    r"|before)\b"
    r"(?![^()]*\b(?:or|if|not|maybe|perhaps|but)\b)[^()]*\)\Z",
    re.IGNORECASE,
)
#: Words that turn the number after them into another one: `half of 12`, `double 12`.
_OPERATION: Final = re.compile(
    r"(?:\b(?:half|thirds?|quarters?|fourths?|fifths?|tenths?|percent|root|square|cube|multiples?"
    r"|factors?|divisors?|(?:co)?sine|(?:co)?tangent|logarithm|reciprocal|negative|opposite|inverse"
    r"|factorial|exponential|absolute value|complement)\s+of|%\s+of"
    r"|\b(?:double|twice|triple|thrice|half|square|cube|root|minus|plus|times|than|(?-i:Re|Im)))\s+(?:the\s+|a\s+)?\Z",
    re.IGNORECASE,
)
_SENTENCE: Final = re.compile(r"(?<=[.!?])\s+(?=[A-Z\d$(\\*])")
_CLAUSE_END: Final = re.compile(r"\s*(?:[,.;:)]|\s-\s|—)")
_FIRST_CLAUSE: Final = re.compile(r"yes|no|true|false|[a-z]")
_NUMBER: Final = re.compile(
    r"-?(?:[$€£¥₹]\s?)?-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:\s*/\s*\d+|\s\d+/\d+)?"
)
#: A sentence that contains one of these is mathematics.
_MATHEMATICS: Final = re.compile(
    rf"[\\|^_{{}}\[\]=√∛∑∏∫]|\b(?:{FUNCTIONS}|mod|choose|factorial|squared|cubed)\b", re.IGNORECASE
)
#: What turns the number before it into another one: `12 + 1`, `5 and a half`.
_CHANGED: Final = re.compile(r"\s*(?:[-+*/^=×÷!]|and\s+(?:an?|one|two|three|\d)\b)", re.IGNORECASE)
#: One segment in bold, as ``readings`` marks it.
_BOLD: Final = re.compile(
    r"(?P<sign>\*\*|__)(?=\S)(?P<text>[^*_\n]+)(?<=\S)(?P=sign)"
    r"|<(?P<tag>b|strong)>(?P<tagged>[^<>\n]+)</(?P=tag)>"
)
_BOLD_BEGINS, _BOLD_ENDS = "\ue000", "\ue001"
#: A number after one of these is a reference, not an answer: `Step 5`, `see equation 5`.
_LABEL: Final = re.compile(
    r"\b(?:step|problem|question|page|chapter|equation|eq\.|figure|fig\.|table|line|exercise|example"
    r"|section)\s+\Z",
    re.IGNORECASE,
)
_BEFORE_NUMBER: Final = re.compile(r"(?:\A|\s)[(\"']?\Z")
_MONTH: Final = re.compile(
    r"\b(?:January|February|March|April|May|June|July|August|September|October|November|December)"
    r"\s+\Z"
)
_ATTACHED: Final = re.compile(r"[^\W\d]+(?:/[^\W\d]+|\^[23])?")
_VARIABLE: Final = re.compile(r"\b([A-Za-z])\s*\Z")
_CLAUSE: Final = re.compile(
    r"[,;:.]\s|\b(?:so|thus|hence|then|therefore|and)\b|⇒|→|=>", re.IGNORECASE
)
_NAMED: Final = re.compile(r"(?<![\w)])[A-Za-z]\s*=\s*[-$\d]")
_PHRASE_END: Final = re.compile(
    r"[,.;:!?()\"]|\b(?:in|for|on|at|to|from|with|by|because|since|so|when|that|which|and|as|than"
    r"|each|every|before|after|during|he|she|it|they|we|you|i|his|her|their|has|have|had|was|were"
    r"|is|are|will|would|this|who|then)\b",
    re.IGNORECASE,
)


def readings(answer: str, expected: tuple[Listing, ...], *, guess: bool) -> Iterator[str]:
    """The readings of an answer, the most literal first.

    Args:
        answer: the final answer as the response gives it.
        expected: the expected answer's alternatives; they decide whether a number is searched for.
        guess: whether the answer is only the last line of the response. Then its last sentence is
            read.
    """
    text = plain(answer)
    if not text:
        return
    yield text
    if guess:
        answer = _SENTENCE.split(answer.strip())[-1]
        text = plain(answer)
        yield text
    items = [item for listing in expected for item in listing.items]
    if any(_FIRST_CLAUSE.fullmatch(item.text) for item in items):
        clause = _first_clause(text)
        if clause:
            yield clause
    text = _REMARK.sub("", _REASON.sub("", text))
    told = without_contrast(text)
    if told is not None:
        text = told
        yield text
    if all(item.quantity is not None for item in items):
        yield from _with_a_number(text, answer)
    elif not _DENIAL.search(text):
        yield from _behind_copula(text)
        wants_time = bool(items) and all(parse_clock(item.shown) for item in items)
        time = only_clock(text) if wants_time and not _OR.search(text) else None
        if time:
            yield time


def _with_a_number(text: str, answer: str) -> Iterator[str]:
    if _OR.search(text):
        return
    name, text = _behind_equals(text)
    if _DENIAL.search(text):
        return
    yield from (name + part for part in _behind_copula(text))
    number = _only_number(text) or _bold_number(answer)
    if number:
        yield name + number


def _behind_copula(text: str) -> Iterator[str]:
    parts = _COPULA.split(text)
    if len(parts) == 2 and parts[1]:
        yield parts[1]


def _first_clause(text: str) -> str | None:
    """``Yes`` of ``Yes, because ...``, ``b`` of ``(B) Paris``; None if the rest retracts it."""
    clause, *rest = _CLAUSE_END.split(text, maxsplit=1)
    if not rest:
        return None
    clause = clause.lstrip("(").casefold()
    others = {"yes", "no", "true", "false"} - {clause}
    said = set(re.findall(r"[a-z]+", rest[0].casefold()))
    return clause if not said & (others | {"or", "wait", "actually"}) else None


def _behind_equals(text: str) -> tuple[str, str]:
    """The right side of the last equals sign of a sentence, and the variable before it."""
    left, equals, right = text.rpartition("=")
    *earlier, last = _CLAUSE.split(left)
    if last.count("(") == last.count(")"):
        left = last
    if not equals or has_variable(left) or left.endswith(("<", ">", "!", "=")):
        return "", text
    variable = _VARIABLE.search(left)
    if variable and any(_NAMED.search(clause) for clause in earlier):
        return "", text  # `x = 3, y = 4` are two values
    return (f"{variable[1]} = " if variable else ""), right.strip()


def _only_number(text: str) -> str | None:
    """The only number of a text, with the words after it; None if it has several."""
    match = _NUMBER.search(text)
    if match is None:
        return None
    before, behind = text[: match.start()], text[match.end() :]
    number = _number_with_words(before, match[0], behind)
    if number is None or any(c.isdigit() for c in before + behind.removeprefix(_attached(behind))):
        return None
    return number


def _bold_number(answer: str) -> str | None:
    """The number in the only bold segment that has one: ``she pays **$64** for the 16 glasses``."""
    segments = [m for m in _BOLD.finditer(answer) if any(c.isdigit() for c in m[0])]
    if len(segments) != 1:
        return None
    bold = segments[0]
    text = plain(
        answer[: bold.start()]
        + _BOLD_BEGINS
        + (bold["text"] or bold["tagged"])
        + _BOLD_ENDS
        + answer[bold.end() :]
    )
    before, _, rest = text.partition(_BOLD_BEGINS)
    inner, _, behind = rest.partition(_BOLD_ENDS)
    match = _NUMBER.search(inner)
    if match is None or any(c.isdigit() for c in inner[: match.start()] + inner[match.end() :]):
        return None
    return _number_with_words(
        before + inner[: match.start()], match[0], inner[match.end() :] + behind
    )


def _attached(behind: str) -> str:
    """What follows a number without a space: ``km`` of ``3km``."""
    match = _ATTACHED.match(behind)
    return match[0] if match else ""


def _number_with_words(before: str, number: str, behind: str) -> str | None:
    """A number with the words after it, or None if the context turns it into another one."""
    if not _BEFORE_NUMBER.search(before):
        return None
    if any(rule.search(before) for rule in (_MONTH, _OPERATION, _LABEL)):
        return None
    if _MATHEMATICS.search(before) or _CHANGED.match(behind):
        return None
    attached = _attached(behind)
    if attached and not known_unit(attached):
        return None  # `3x` and `3rd`
    rest = behind.removeprefix(attached)
    end = _PHRASE_END.search(rest)
    phrase = rest[: end.start()] if end else rest
    if _MATHEMATICS.search(phrase):
        return None
    return number + attached + _known_beginning(phrase)


def _known_beginning(phrase: str) -> str:
    """``metres`` of ``metres long``: a known unit ends where its name ends."""
    words = phrase.split()
    for n in range(min(len(words), 4), 0, -1):
        if known_unit(" ".join(words[:n])):
            return " " + " ".join(words[:n])
    return phrase
