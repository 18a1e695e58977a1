"""Opens a user's file of records, whatever holds them: the first bytes decide, not the name.

JSON Lines, a JSON array, JSON values over several lines, CSV, Parquet and Arrow, and all texts
also compressed with gzip or Zstandard. Whatever the container, a record is the bytes of one JSON
value, and has a number: its line, its row, or its place among the values. Files stream: memory
holds about a mebibyte of records and one that is longer.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import stat
import tempfile
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from tunixrt.traces.importers.arrow_rows import arrow_rows, parquet_rows
from tunixrt.traces.importers.compressed import compression_of, decompressed
from tunixrt.traces.importers.csv_rows import csv_rows
from tunixrt.traces.importers.file_kinds import (
    RECORDS,
    FileKindError,
    TextKind,
    UnreadableFileError,
    kind_of_text,
    without_mark,
)
from tunixrt.traces.importers.json_values import array_elements, successive_values
from tunixrt.traces.importers.lines import line_chunks, open_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunixrt.traces.importers.compressed import Readable
    from tunixrt.traces.importers.lines import Chunk, TextSource

_BEGINNING_BYTES: Final = 1024 * 1024
PARQUET_MAGIC: Final = b"PAR1"
ARROW_FILE_MAGIC: Final = b"ARROW1"
#: A message of an Arrow stream begins with the mark of one, and the first message is the schema.
ARROW_STREAM_MAGIC: Final = b"\xff\xff\xff\xff"
TABLE_MAGICS: Final = (PARQUET_MAGIC, ARROW_FILE_MAGIC, ARROW_STREAM_MAGIC)
MAGIC_BYTES: Final = 8


class Unit(StrEnum):
    """What the records of a container are counted in."""

    LINE = "line"
    RECORD = "record"
    ROW = "row"


@dataclass(frozen=True)
class Container:
    """A file of records that is open.

    Attributes:
        name: its name in messages.
        unit: what the number of a record counts.
        chunks: the records.
    """

    name: str
    unit: Unit
    chunks: Iterator[Chunk]


@contextlib.contextmanager
def open_records(source: TextSource) -> Iterator[Container]:
    """Open a file of records; the block reads them.

    Args:
        source: The file, or a stream that is open.

    Raises:
        UnreadableFileError: The file is absent, a directory, or not readable, or holds no kind of
            records that is known; while reading: it is cut off or damaged, has a record longer
            than 64 MiB, or was changed by another process.
        MissingExtraError: The package for its kind is not installed.
    """
    name = str(source)
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(open_text(source))
        before = _status(file)
        container = _opened(name, file, stack)
        chunks = _unchanged(name, container.chunks, file, before)
        yield Container(name, container.unit, chunks)


def _opened(name: str, file: Any, stack: contextlib.ExitStack) -> Container:
    beginning = _read_up_to(file, MAGIC_BYTES)
    if beginning.startswith(TABLE_MAGICS):
        whole = _seekable(file, beginning, stack)
        if beginning.startswith(PARQUET_MAGIC):
            return Container(name, Unit.ROW, parquet_rows(name, whole))
        is_stream = beginning.startswith(ARROW_STREAM_MAGIC)
        return Container(name, Unit.ROW, arrow_rows(name, whole, is_stream=is_stream))
    stream: Readable = _Resumed(beginning, file)
    compression = compression_of(beginning)
    if compression is not None:
        stream = decompressed(name, stream, compression)
    return _text(name, stream, compression)


def _text(name: str, stream: Readable, compression: str | None) -> Container:
    beginning = _read_up_to(stream, _BEGINNING_BYTES)
    if compression is not None and beginning.startswith(TABLE_MAGICS):
        kind = "Parquet or Arrow in a compressed file"
        raise FileKindError(name, RECORDS, kind, "Decompress it first, since it is read by place")
    beginning = without_mark(name, beginning, RECORDS)
    match kind_of_text(name, beginning, RECORDS):
        case TextKind.LINES:
            return Container(name, Unit.LINE, line_chunks(name, beginning, stream))
        case TextKind.ARRAY:
            elements = array_elements(name, _Resumed(beginning, stream))
            return Container(name, Unit.RECORD, elements)
        case TextKind.VALUES:
            values = successive_values(name, _Resumed(beginning, stream))
            return Container(name, Unit.RECORD, values)
        case TextKind.TABLE:
            return Container(name, Unit.ROW, csv_rows(name, line_chunks(name, beginning, stream)))


class _Resumed:
    """A stream of which the beginning was read already."""

    def __init__(self, beginning: bytes, rest: Readable) -> None:
        self._beginning, self._rest = beginning, rest

    def read(self, size: int, /) -> bytes:
        if not self._beginning:
            return self._rest.read(size)
        data, self._beginning = self._beginning[:size], self._beginning[size:]
        return data


def _read_up_to(stream: Readable, size: int) -> bytes:
    """Return the next bytes; fewer than ``size`` only at the end."""
    pieces: list[bytes] = []
    while size > 0 and (data := stream.read(size)):
        pieces.append(data)
        size -= len(data)
    return b"".join(pieces)


def _seekable(file: Any, beginning: bytes, stack: contextlib.ExitStack) -> BinaryIO:
    """Return a file that can be read at any place; a pipe is copied to a temporary file."""
    if file.seekable():
        file.seek(-len(beginning), io.SEEK_CUR)
        whole: BinaryIO = file
        return whole
    copy = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
    copy.write(beginning)
    shutil.copyfileobj(file, copy)
    copy.seek(0)
    return copy


def _status(file: Any) -> os.stat_result | None:
    """Return the status of a regular file; None of a pipe and of what is not a file."""
    try:
        status = os.fstat(file.fileno())
    except (OSError, AttributeError):  # a stream in memory has no descriptor
        return None
    return status if stat.S_ISREG(status.st_mode) else None


def _unchanged(
    name: str, chunks: Iterator[Chunk], file: Any, before: os.stat_result | None
) -> Iterator[Chunk]:
    """Yield all chunks, and refuse the file at the end if it is not the one that was opened."""
    try:
        yield from chunks
    except UnreadableFileError as error:
        # Half of a file that is being written looks like one that is cut off.
        if _has_changed(file, before):
            raise _changed(name) from error
        raise
    if _has_changed(file, before):
        raise _changed(name)


def _has_changed(file: Any, before: os.stat_result | None) -> bool:
    after = _status(file)
    return (
        before is not None
        and after is not None
        and (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns)
    )


def _changed(name: str) -> UnreadableFileError:
    return UnreadableFileError(
        name,
        f"The file {name} changed while it was read. Import it again when no other program writes "
        "to it.",
    )
