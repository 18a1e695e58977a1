"""The tokens by which two texts are compared, the same on every version of Python.

Tokens are words without letter case, numbers without thousands separators, and signs, but not white
space, quotes or ``. , ; : ! ?``. Signs count because ``2 + 3`` and ``2 - 3`` are two questions.
"""

from __future__ import annotations

import re
from typing import Final

from tunixrt.unicode_14 import pin

_SEPARATOR: Final = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_TOKEN: Final = re.compile(r"\d+(?:\.\d+)?|[^\W\d_]+|[^\w\s.,;:!?\"'`“”‘’«»]")

Gram = tuple[str, ...]


def tokens_of(text: str) -> list[str]:
    """Return the tokens of a text."""
    return _TOKEN.findall(_SEPARATOR.sub("", pin(text).casefold()))


def grams_of(text: str, n: int) -> set[Gram]:
    """Return the distinct n-grams of the tokens of a text; the whole text if it is shorter."""
    tokens = tokens_of(text)
    if len(tokens) <= n:
        return {tuple(tokens)}
    return {tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)}
