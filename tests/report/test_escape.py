"""No text becomes markup: checked by parsers that other people wrote."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from tests.making.hostile import HOSTILE
from tests.report.page_rules import Page
from tunixrt.report.blocks import (
    Bar,
    Block,
    Bullets,
    Chart,
    CodeBlock,
    CodeSpan,
    Column,
    Columns,
    Details,
    Document,
    Facts,
    Figures,
    Heading,
    Link,
    Paragraph,
    Strong,
    Table,
    Tag,
    Tone,
    VerdictBlock,
)
from tunixrt.report.charts import IntervalChart, IntervalRow, LineChart, svg
from tunixrt.report.escape import shortened
from tunixrt.report.html import render_html
from tunixrt.report.markdown import render_markdown
from tunixrt.visible import one_line, visible

if TYPE_CHECKING:
    from markdown_it.token import Token

PARSER = MarkdownIt("commonmark").enable("table").enable("strikethrough")


def tokens(*blocks: Block) -> list[Token]:
    """The tokens of some blocks, without the title."""
    found = PARSER.parse(render_markdown(Document("T", blocks)))
    assert [token.type for token in found[:3]] == ["heading_open", "inline", "heading_close"]
    return found[3:]


def children(token: Token) -> list[tuple[str, str]]:
    return [(child.type, child.content) for child in token.children or []]


def text_of(token: Token) -> str:
    """What a reader sees of an inline token; only text and code are allowed in it."""
    kinds = {child.type for child in token.children or []}
    assert kinds <= {"text", "code_inline"}, kinds
    return "".join(child.content for child in token.children or [])


def collapsed(text: str) -> str:
    return one_line(text).strip(" ")


any_text = (
    st.sampled_from(HOSTILE)
    | st.text(st.characters())
    | st.text("`|\\*_[]()<>#-=+~!&;@$:/.w1 \n\t\r\"'a")
)


@given(any_text)
@settings(deadline=None, max_examples=500)
def test_any_text_in_a_paragraph_is_that_text_and_nothing_else(text: str) -> None:
    found = tokens(Paragraph(text))
    if not collapsed(text):
        assert found == []
        return
    assert [token.type for token in found] == ["paragraph_open", "inline", "paragraph_close"]
    assert text_of(found[1]).strip() == collapsed(text).strip()


@given(any_text, any_text)
@settings(deadline=None, max_examples=500)
def test_any_text_in_a_table_stays_in_its_cell(text: str, other: str) -> None:
    table = Table(
        "t",
        ("a", "b", "c"),
        ((text, CodeSpan(other), (other, CodeSpan(text))),),
    )
    cells = [token for token in tokens(table) if token.type == "inline"]
    assert len(cells) == 6
    assert text_of(cells[3]).strip() == collapsed(text).strip()
    assert code(other).strip() in text_of(cells[4])


def code(text: str) -> str:
    """What a code span shows."""
    line = one_line(text)
    if not line.strip(" "):
        return "(spaces)" if line else "(empty)"
    return line.strip(" ")


@given(any_text)
@settings(deadline=None, max_examples=500)
def test_any_text_as_code_is_that_text(text: str) -> None:
    found = tokens(Paragraph(("x ", CodeSpan(text), " y")))
    assert [token.type for token in found] == ["paragraph_open", "inline", "paragraph_close"]
    assert code(text) in text_of(found[1])


@given(any_text)
@settings(deadline=None, max_examples=500)
def test_any_text_in_a_fence_stays_in_it_line_for_line(text: str) -> None:
    found = tokens(CodeBlock("Response:", text), Paragraph("behind"))
    assert [token.type for token in found] == [
        "paragraph_open",
        "inline",
        "paragraph_close",
        "fence",
        "paragraph_open",
        "inline",
        "paragraph_close",
    ]
    assert found[3].content == visible(text) + "\n"
    assert found[3].info == "text"


@given(any_text)
@settings(deadline=None, max_examples=200)
def test_any_text_in_a_heading_a_list_and_a_fold_leaves_the_structure_alone(text: str) -> None:
    found = tokens(
        Heading(2, ("h ", text, CodeSpan(text))),
        Bullets(((text, "."), "second")),
        Details(text, (Paragraph("inside"), CodeBlock(text, text))),
        Columns((Column(text, (Paragraph((text, ".")),)),)),
        Figures((("f " + text, text),)),
        Facts((("f " + text, (Tag(text), Bar(text, 1.0, 0.0, 2.0))),)),
        VerdictBlock(Tone.GOOD, f"h {text}", (text, "."), "1", "2", "+1"),
        Chart("loss", f"alt {text}", LineChart(text, text, text, ((1.0, 2.0),))),
        Heading(2, "end"),
    )
    kinds = [token.type for token in found]
    assert kinds.count("heading_open") == 2
    assert kinds.count("list_item_open") == 4
    assert kinds.count("html_block") == 2  # <details> and </details>
    assert kinds.count("fence") == 1
    assert kinds[-3:] == ["heading_open", "inline", "heading_close"]
    inlines = [kind for token in found for kind, _ in children(token)]
    assert set(inlines) <= {"text", "code_inline", "strong_open", "strong_close", "image"}
    assert inlines.count("image") == 1
    html = [token.content for token in found if token.type == "html_block"]
    assert html[1] == "</details>\n" or html[1] == "</details>"
    assert html[0].count("<") == 3  # of <details>, <summary> and </summary>


def page(text: str) -> Page:
    parser = Page()
    parser.feed(
        render_html(
            Document(
                text,
                (
                    Heading(2, (text, Strong(text), CodeSpan(text))),
                    Bullets((text,)),
                    Figures(((text, text),)),
                    Facts(((text, text), (text, Tag(text, Tone.BAD)))),
                    Paragraph(Bar(text, 1.0, 0.0, 2.0)),
                    Table(text, (text, "b"), ((text, CodeSpan(text)),)),
                    Details(text, (CodeBlock(text, text),)),
                    Columns((Column(text, (Paragraph(text),)),)),
                    VerdictBlock(Tone.BAD, text, text, text, text, text),
                    Chart(
                        "c", text, IntervalChart(text, (IntervalRow(text, (1, 0, 2), (3, 2, 4)),))
                    ),
                ),
            )
        )
    )
    parser.close()
    return parser


@given(any_text)
@settings(deadline=None, max_examples=300)
def test_any_text_leaves_the_tags_of_a_page_alone(text: str) -> None:
    plain, hostile = page("plain"), page(text)
    assert [tag for tag in hostile.tags if tag != "code"] == [t for t in plain.tags if t != "code"]
    assert {name for name, _ in hostile.attributes} == {name for name, _ in plain.attributes}


@given(any_text)
@settings(deadline=None, max_examples=200)
def test_any_text_leaves_a_chart_well_formed(text: str) -> None:
    for chart in (
        LineChart(text, text, text, ((1.0, 2.0), (2.0, 1.0))),
        IntervalChart(text, (IntervalRow(text, (1, 0, 2), (3, 2, 4)),)),
    ):
        root = ET.fromstring(svg(chart, alone=True))
        tags = {child.tag.removeprefix("{http://www.w3.org/2000/svg}") for child in root.iter()}
        assert tags <= {"svg", "style", "rect", "text", "line", "circle", "polyline"}
        assert root.attrib["aria-label"] == one_line(text or text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x00b", "a␀b"),
        ("a\rb", "a␍b"),
        ("a\x07b", "a⟨U+0007⟩b"),
        ("a\u202eb", "a⟨U+202E⟩b"),
        ("a\u200bb", "a⟨U+200B⟩b"),
        ("a\u2028b", "a⟨U+2028⟩b"),
        ("\ufeff", "⟨U+FEFF⟩"),
        ("\ud800", "⟨U+D800⟩"),
        ("a\U000e0041", "a⟨U+E0041⟩"),
        ("👩\u200d💻", "👩\u200d💻"),
        ("नमस्\u200dते", "नमस्\u200dते"),
        ("a\n\tb", "a\n\tb"),
    ],
)
def test_what_cannot_be_seen_is_written_out(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert one_line("a\n\tb") == "a⏎⇥b"


def test_a_shortened_text_says_how_much_is_missing() -> None:
    assert shortened("abc", 3) == "abc"
    assert shortened("abcd" * 1000, 3) == "abc… (3,997 more characters)"


def test_plain_sources_stay_readable() -> None:
    source = render_markdown(Document("a_b: 3 < 4", (Paragraph("p < 0.001; it's 5 * 3!"),)))
    assert source == "# a_b: 3 < 4\n\np < 0.001; it's 5 &#42; 3!\n"


def test_unknown_blocks_are_bugs() -> None:
    for render in (render_markdown, render_html):
        with pytest.raises(AssertionError):
            render(Document("t", (object(),)))  # type: ignore[arg-type]


def test_a_link_has_an_escaped_text_and_the_target_it_was_given() -> None:
    document = Document("T", (Paragraph(Link("<a> [b] | *c*", "runs/1.html")),))
    assert '<a href="runs/1.html">&lt;a&gt; [b] | *c*</a>' in render_html(document)
    assert "](runs/1.html)" in render_markdown(document)
    assert "[b]" not in render_markdown(document)
