"""Text that shows what cannot be seen: control characters, and what turns the direction of writing.

Reports, the site and the terminal use the same signs, so that a trace reads the same everywhere.
"""

from __future__ import annotations

import re
from typing import Final

#: Control characters, lone surrogates, and characters that are invisible or turn the direction of
#: writing (which can make a line read as something that it is not). A fixed table and not
#: ``unicodedata``: another version of Python must not write another report. Joiners stay: scripts
#: and emoji need them.
_HIDDEN: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b"
    "\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufeff\uffa0\ufff0-\ufffb"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_NAMED: Final = {"\x00": "␀", "\x08": "␈", "\r": "␍", "\x1b": "␛"}


def visible(text: str) -> str:
    """The text with what cannot be seen written out: ``⟨U+202E⟩``. Line feeds and tabs stay."""
    return _HIDDEN.sub(lambda m: _NAMED.get(m[0]) or f"⟨U+{ord(m[0]):04X}⟩", text)


def visible_escapes(text: str) -> str:
    r"""The same with the escapes of Python, ``\x1b``, for terminals that have no such signs."""
    return _HIDDEN.sub(lambda m: ascii(m[0])[1:-1], text)


def visible_json(text: str) -> str:
    r"""JSON with what cannot be seen as ``\u001b``: the same values, and safe to look at.

    JSON has such characters only inside of strings, where the escape means the character.
    """
    return _HIDDEN.sub(_json_escape, text)


def one_line(text: str) -> str:
    """The text on one line, line feeds and tabs as signs."""
    return visible(text).replace("\n", "⏎").replace("\t", "⇥")


def _json_escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
