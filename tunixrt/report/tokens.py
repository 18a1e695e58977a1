"""Text token by token, with marks that need no colour, or as HTML."""

from __future__ import annotations

import html
import itertools
from typing import TYPE_CHECKING

from tunixrt.report.escape import html_text
from tunixrt.visible import visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tunixrt.report.blocks import Token


def shown_text(token: Token) -> str:
    """The text of a token; a line feed has a sign before it, since it is a token, too."""
    return visible(token.text).replace("\n", "⏎\n").replace("\t", "⇥")


def have_inner_borders(tokens: Sequence[Token]) -> bool:
    """Whether the borders of tokens need a mark: not if every one is a character."""
    return any(len(token.text) > 1 for token in tokens if not token.is_special)


def marked_text(tokens: Sequence[Token]) -> str:
    """Text with marks: ``{+trained+}``, ``[<special>]``, and ``|`` between two tokens.

    The borders of tokens are marked only where they are not those of the characters.
    """
    border = "|" if have_inner_borders(tokens) else ""
    runs = []
    for is_trained, run in itertools.groupby(tokens, key=lambda token: token.is_trained):
        text = "".join(_with_borders(list(run), border))
        runs.append(f"{{+{text}+}}" if is_trained else text)
    return "".join(runs)


def _with_borders(run: Sequence[Token], border: str) -> Iterator[str]:
    before = None
    for token in run:
        text = f"[{token.text}]" if token.is_special else shown_text(token)
        is_between = before is not None and not (before.is_special or token.is_special)
        yield f"{border}{text}" if is_between else text
        before = token


def html_tokens(tokens: Sequence[Token]) -> str:
    """Every token as an element: ``ins`` where it is trained; its ids are in its ``title``."""
    return "".join(map(_element, tokens))


def _element(token: Token) -> str:
    tag = "ins" if token.is_trained else "span"
    css = ' class="special"' if token.is_special else ""
    ids = html_text(", ".join(map(str, token.ids)))
    return f'<{tag}{css} title="{ids}">{html.escape(shown_text(token))}</{tag}>'
