"""Times of day: ``8:00 AM``, ``8 a.m.``, ``8am`` and ``08:00 am`` are one, ``8:00 PM`` is another.

A time needs a.m. or p.m., or an hour from 13 to 23: ``8:00`` alone may be a ratio.
"""

from __future__ import annotations

import re
from typing import Final

_CLOCK: Final = re.compile(
    r"(?<![\w:.,$])(?:(?P<hour>\d{1,2})(?:[:.](?P<minute>\d{2}))?\s*(?P<half>[ap])\s?\.?\s?m\b\.?"
    r"|(?P<late>1[3-9]|2[0-3]):(?P<past>\d{2})(?![:\d])|(?P<word>noon|midnight)\b)",
    re.IGNORECASE,
)
_BOUND: Final = re.compile(
    r"\b(?:before|after|until|till|by|past|since|from|to|between)\s+\Z", re.IGNORECASE
)


def parse_clock(text: str) -> str | None:
    """The time, as ``15:30``, if the whole text is one; else None."""
    match = _CLOCK.fullmatch(text.strip())
    return None if match is None else _time(match)


def only_clock(text: str) -> str | None:
    """The only time of a text as written; None if it contains several times or other numbers.

    ``before 8 am`` names no time.
    """
    matches = list(_CLOCK.finditer(text))
    if len(matches) != 1 or _time(matches[0]) is None:
        return None
    if _BOUND.search(text[: matches[0].start()]):
        return None
    outside = text[: matches[0].start()] + text[matches[0].end() :]
    return None if any(c.isdigit() for c in outside) else matches[0][0]


def _time(match: re.Match[str]) -> str | None:
    if match["word"]:
        return "12:00" if match["word"].casefold() == "noon" else "0:00"
    hour = int(match["late"] or match["hour"])
    minute = int(match["past"] or match["minute"] or 0)
    if match["half"]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if match["half"].casefold() == "p" else 0)
    return f"{hour}:{minute:02}" if minute < 60 else None
