"""Whether the left side of an equation is algebra: ``5x = 5`` and ``|x| = 5`` do not answer 5."""

from __future__ import annotations

import re
from typing import Final

from tunixrt.eval.judge.units import FUNCTIONS, lookup

#: A letter in a term: after a digit, or next to an operator.
_TERM: Final = re.compile(
    r"\d\s?([A-Za-z])(?![A-Za-z])|(?<![A-Za-z])([A-Za-z])\s*[-+*/^×÷]|[-+*/^×÷]\s*([A-Za-z])(?![A-Za-z])"
)
_TIMES: Final = re.compile(r"(?<=[\d)])\s*[xX]\s*(?=[\d(])")
#: The argument of a function, or a product of letters: a unit's letter is not a unit there.
_ARGUMENT: Final = re.compile(
    rf"(?:[|⌊⌈‖√∛∜]|\\(?!Delta|angle|triangle|vec|hat)[A-Za-z]++|\b(?:{FUNCTIONS})(?:_\w++)?)"
    r"(?:\[\w+\])?\s*[({\[|]*\s*-?[A-Za-z](?![A-Za-z])"
    r"|(?<![A-Za-z])[A-Za-z]\s?(?:!|\||(?:factorial|mod)\b)|(?<![A-Za-z])[xyz]{2,3}(?![A-Za-z])"
    r"|[-+*/^(]\s*[xyz]\s*\)",
    re.IGNORECASE,
)
_EULER: Final = re.compile(r"(?<![A-Za-z])e\s*\^")


def has_variable(text: str) -> bool:
    """Whether a text is a term with a variable: ``5x``, ``ln x``, but not ``4 x 5``, ``ln e^5``."""
    text = _EULER.sub("2^", _TIMES.sub(" ", text))
    if _ARGUMENT.search(text):
        return True
    return any(
        lookup(letter) is None
        for match in _TERM.finditer(text)
        for letter in match.groups()
        if letter
    )
