"""How commands speak: data on stdout, everything else on stderr.

Text goes through `tunixrt.cli.streams`, whoever prints it. Data is bytes: always UTF-8.
"""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from tunixrt.visible import one_line, visible_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import BinaryIO

#: The version of the JSON documents that `--json` prints. Fields are only ever added.
SCHEMA_VERSION = "1"


def emit_json(document: Mapping[str, Any]) -> None:
    """Print one JSON document, with its ``schema_version`` first."""
    _print_json(document, indent=2)


def emit_json_line(document: Mapping[str, Any]) -> None:
    """Print one JSON document of many, on a line of its own."""
    _print_json(document, indent=None)


def _print_json(document: Mapping[str, Any], indent: int | None) -> None:
    plain = msgspec.to_builtins({"schema_version": SCHEMA_VERSION, **document})
    text = json.dumps(plain, ensure_ascii=False, indent=indent)
    out = data_out()
    out.write(visible_json(text).encode() + b"\n")
    out.flush()


def data_out() -> BinaryIO:
    """Standard output for bytes that a program reads; text that was printed before goes first."""
    sys.stdout.flush()
    return sys.stdout.buffer


def names_stdout(path: Path | None) -> bool:
    """Whether a command without ``-o``, or with ``-o -``, writes its data to stdout."""
    return path is None or path == Path("-")


@contextlib.contextmanager
def writing_to(path: Path | None) -> Iterator[BinaryIO]:
    """Open what ``-o`` names, or stdout; see `tunixrt.log.outputs.output_file`."""
    from tunixrt.log.outputs import output_file

    if path is None or names_stdout(path):
        out = data_out()
        yield out
        out.flush()
        return
    with output_file(path) as file:
        yield file


def say(message: str) -> None:
    """A message for the person: stderr."""
    # Outside of a command click would cut escape sequences out, which the door would show.
    click.echo(message, err=True, color=True)


def redraw(line: str) -> None:
    """Write over the last line of a terminal on stderr."""
    sys.stderr.flush()
    # The only control characters that tunixrt itself sends; those of the text become visible.
    sys.stderr.buffer.write(b"\r\x1b[K")
    sys.stderr.buffer.flush()
    if line:
        click.echo(one_line(line), nl=False, err=True, color=True)


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Columns padded with spaces; numbers to the right, everything else to the left."""
    cells = [[one_line(str(value)) for value in row] for row in rows]
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
