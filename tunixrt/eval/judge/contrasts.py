"""Contrasts: ``12, not 13``, ``12 rather than 13`` and ``not 13 but 12`` all answer 12."""

from __future__ import annotations

import re
from typing import Final

_NUMBER: Final = r"[-$€£]{0,2}\.?\d[^,;()!?]*"
_OTHER: Final = rf"(?:{_NUMBER}|[\w'-]+(?: [\w'-]+)?)"
#: `, not 13`, `(and not 13)`, `rather than 13` at the end.
_BEHIND: Final = re.compile(
    r"(?P<sign>\s?[,;(]\s?|\s?—\s?|\s-\s|\s)(?:(?:and|but) )?"
    r"(?:(?:definitely|certainly|surely|clearly|really) )?"
    rf"(?P<word>not|never|rather than|instead of|as opposed to) (?P<other>{_OTHER})\)?\Z",
    re.IGNORECASE,
)
#: `not 13 but 12`, `it isn't 13, it's 12`.
_BEFORE: Final = re.compile(
    rf"(?:\A|.*\s)(?:not|\w{{2,6}}n't)\s+{_OTHER}?\s?[,;.]?\s"
    r"(?:(?:but(?: rather)?|it's|it is|rather)(?: it's| it is)?) (?P<answer>.+)",
    re.IGNORECASE,
)
#: What precedes a denied answer: `it is not 13` answers nothing.
_DENIES: Final = re.compile(
    r"(?:\A|\b)(?:is|are|was|were|be|do|does|did|has|have|had|will|can|could|would|should|but|and"
    r"|certainly|definitely|surely)\Z|'s\Z|\A\Z",
    re.IGNORECASE,
)


def without_contrast(text: str) -> str | None:
    """The text without its contrast; None if it contains none.

    Args:
        text: an answer as ``markup.plain`` leaves it.
    """
    if match := _BEFORE.fullmatch(text):
        return match["answer"].strip()
    match = _BEHIND.search(text)
    if match is None:
        return None
    answer = text[: match.start()].strip()
    # `Paris is not Rome` and `5 apples not eaten`: without a sign only a number is a contrast.
    bare = not match["sign"].strip() and match["word"].casefold() == "not"
    if _DENIES.search(answer) or (bare and not match["other"].lstrip("-$€£.")[:1].isdigit()):
        return None
    return answer
