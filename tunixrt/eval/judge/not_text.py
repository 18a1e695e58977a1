"""A readable description of responses that are not text: ``(not text: 212 characters, ...)``.

An untrained model writes random bytes. Decoded, they are mostly U+FFFD, the replacement character
for bytes that are not UTF-8, and would fill half a page. Predictions keep the decoded text, so the
bytes behind a U+FFFD are lost: the description shows ``??`` for them, and hex digits for the
others.

A text is not text if at least a quarter of its characters, white space aside, are U+FFFD or control
characters, and there are at least 4 of these or nothing else: ``caf`` and half an ``é`` is text.
"""

from __future__ import annotations

import re
from typing import Final

from tunixrt.words import plural

_REPLACEMENT: Final = "\ufffd"
_BAD: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffd]")
_SPACE: Final = re.compile(r"[ \t\n\r]+")
_AT_LEAST: Final = 4
_PER: Final = 4
_N_SHOWN: Final = 8
_QUOTED: Final = re.compile(r'"([^"]*)"')


def is_text(text: str) -> bool:
    """Whether a person can read the text; an empty one is text."""
    n_bad = len(_BAD.findall(text))
    n_all = len(_SPACE.sub("", text))
    return n_bad == 0 or n_bad * _PER < n_all or (n_bad < _AT_LEAST and n_bad < n_all)


def legible(text: str) -> str:
    """The text itself, or a description where it is not text."""
    return text if is_text(text) else _description(text)


def legible_quotes(sentence: str) -> str:
    """A sentence whose quotations are legible: judges' reasons quote the answer."""
    return _QUOTED.sub(
        lambda m: m[0] if is_text(m[1]) else _description(m[1].removesuffix("…")), sentence
    )


def _description(text: str) -> str:
    n_replaced = text.count(_REPLACEMENT)
    n_control = len(_BAD.findall(text)) - n_replaced
    counted = ((n_replaced, "not valid UTF-8"), (n_control, "control characters"))
    parts = [what if n == len(text) else f"{n:,} of them {what}" for n, what in counted if n]
    begins = _beginning(text.lstrip(" \t\n\r"))
    return f"(not text: {plural(len(text), 'character')}, {', '.join(parts)}{begins})"


def _beginning(text: str) -> str:
    """The bytes of the first characters, unless all of them are lost."""
    if not text[:_N_SHOWN].strip(_REPLACEMENT):
        return ""
    shown = " ".join("??" if c == _REPLACEMENT else _hex(c) for c in text[:_N_SHOWN])
    return f"; begins {shown}{' ...' if len(text) > _N_SHOWN else ''}"


def _hex(character: str) -> str:
    return character.encode(errors="surrogatepass").hex(" ")
