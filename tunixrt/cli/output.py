"""Output of commands: data on stdout, everything else on stderr.

All text goes through `tunixrt.cli.streams`. Data is bytes, always UTF-8.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from tunixrt.visible import one_line, visible_json
from tunixrt.words import plural

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import BinaryIO

#: The version of the JSON documents that `--json` prints. Fields are only ever added.
SCHEMA_VERSION = "1"

#: A number and its noun, as in every line that is printed.
count = plural


def emit_json(document: Mapping[str, Any]) -> None:
    """Print one JSON document, with its ``schema_version`` first."""
    _print_json(document, indent=2)


def emit_json_line(document: Mapping[str, Any]) -> None:
    """Print one of several JSON documents, one per line."""
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
    return "\n".join(_table_lines(header, rows))


def stream_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table whose rows come one by one and are never all in memory.

    The first thousand rows decide how wide the columns are; later ones may stick out.
    """
    for line in _table_lines(header, rows, n_measured=1000):
        click.echo(line)


def stream_json(
    name: str,
    items: Iterable[object],
    after: Callable[[], Mapping[str, Any]] = dict,
) -> None:
    """Print one JSON document with a list that is never all in memory: what `emit_json` prints.

    Args:
        name: The field that the list has.
        items: Its items.
        after: Called after the last item; returns the fields that follow the list.
    """
    out = data_out()
    out.write(f'{{\n  "schema_version": "{SCHEMA_VERSION}",\n  "{name}": ['.encode())
    separator = "\n"
    for item in items:
        text = json.dumps(msgspec.to_builtins(item), ensure_ascii=False, indent=2)
        document = textwrap.indent(visible_json(text), "    ", _always)
        out.write(separator.encode() + document.encode())
        separator = ",\n"
    out.write(b"]" if separator == "\n" else b"\n  ]")
    for field, value in after().items():
        text = json.dumps({field: msgspec.to_builtins(value)}, ensure_ascii=False, indent=2)
        out.write(b",\n" + visible_json(text)[2:-2].encode())
    out.write(b"\n}\n")
    out.flush()


def echo_styled(runs: Iterable[tuple[str, str]]) -> None:
    """Print text in the colours of a terminal: pairs of SGR parameters and text.

    Only these parameters reach the terminal as control characters; those of the text are shown.
    """
    for style, text in runs:
        data_out().write(f"\x1b[{style}m".encode())
        sys.stdout.write(text)
        data_out().write(b"\x1b[0m")
    click.echo("")


def has_colour() -> bool:
    """Whether stdout is a terminal whose user wants colours (https://no-color.org)."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return sys.stdout.isatty()


def _table_lines(
    header: Sequence[str], rows: Iterable[Sequence[object]], n_measured: int | None = None
) -> Iterator[str]:
    every = ([one_line(str(value)) for value in row] for row in rows)
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
