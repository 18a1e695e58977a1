"""English number words: ``twenty-five``, ``minus seven``, ``a hundred and two``, ``two thirds``."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final

_SMALL: Final = {
    word: value
    for value, word in enumerate(
        (
            "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
            "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen",
            "seventeen", "eighteen", "nineteen",
        )
    )
}  # fmt: skip
_TENS: Final = {
    word: value * 10
    for value, word in enumerate(
        ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"), start=2
    )
}
_SCALES: Final = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_PARTS: Final = {
    "half": 2, "halves": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6,
    "seventh": 7, "eighth": 8, "ninth": 9, "tenth": 10, "twelfth": 12, "twentieth": 20,
    "hundredth": 100,
}  # fmt: skip
#: Every word that is a number or a part of one, and cannot be the name of something counted.
NUMBER_WORDS: Final = frozenset(_SMALL) | frozenset(_TENS) | frozenset(_SCALES) | {"hundred"}
_WORD: Final = re.compile(r"[\s-]*([a-z]+)", re.IGNORECASE)
_HALF: Final = re.compile(r"(?:(a|one)[\s-]+)?(half|quarter)\b", re.IGNORECASE)


def read_number_words(text: str) -> tuple[Fraction, str] | None:
    """The number named by words at the start of the text, and the text after them.

    Returns:
        None if the text does not begin with a number word.
    """
    if match := _HALF.match(text):
        if match[1] or match[2].lower() == "half":  # a bare `quarter` is a coin or a season
            return Fraction(1, _PARTS[match[2].lower()]), text[match.end() :]
        return None
    position, sign = 0, 1
    match = _WORD.match(text)
    if match and match[1].lower() in ("minus", "negative"):
        position, sign = match.end(), -1
    words, end = _run(text, position)
    if not words:
        return None
    value = Fraction(sign * _value(words))
    part = _WORD.match(text, end)
    if part and (divisor := _divisor(part[1].lower())):
        return value / divisor, text[part.end() :]
    return value, text[end:]


def _divisor(word: str) -> int | None:
    return _PARTS.get(word) or _PARTS.get(word.removesuffix("s"))


def _run(text: str, position: int) -> tuple[list[str], int]:
    """The longest run of number words; an ``and`` counts only between two of them."""
    words: list[str] = []
    end, pending = position, False
    while match := _WORD.match(text, position):
        word = match[1].lower()
        if word == "and" and words and not pending:
            pending, position = True, match.end()
            continue
        if not _continues(words, word):
            break
        words.append(word)
        pending, position = False, match.end()
        end = position
    return words, end


def _continues(words: list[str], word: str) -> bool:
    """Whether ``word`` may follow: ``twenty five`` is one number, ``two three`` is two."""
    last = words[-1] if words else ""
    if word in _SMALL:
        return last not in _SMALL and not (last in _TENS and not 0 < _SMALL[word] < 10)
    if word in _TENS:
        return last not in _SMALL and last not in _TENS
    return bool(words) and (word == "hundred" or word in _SCALES)


def _value(words: list[str]) -> int:
    total = part = 0
    for word in words:
        if word == "hundred":
            part *= 100
        elif word in _SCALES:
            total += part * _SCALES[word]
            part = 0
        else:
            part += _SMALL.get(word, 0) + _TENS.get(word, 0)
    return total + part
