"""A document as one HTML page: inline style and charts, no script, no network request.

Light and dark follow the reader's setting, wide tables scroll in a region that is reachable by
keyboard, headings are nested, charts have a text alternative, colours have at least 4.5:1 contrast,
and in print everything collapsed is expanded.
"""

from __future__ import annotations

from functools import singledispatch
from typing import TYPE_CHECKING, Final

from tunixrt.report.blocks import (
    Bar,
    Bullets,
    Chart,
    CodeBlock,
    CodeSpan,
    Columns,
    Details,
    Facts,
    Figures,
    Heading,
    Link,
    Paragraph,
    Strong,
    Table,
    Tag,
    Tokens,
    Tone,
    VerdictBlock,
    pieces,
)
from tunixrt.report.charts import CHART_RULES, PALETTE_DARK, PALETTE_LIGHT, svg
from tunixrt.report.escape import html_lines, html_text
from tunixrt.report.styles import style_sheet
from tunixrt.report.tokens import html_tokens

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tunixrt.report.blocks import Block, Column, Document, Inline, Inlines

#: The page's own colours, in addition to those of the charts.
PAGE_LIGHT: Final = {
    "surface": "#f6f8fa", "link": "#0b57d0", "good": "#116329", "bad": "#b3261e",
    "neutral": "#57606a",
}  # fmt: skip
PAGE_DARK: Final = {
    "surface": "#161b22", "link": "#79b8ff", "good": "#56d364", "bad": "#ff8a80",
    "neutral": "#9da7b3",
}  # fmt: skip

RULES: Final = style_sheet("page.css")


def render_html(document: Document, *, sheet: str = "") -> str:
    """The document as a page of its own.

    Args:
        document: what it shows.
        sheet: more rules, for blocks that only some pages have.
    """
    title = html_text(document.title)
    body = render_blocks(document.blocks)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width,initial-scale=1">\n'
        f"<title>{title}</title>\n<style>\n{style()}{sheet}</style>\n</head>\n"
        f"<body>\n<main>\n<h1>{title}</h1>\n{body}</main>\n</body>\n</html>\n"
    )


def render_blocks(blocks: Iterable[Block]) -> str:
    """Blocks as elements, for a page with a frame of its own."""
    return "".join(map(_block, blocks))


def style() -> str:
    """The style sheet of a page: colours for light and dark, and their rules."""
    light = _variables(PALETTE_LIGHT | PAGE_LIGHT)
    dark = _variables(PALETTE_DARK | PAGE_DARK)
    return (
        f":root{{{light}}}\n@media (prefers-color-scheme:dark){{:root{{{dark}}}}}\n"
        f"{RULES}{CHART_RULES}"
    )


def _variables(colours: dict[str, str]) -> str:
    return ";".join(f"--{name}:{colour}" for name, colour in colours.items())


@singledispatch
def _block(block: Block) -> str:
    """One block."""
    raise AssertionError(block)


@_block.register
def _(block: Heading) -> str:
    return f"<h{block.level}>{_inlines(block.content)}</h{block.level}>\n"


@_block.register
def _(block: Paragraph) -> str:
    return f"<p>{_inlines(block.content)}</p>\n"


@_block.register
def _(block: Figures) -> str:
    terms = "".join(
        f"<div><dt>{html_text(name)}</dt><dd>{html_text(value)}</dd></div>\n"
        for name, value in block.items
    )
    return f'<dl class="figures">\n{terms}</dl>\n'


@_block.register
def _(block: Facts) -> str:
    terms = "".join(
        f"<dt>{html_text(name)}</dt><dd>{_inlines(value)}</dd>\n" for name, value in block.items
    )
    return f'<dl class="facts">\n{terms}</dl>\n'


@_block.register
def _(block: Bullets) -> str:
    items = "".join(f"<li>{_inlines(item)}</li>\n" for item in block.items)
    return f"<ul>\n{items}</ul>\n"


@_block.register
def _(block: Chart) -> str:
    drawing = svg(block.chart, alone=False, label=block.alt)
    label = html_text(block.chart.title)
    return f'<figure role="region" tabindex="0" aria-label="{label}">\n{drawing}</figure>\n'


@_block.register
def _(block: Columns) -> str:
    return f'<div class="columns">\n{"".join(map(_column, block.columns))}</div>\n'


