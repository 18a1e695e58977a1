"""Reads input text as numbered lines, one at a time.

Every input file is opened here: a byte order mark is skipped, and a file that is not JSON Lines is
refused early. Only a line feed ends a line. What else a user's file may be is read in
:mod:`tunixrt.traces.importers.containers`.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

from tunixrt.log.digests import Digest
from tunixrt.log.stored import open_stored
from tunixrt.traces.importers.file_kinds import (
    BYTE_ORDER_MARK,
    JSON_LINES,
    UnreadableFileError,
    check_json_lines,
    without_mark,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tunixrt.traces.importers.compressed import Readable

#: A longer line is refused before it is read whole: no trace needs it, and memory stays bounded.
MAX_LINE_BYTES: Final = 64 * 1024 * 1024

_CHUNK_BYTES: Final = 1024 * 1024


@dataclass(frozen=True)
class OpenText:
    """Text from an open stream, such as standard input; it can be read once.

    Attributes:
        name: its name in messages.
        stream: its bytes.
    """

    name: str
    stream: BinaryIO

    def __str__(self) -> str:
        """The name."""
        return self.name


@dataclass(frozen=True)
class MeteredFile:
    """A file whose reading is observed.

    Attributes:
        path: the file.
        on_read: receives the number of bytes of each read.
    """

    path: Path
    on_read: Callable[[int], None]

    def __str__(self) -> str:
        """The path."""
        return str(self.path)


#: Where text comes from; its ``str`` is its name in messages.
TextSource = Path | OpenText | MeteredFile


class Chunk(NamedTuple):
    """Some records of a file, in order.

    Attributes:
        first: the number of the first one, from 1: its line, or its row.
        records: the bytes of each; a blank one is not a record.
        faults: why the record of a number cannot be read, where its bytes do not show it.
    """

    first: int
    records: list[bytes]
    faults: Mapping[int, str] = MappingProxyType({})


def read_lines(source: TextSource, *, stored: bool = False) -> Iterator[tuple[int, bytes]]:
    """Yield number (from 1) and bytes of each line, without the line feed.

    Args:
        source: The file or the stream.
        stored: Whether it is a file of a store, which is a plain one (``tunixrt.log.stored``).

    Raises:
        UnreadableFileError: As of :func:`read_chunks`.
    """
    name = str(source)
    with open_text(source, stored=stored) as file:
        beginning = without_mark(name, file.read(_CHUNK_BYTES), JSON_LINES)
        check_json_lines(name, beginning)
        for chunk in line_chunks(name, beginning, file):
            yield from enumerate(chunk.records, chunk.first)


def line_chunks(name: str, beginning: bytes, stream: Readable) -> Iterator[Chunk]:
    """Yield the lines of a text in groups of about a mebibyte.

    Args:
        name: The name of the text, for messages.
        beginning: What was read of it, without a byte order mark.
        stream: The rest.

    Raises:
        UnreadableFileError: A line is longer than 64 MiB.
    """
    number, data = 0, beginning
    # The beginning of a line whose end was not read yet: pieces, joined once and not once each.
    held, n_held = list[bytes](), 0
    while data:
        if b"\n" in data:
            *lines, rest = b"".join((*held, data)).split(b"\n")
            if max(map(len, lines)) >= MAX_LINE_BYTES:  # the line feed counts
                longest = [len(raw) >= MAX_LINE_BYTES for raw in lines].index(True)
                raise _too_long(name, number + longest + 1)
            yield Chunk(number + 1, lines)
            number += len(lines)
            held, n_held = [rest] if rest else [], len(rest)
        else:
            held.append(data)
            n_held += len(data)
        if n_held > MAX_LINE_BYTES:
            raise _too_long(name, number + 1)
        data = stream.read(_CHUNK_BYTES)
    if held:
        yield Chunk(number + 1, [b"".join(held)])


class _Metered(io.BufferedIOBase):
    """A file that tells how much was read of it."""

    def __init__(self, file: BinaryIO, on_read: Callable[[int], None]) -> None:
        self._file, self._on_read = file, on_read

    def read(self, size: int | None = -1, /) -> bytes:
        data = self._file.read(-1 if size is None else size)
        self._on_read(len(data))
        return data

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._file.seekable()

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def fileno(self) -> int:
        return self._file.fileno()

    def close(self) -> None:
        self._file.close()
        super().close()


def digest_text(path: Path) -> Digest:
    """Return the SHA-256 of a store's text file after the byte order mark, if it has one.

    Raises:
        OSError: It is not a plain file that can be read.
    """
    with open_stored(path) as file:
        sha256 = hashlib.sha256(file.read(len(BYTE_ORDER_MARK)).removeprefix(BYTE_ORDER_MARK))
        while data := file.read(_CHUNK_BYTES):
            sha256.update(data)
    return Digest(f"sha256:{sha256.hexdigest()}")


#: In UTF-8, the line ends of ``str.splitlines`` that JSON does not escape. These bytes mean nothing
#: else, and in JSON they occur only in strings.
_LINE_BREAKS: Final = tuple((c.encode(), b"\\u%04x" % ord(c)) for c in "\x85\u2028\u2029")


def on_one_line(data: bytes) -> bytes:
    """Return a JSON text with U+0085, U+2028 and U+2029 escaped: the same value on one line.

    JSON escapes all other line breaks, except those between tokens.
    """
    for raw, escaped in _LINE_BREAKS:
        if raw in data:
            data = data.replace(raw, escaped)
    return data


def _too_long(name: str, number: int) -> UnreadableFileError:
    return UnreadableFileError(
        name,
        f"{name}, line {number}: The line is longer than {MAX_LINE_BYTES:,} bytes "
        "(64 MiB). The file should hold one JSON object per line.",
        number,
    )


def open_text(
    source: TextSource, *, stored: bool = False
) -> contextlib.AbstractContextManager[BinaryIO | io.BufferedIOBase]:
    """Return the bytes of a source, for use in a ``with``; a stream stays open.

    Args:
        source: a file, or a stream that is open.
        stored: whether it is a file of a store, which is a plain one (``tunixrt.log.stored``).

    Raises:
        UnreadableFileError: The file is absent, a directory or not readable.
    """
    if isinstance(source, OpenText):
        return contextlib.nullcontext(source.stream)
    if isinstance(source, MeteredFile):
        return _Metered(_open_file(source.path, stored=stored), source.on_read)
    return _open_file(source, stored=stored)


def _open_file(path: Path, *, stored: bool) -> BinaryIO:
    try:
        if stored:
            return open_stored(path)
        if path.is_dir():
            raise UnreadableFileError(str(path), f"{path} is a directory, not a file of records.")
        return path.open("rb")
    except FileNotFoundError:
        raise UnreadableFileError(str(path), f"There is no file {path}.") from None
    except OSError as error:
        raise UnreadableFileError(
            str(path), f"The file {path} cannot be opened: {error.strerror or error}."
        ) from error
