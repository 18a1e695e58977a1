"""Make any text harmless: in Markdown, in HTML, and to the eye.

Text of traces and models may hold markup, fences, pipes, control characters and characters that
reorder what is seen. None of it may become markup, and what cannot be seen is written out.
"""

from __future__ import annotations

import html
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
#: Everything that may be structure inside of a line, with GitHub's mathematics and bare links. What
#: cannot be structure where it stands (`a_b`, `p < 1`) stays as it is: sources are read too.
_INLINE: Final = re.compile(
    r"[&\\`*\[\]|~#$@]|<(?![ 0-9])|(?<![0-9A-Za-z])_|_(?![0-9A-Za-z])|:(?=//)|(?<=www)\.",
    re.IGNORECASE | re.ASCII,
)
#: What may be structure at the beginning of a line only.
_LINE_START: Final = re.compile(r"^(?:[-+=>]|[0-9]{1,9}[.)])")
_BACKTICKS: Final = re.compile("`+")


def visible(text: str) -> str:
    """The text with what cannot be seen written out: ``⟨U+202E⟩``. Line feeds and tabs stay."""
    return _HIDDEN.sub(lambda m: _NAMED.get(m[0]) or f"⟨U+{ord(m[0]):04X}⟩", text)


def one_line(text: str) -> str:
    """The text on one line, line feeds and tabs as signs."""
    return visible(text).replace("\n", "⏎").replace("\t", "⇥")


def shortened(text: str, at_most: int) -> str:
    """The beginning of a text, and how much more there is."""
    if len(text) <= at_most:
        return text
    return f"{text[:at_most]}… ({len(text) - at_most:,} more characters)"


def html_text(text: str) -> str:
    """Text for elements and attributes of HTML and SVG."""
    return html.escape(one_line(text), quote=True)


def html_lines(text: str) -> str:
    """Text of several lines for a ``<pre>``."""
    return html.escape(visible(text), quote=True)


def markdown_text(text: str) -> str:
    r"""Text inside of a Markdown paragraph, heading or table cell.

    Characters that mean something are written as numeric references, which CommonMark (section 2.5)
    never takes as structure. Backslashes would do in CommonMark, but implementations of tables
    disagree on ``\\|``.
    """
    return _INLINE.sub(lambda m: f"&#{ord(m[0])};", one_line(text))


def markdown_code(text: str) -> str:
    """A code span, or references where a span could not stand in every place."""
    text = one_line(text)
    if not text.strip(" "):
        return "(empty)" if not text else "(spaces)"
    if "`" in text or "|" in text:
        return markdown_text(text)
    pad = " " if text[0] == text[-1] == " " else ""
    return f"`{pad}{text}{pad}`"


def markdown_fence(text: str, language: str) -> str:
    """A fenced code block; the fence is longer than every run of backticks in the text."""
    text = visible(text)
    longest = max((len(run) for run in _BACKTICKS.findall(text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def markdown_line(markdown: str) -> str:
    """A rendered line that cannot begin a list, a heading, an underline or a code block."""
    markdown = markdown.strip(" ")
    return _LINE_START.sub(lambda m: f"{m[0][:-1]}&#{ord(m[0][-1])};", markdown)