@_block.register
def _(block: Details) -> str:
    inner = "".join(map(_block, block.blocks))
    return f"<details>\n<summary>{_inlines(block.summary)}</summary>\n{inner}</details>\n"


@_block.register
def _(block: CodeBlock) -> str:
    label = html_text(block.label)
    text = _changed_lines(block.text) if block.language == "diff" else html_lines(block.text)
    return (
        f'<p class="label">{label}</p>\n'
        f'<pre role="region" tabindex="0" aria-label="{label}">{text}</pre>\n'
    )


@_block.register
def _(block: Tokens) -> str:
    label = html_text(block.label)
    return (
        f'<p class="label">{label}</p>\n'
        f'<pre class="tokens" role="region" tabindex="0" aria-label="{label}">'
        f"{html_tokens(block.tokens)}</pre>\n"
    )


def _changed_lines(text: str) -> str:
    tags = {"+": "ins", "-": "del"}
    lines = []
    for line in text.splitlines():
        tag, content = tags.get(line[:1]), html_lines(line)
        lines.append(f"<{tag}>{content}</{tag}>" if tag else content)
    return "\n".join(lines)


@_block.register
def _(block: VerdictBlock) -> str:
    figures = (
        ("", "Before", block.before),
        ("", "After", block.after),
        (' class="delta"', "Difference", block.delta),
    )
    terms = "".join(
        f"<div{css}><dt>{name}</dt><dd>{html_text(value)}</dd></div>\n"
        for css, name, value in figures
    )
    return (
        f'<section class="verdict {block.tone}" aria-label="Verdict">\n'
        f'<p class="headline">{html_text(block.headline)}</p>\n'
        f"<p>{_inlines(block.sentence)}</p>\n<dl>\n{terms}</dl>\n</section>\n"
    )


@_block.register
def _(block: Table) -> str:
    head = "".join(
        f'<th scope="col"{_css(i, block)}>{html_text(cell)}</th>'
        for i, cell in enumerate(block.head)
    )
    rows = "".join(f"<tr>{_cells(row, block)}</tr>\n" for row in block.rows)
    css = ' class="dense"' if block.dense else ""
    # A scrolling region must be reachable by keyboard, and so needs a name.
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{html_text(block.label)}">\n'
        f"<table{css}>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n</div>\n"
    )


def _cells(row: tuple[Inlines, ...], table: Table) -> str:
    first, *others = row
    heading = f'<th scope="row"{_css(0, table)}>{_inlines(first)}</th>'
    return heading + "".join(
        f"<td{_css(i, table)}>{_inlines(cell)}</td>" for i, cell in enumerate(others, start=1)
    )


def _css(column: int, table: Table) -> str:
    return ' class="n"' if column in table.numeric else ""


def _column(column: Column) -> str:
    inner = "".join(_block(block) for block in column.blocks)
    return f'<div class="column">\n<h4>{html_text(column.title)}</h4>\n{inner}</div>\n'


def _inlines(content: Inlines) -> str:
    return "".join(map(_inline, pieces(content)))


def _inline(piece: Inline) -> str:
    match piece:
        case CodeSpan():
            return f"<code>{html_text(piece.text)}</code>" if piece.text else "(empty)"
        case Link():
            return f'<a href="{html_text(piece.href)}">{html_text(piece.text)}</a>'
        case Strong():
            return f"<strong>{html_text(piece.text)}</strong>"
        case Tag():
            tone = "" if piece.tone is Tone.NEUTRAL else f" {piece.tone}"
            return f'<span class="tag{tone}">{html_text(piece.text)}</span>'
        case Bar():
            return f"{html_text(piece.text)}{_bar(piece)}"
        case str():
            return html_text(piece)


def _bar(bar: Bar) -> str:
    """The drawing of an interval, which follows its text."""
    return (
        '<svg class="bar" viewBox="0 0 108 12" aria-hidden="true">'
        '<line class="track" x1="4" y1="6" x2="104" y2="6"/>'
        f'<line class="range" x1="{bar.low + 4:.1f}" y1="6" x2="{bar.high + 4:.1f}" y2="6"/>'
        f'<circle class="dot" cx="{bar.value + 4:.1f}" cy="6" r="3.5"/></svg>'
    )
