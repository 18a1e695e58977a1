"""Answers that are retracted: ``12. Wait, 13`` answers 13, ``The answer is 12... no, 13`` too.

If a response retracts its answer and gives no other (``12. Wait, that is wrong.``), the retraction
itself is taken as the answer, so the response is wrong. A remark that names no number and finds no
fault (``12. Actually, that was easy.``) changes nothing.
"""

from __future__ import annotations

import re
from typing import Final

#: At the start of a clause only: `she has to wait 12 minutes` retracts nothing.
_TAKEN_BACK: Final = re.compile(
    r"(?:\A|[^\w\s]|\n)[ \t]{0,4}\n{0,3}[ \t]{0,4}"
    r"(?:(?:oh|hmm+|but|no|so|well|and|um|uh),?[ ]){0,3}"
    r"(?:(?:wait|actually|correction|corrected|sorry|oops|apologies|scratch that|i meant?|make that"
    r"|or rather|on second thoughts?|i made an? \w{1,12}|i was wrong|my mistake)\b"
    r"|(?:that(?:'s|’s| is| was)|this is|it is)[ ](?:not[ ]right|wrong|incorrect|a[ ]mistake)\b)",
    re.IGNORECASE,
)
#: `12... no, 13` and `12? No, 13`.
_NO: Final = re.compile(
    r"\d[^\w\n]{1,8}\n?no\b(?=[,.:;!—-]|[ ](?:wait|sorry|it|that)\b)", re.IGNORECASE
)
_FAULT: Final = re.compile(
    r"\b(?:wrong|incorrect|mistake|error|not (?:right|correct|it)|isn't (?:right|correct)"
    r"|can't be|cannot be|scratch)\b",
    re.IGNORECASE,
)
_SIGNS: Final = re.compile(r"[\s,.:;!?…—-]*")
_LEADING: Final = re.compile(
    r"(?:[\s,.:;!?…—-]|\b(?:no|nope|wait|sorry|actually|it is|it's|it’s|it should be|i mean)\b)*",
    re.IGNORECASE,
)


def second_thought(text: str, start: int, end: int) -> tuple[int, int] | None:
    """Start and end of the answer that replaces the one at ``start`` to ``end``.

    Args:
        text: the response without its thinking.
        start: where the answer begins.
        end: where it ends.

    Returns:
        None if the answer is not retracted.
    """
    behind = text[start:]
    found = (match for rule in (_TAKEN_BACK, _NO) for match in rule.finditer(behind))
    last = max(found, key=lambda match: match.end(), default=None)
    if last is None:
        return None
    begin = _skip(_LEADING, text, start + last.end())
    lines = _lines(text, begin)
    numbers = [line for line in lines if _has_digit(text[slice(*line)])]
    if numbers:
        return numbers[-1]
    if _FAULT.search(behind):
        return (begin if lines else _skip(_SIGNS, text, start + last.start())), len(text)
    return lines[0] if lines and not _has_digit(text[start:end]) else None


def _skip(rule: re.Pattern[str], text: str, position: int) -> int:
    match = rule.match(text, position)
    return match.end() if match else position


def _has_digit(text: str) -> bool:
    return any(character.isdigit() for character in text)


def _lines(text: str, start: int) -> list[tuple[int, int]]:
    found = []
    while start < len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        if text[start:end].strip():
            found.append((start, end))
        start = end + 1
    return found
