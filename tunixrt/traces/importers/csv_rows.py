"""Reads the rows of CSV as JSON objects of texts; the first line names the columns.

A cell is text, also if it looks like a number, and an empty cell is the empty text. Cells in
quotation marks may have line feeds.
"""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Final

import msgspec

from tunixrt.traces.importers.file_kinds import UnreadableFileError
from tunixrt.traces.importers.lines import MAX_LINE_BYTES, Chunk
from tunixrt.words import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK_BYTES: Final = 1024 * 1024
_DELIMITERS: Final = ",;\t"


def csv_rows(name: str, chunks: Iterator[Chunk]) -> Iterator[Chunk]:
    """Yield the rows of CSV; a blank line between them is an empty record.

    Args:
        name: The name of the file, for messages.
        chunks: Its lines, without line feeds.

    Raises:
        UnreadableFileError: A name of a column is absent or occurs twice, a quotation mark is not
            closed or is in the middle of a cell, or a line is not UTF-8.
    """
    lines = _text_lines(name, chunks)
    titles = next(lines)
    delimiter = max(_DELIMITERS, key=titles.count)
    # The limit of the module is for all of its readers; the lines have one of their own.
    csv.field_size_limit(MAX_LINE_BYTES)
    (header,) = csv.reader([titles], delimiter=delimiter, strict=True)
    _check_header(name, header)
    rows = _rows(name, csv.reader(lines, delimiter=delimiter, strict=True))
    first, records, faults, n_bytes = 1, list[bytes](), dict[int, str](), 0
    for number, row in enumerate(rows, 1):
        if row and len(row) != len(header):
            faults[number] = (
                f"The first line of the file has {len(header):,} cells, but the row has "
                f"{len(row):,}."
            )
            data = msgspec.json.encode(row)
        else:
            data = msgspec.json.encode(dict(zip(header, row, strict=True))) if row else b""
        records.append(data)
        n_bytes += len(data)
        if n_bytes >= _CHUNK_BYTES:
            yield Chunk(first, records, faults)
            first, records, faults, n_bytes = number + 1, [], {}, 0
    if records:
        yield Chunk(first, records, faults)


def _rows(name: str, reader: Iterator[list[str]]) -> Iterator[list[str]]:
    number = 1
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise UnreadableFileError(
                name, f"{name}, row {number}: The row is not CSV: {error}.", number
            ) from error
        if row is None:
            return
        yield row
        number += 1


def _text_lines(name: str, chunks: Iterator[Chunk]) -> Iterator[str]:
    for chunk in chunks:
        for number, line in enumerate(chunk.records, chunk.first):
            try:
                yield line.decode() + "\n"
            except UnicodeDecodeError as error:
                found = f"byte {error.start + 1} (0x{line[error.start]:02x}) is not UTF-8"
                raise UnreadableFileError(
                    name,
                    f"{name}, line {number}: CSV should be UTF-8, but {found}. Convert it, for "
                    "example with iconv -f WINDOWS-1252 -t UTF-8.",
                    number,
                ) from error


def _check_header(name: str, header: list[str]) -> None:
    doubled = next((one for one in header if header.count(one) > 1), None)
    if doubled is not None:
        raise UnreadableFileError(
            name, f"{name}, line 1: Two columns are called {quoted(doubled)}. Rename one.", 1
        )
