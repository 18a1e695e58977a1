"""A report as a tree of blocks, before it is Markdown or HTML.

Every piece of text is a value of its own, and each writer escapes all of them, whoever wrote them.
So no text of a trace or of a model can become markup, and both writers say the same.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from tunixrt.report.charts import IntervalChart, LineChart


class Text(msgspec.Struct, frozen=True):
    """Words of a sentence."""

    text: str


class Strong(msgspec.Struct, frozen=True):
    """Words that stand out."""

    text: str


class Code(msgspec.Struct, frozen=True):
    """An identifier, a digest, a value, an answer: shown as it is, in a fixed-width font."""

    text: str


class Link(msgspec.Struct, frozen=True):
    """A way to another page; ``href`` is made by tunixrt and never taken from data."""

    text: str
    href: str


Inline = Text | Strong | Code | Link
Inlines = tuple[Inline, ...]


class Tone(StrEnum):
    """Whether something is good news."""

    GOOD = "good"
    BAD = "bad"
    NEUTRAL = "neutral"


class Heading(msgspec.Struct, frozen=True):
    """A heading; level 1 is the title."""

    level: int
    content: Inlines


class Paragraph(msgspec.Struct, frozen=True):
    """A paragraph."""

    content: Inlines


class Verdict(msgspec.Struct, frozen=True):
    """The answer that the report gives, in one line, and the sentence behind it."""

    tone: Tone
    headline: str
    sentence: Inlines
    before: str
    after: str
    delta: str


class Bullets(msgspec.Struct, frozen=True):
    """A list."""

    items: tuple[Inlines, ...]


class Table(msgspec.Struct, frozen=True):
    """A table; ``numeric`` names the columns (from 0) that are aligned to the right.

    The first column of each row is its heading.
    """

    label: str
    head: tuple[str, ...]
    rows: tuple[tuple[Inlines, ...], ...]
    numeric: frozenset[int] = frozenset()


class Listing(msgspec.Struct, frozen=True):
    """Text of several lines, shown as it is."""

    label: str
    text: str
    language: str = "text"


class Chart(msgspec.Struct, frozen=True):
    """A chart; Markdown shows it from a file ``<name>.svg`` beside it."""

    name: str
    alt: str
    chart: LineChart | IntervalChart


class Column(msgspec.Struct, frozen=True):
    """One of several things to be seen beside each other."""

    title: str
    blocks: tuple[Paragraph | Bullets | Listing, ...]


class Columns(msgspec.Struct, frozen=True):
    """Things to be seen beside each other where there is room."""

    columns: tuple[Column, ...]


class Details(msgspec.Struct, frozen=True):
    """Blocks that are folded away until they are asked for."""

    summary: str
    blocks: tuple[Paragraph | Table | Listing, ...]


Block = Heading | Paragraph | Verdict | Bullets | Table | Listing | Chart | Columns | Details


class Document(msgspec.Struct, frozen=True):
    """A title and the blocks below it."""

    title: str
    blocks: tuple[Block, ...]
