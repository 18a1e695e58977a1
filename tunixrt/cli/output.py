"""How commands speak: data on stdout, everything else on stderr."""

from __future__ import annotations

import itertools
import json
import textwrap
from typing import TYPE_CHECKING, Any

import click
import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

#: The version of the JSON documents that `--json` prints. Fields are only ever added.
SCHEMA_VERSION = "1"


def emit_json(document: Mapping[str, Any]) -> None:
    """Print one JSON document, with its ``schema_version`` first."""
    plain = msgspec.to_builtins({"schema_version": SCHEMA_VERSION, **document})
    click.echo(json.dumps(plain, ensure_ascii=False, indent=2))


def say(message: str) -> None:
    """A message for the person: stderr."""
    click.echo(message, err=True)


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Columns padded with spaces; numbers to the right, everything else to the left."""
    return "\n".join(_table_lines(header, rows))


def stream_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table whose rows come one by one and are never all in memory.

    The first thousand rows decide how wide the columns are; later ones may stick out.
    """
    for line in _table_lines(header, rows, n_measured=1000):
        click.echo(line)


def stream_json(name: str, items: Iterable[Mapping[str, Any]]) -> None:
    """Print one JSON document with a list that is never all in memory: what `emit_json` prints.

    Args:
        name: The field that the list has.
        items: Its items.
    """
    click.echo(f'{{\n  "schema_version": "{SCHEMA_VERSION}",\n  "{name}": [', nl=False)
    separator = "\n"
    for item in items:
        text = json.dumps(msgspec.to_builtins(item), ensure_ascii=False, indent=2)
        click.echo(separator + textwrap.indent(text, "    ", _always), nl=False)
        separator = ",\n"
    click.echo("]\n}" if separator == "\n" else "\n  ]\n}")


def _table_lines(
    header: Sequence[str], rows: Iterable[Sequence[object]], n_measured: int | None = None
) -> Iterator[str]:
    every = ([str(value) for value in row] for row in rows)
    cells = list(itertools.islice(every, n_measured))
    if not cells:
        yield "(none)"
        return
    widths = [max(len(title), *(len(row[i]) for row in cells)) for i, title in enumerate(header)]
    numeric = [all(_is_number(row[i]) for row in cells) for i in range(len(header))]
    for row in (header, ["-" * width for width in widths]):
        yield _line(row, widths, numeric)
    for row in itertools.chain(cells, every):
        yield _line(row, widths, numeric)


def _always(_: str) -> bool:
    return True


def _line(cells: Sequence[str], widths: Sequence[int], numeric: Sequence[bool]) -> str:
    padded = (
        cell.rjust(width) if right else cell.ljust(width)
        for cell, width, right in zip(cells, widths, numeric, strict=True)
    )
    return "  ".join(padded).rstrip()


def _is_number(cell: str) -> bool:
    return cell.replace(",", "").replace(".", "", 1).replace("%", "").lstrip("-+").isdigit()


def short(digest: str) -> str:
    """The first 12 hex digits of a digest or run id: what people read and paste."""
    return digest.removeprefix("sha256:")[:12]


def count(n: int, noun: str, plural: str | None = None) -> str:
    """``1 trace``, ``7,473 traces``."""
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"
