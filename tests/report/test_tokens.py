"""Tokens in reports: marks, elements, and text that stays text."""

from __future__ import annotations

import html
import re

import pytest

from tests.making.hostile import TEXTS
from tests.report.page_rules import problems
from tunixrt.report.blocks import Document, Token, Tokens
from tunixrt.report.html import render_html
from tunixrt.report.markdown import render_markdown
from tunixrt.report.tokens import marked_text
from tunixrt.visible import visible

BOS, END = (Token(text, (n,), n == 4, is_special=True) for n, text in ((2, "<bos>"), (4, "<end>")))


def words(*texts: str, is_trained: bool = False) -> list[Token]:
    return [Token(text, (n,), is_trained, is_special=False) for n, text in enumerate(texts)]


@pytest.mark.parametrize(
    ("tokens", "marked"),
    [
        ([BOS, *words("a", "b"), *words("c", is_trained=True), END], "[<bos>]ab{+c[<end>]+}"),
        ([BOS, *words("an", "d"), *words("so", " on", is_trained=True)], "[<bos>]an|d{+so| on+}"),
        (words("a", "\n", "b"), "a⏎\nb"),
        ([], ""),
    ],
)
def test_marks_say_what_is_trained_and_where_tokens_end(tokens: list[Token], marked: str) -> None:
    assert marked_text(tokens) == marked


@pytest.mark.parametrize("text", TEXTS)
def test_the_text_of_a_token_never_becomes_markup(text: str) -> None:
    block = Tokens("of a record", (BOS, *words(*text), *words(text, is_trained=True), END))
    page = render_html(Document("Tokens", (block,)))
    assert problems(page) == []
    (inside,) = re.findall(r'<pre class="tokens"[^>]*>(.*?)</pre>', page, re.DOTALL)
    plain = html.unescape(re.sub(r"</?(?:ins|span)\b[^>]*>", "", inside))
    shown = visible(text).replace("\n", "⏎\n").replace("\t", "⇥")
    assert plain == f"<bos>{shown}{shown}<end>"
    fence = render_markdown(Document("Tokens", (block,)))
    assert marked_text(block.tokens) in fence
