"""A document as Markdown: CommonMark with GitHub's tables.

Text is escaped piece by piece; the only HTML that is written is ``<details>`` and ``<summary>``,
which forges show as a collapsed section.
"""

from __future__ import annotations

from functools import singledispatch
from typing import TYPE_CHECKING

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
    VerdictBlock,
    pieces,
)
from tunixrt.report.escape import (
    html_text,
    markdown_code,
    markdown_fence,
    markdown_line,
    markdown_text,
)
from tunixrt.report.tokens import marked_text

if TYPE_CHECKING:
    from tunixrt.report.blocks import Block, Document, Inline, Inlines


def render_markdown(document: Document) -> str:
    """The document as the text of a ``.md`` file."""
    blocks = [f"# {markdown_text(document.title)}", *map(_block, document.blocks)]
    return "\n\n".join(blocks) + "\n"


@singledispatch
def _block(block: Block) -> str:
    """One block, without the blank line after it."""
    raise AssertionError(block)


@_block.register
def _(block: Heading) -> str:
    return f"{'#' * block.level} {_inlines(block.content)}"


@_block.register
def _(block: Paragraph) -> str:
    return markdown_line(_inlines(block.content))


@_block.register
def _(block: VerdictBlock) -> str:
    return f"**{markdown_text(block.headline)}**\n\n{markdown_line(_inlines(block.sentence))}"


@_block.register
def _(block: Figures) -> str:
    return _block(Facts(block.items))


@_block.register
def _(block: Facts) -> str:
    return _block(Bullets(tuple((f"{name}: ", *pieces(value)) for name, value in block.items)))


@_block.register
def _(block: Bullets) -> str:
    return "\n".join(f"- {markdown_line(_inlines(item))}" for item in block.items)


@_block.register
def _(block: CodeBlock) -> str:
    label = markdown_line(markdown_text(block.label))
    return f"{label}\n\n{markdown_fence(block.text, block.language)}"


@_block.register
def _(block: Tokens) -> str:
    label = markdown_line(markdown_text(block.label))
    return f"{label}\n\n{markdown_fence(marked_text(block.tokens), 'text')}"


@_block.register
def _(block: Chart) -> str:
    return f"![{markdown_text(block.alt)}]({block.name}.svg)"


@_block.register
def _(block: Columns) -> str:
    parts = [[f"**{markdown_text(c.title)}**", *map(_block, c.blocks)] for c in block.columns]
    return "\n\n".join(text for column in parts for text in column)


@_block.register
def _(block: Details) -> str:
    inner = "\n\n".join(map(_block, block.blocks))
    texts = (one if isinstance(one, str) else one.text for one in pieces(block.summary))
    summary = html_text("".join(texts))
    return f"<details>\n<summary>{summary}</summary>\n\n{inner}\n\n</details>"


@_block.register
def _(block: Table) -> str:
    rules = ["--:" if i in block.numeric else "---" for i in range(len(block.head))]
    lines = [_row([markdown_text(cell) for cell in block.head]), _row(rules)]
    lines += [_row([_inlines(cell) for cell in row]) for row in block.rows]
    return "\n".join(lines)


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _inlines(content: Inlines) -> str:
    return "".join(map(_inline, pieces(content)))


def _inline(piece: Inline) -> str:
    match piece:
        case CodeSpan():
            return markdown_code(piece.text)
        case Link():
            return f"[{markdown_text(piece.text)}]({piece.href})"
        case Strong():
            return f"**{markdown_text(piece.text)}**"
        case str():
            return markdown_text(piece)
        case Tag() | Bar():
            return markdown_text(piece.text)
