"""How commands speak: data on stdout, everything else on stderr."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click
import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

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
    cells = [[str(value) for value in row] for row in rows]
    if not cells:
        return "(none)"
    widths = [max(len(title), *(len(row[i]) for row in cells)) for i, title in enumerate(header)]
    numeric = [all(_is_number(row[i]) for row in cells) for i in range(len(header))]
    lines = [_line(header, widths, numeric), _line(["-" * w for w in widths], widths, numeric)]
    lines += [_line(row, widths, numeric) for row in cells]
    return "\n".join(lines)


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
