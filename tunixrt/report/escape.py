"""Escape any text for Markdown and HTML, and make invisible characters visible.

Text of traces and models may contain markup, fences, pipes, control characters and characters that
reorder text. None of it may become markup, and invisible characters are written out.
"""

from __future__ import annotations

import html
import re
from typing import Final

from tunixrt.eval.judge.not_text import legible
from tunixrt.visible import one_line, visible

#: Everything that may be markup inside a line, with GitHub's mathematics and bare links. What
#: cannot be markup in its position (`a_b`, `p < 1`) stays as it is: people read the source too.
_INLINE: Final = re.compile(
    r"[&\\`*\[\]|~#$@]|<(?![ 0-9])|(?<![0-9A-Za-z])_|_(?![0-9A-Za-z])|:(?=//)|(?<=www)\.",
    re.IGNORECASE | re.ASCII,
)
#: What may be markup at the start of a line only.
_LINE_START: Final = re.compile(r"^(?:[-+=>]|[0-9]{1,9}[.)])")
_BACKTICKS: Final = re.compile("`+")


def shortened(text: str, at_most: int) -> str:
    """The first characters of a text, and the number omitted; a description if it is not text.

    All text of models and traces is shown through this function.
    """
    text = legible(text)
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
    r"""Text inside a Markdown paragraph, heading or table cell.

    Special characters are written as numeric references, which CommonMark (section 2.5) never
    takes as markup. Backslashes would suffice in CommonMark, but implementations of tables
    disagree on ``\\|``.
    """
    return _INLINE.sub(lambda m: f"&#{ord(m[0])};", one_line(text))


def markdown_code(text: str) -> str:
    """A code span, or references where a span would not be valid everywhere."""
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
