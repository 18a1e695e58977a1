"""Reads input text as numbered lines, one at a time.

Every input file is opened here: a byte order mark is skipped, and a file that is not JSON Lines is
refused early. Only a line feed ends a line.
"""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

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
    from collections.abc import Iterator

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


#: Where text comes from; its ``str`` is its name in messages.
TextSource = Path | OpenText


def read_lines(source: TextSource, *, stored: bool = False) -> Iterator[tuple[int, bytes]]:
    """Yield number (from 1) and bytes of each line, without the line feed.

    Args:
        source: The file or the stream.
        stored: Whether it is a file of a store, which is a plain one (``tunixrt.log.stored``).

    Raises:
        UnreadableFileError: As of :func:`read_chunks`.
    """
    for first, lines in read_chunks(source, stored=stored):
        yield from enumerate(lines, first)


def read_chunks(source: TextSource, *, stored: bool = False) -> Iterator[tuple[int, list[bytes]]]:
    """Yield lines in groups of about a mebibyte, each with its first line number (from 1).

    Raises:
        UnreadableFileError: The file is absent, a directory or not readable, or has a line longer
            than 64 MiB; as FileKindError, its beginning shows that it is not JSON Lines in UTF-8.
    """
    with open_text(source, stored=stored) as file:
        number, rest, begun = 0, b"", False
        while data := file.read(_CHUNK_BYTES):
            if not begun:
                begun = True
                data = without_mark(str(source), data, JSON_LINES)
                check_json_lines(str(source), data)
            *lines, rest = (rest + data).split(b"\n")
            if lines:
                if max(map(len, lines)) >= MAX_LINE_BYTES:  # the line feed counts
                    longest = [len(raw) >= MAX_LINE_BYTES for raw in lines].index(True)
                    raise _too_long(source, number + longest + 1)
                yield number + 1, lines
                number += len(lines)
            if len(rest) > MAX_LINE_BYTES:
                raise _too_long(source, number + 1)
        if rest:
            yield number + 1, [rest]


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


def _too_long(source: TextSource, number: int) -> UnreadableFileError:
    return UnreadableFileError(
        str(source),
        f"{source}, line {number}: The line is longer than {MAX_LINE_BYTES:,} bytes "
        "(64 MiB). The file should hold one JSON object per line.",
        number,
    )


def open_text(
    source: TextSource, *, stored: bool = False
) -> contextlib.AbstractContextManager[BinaryIO]:
    """Return the bytes of a source, for use in a ``with``; a stream stays open.

    Args:
        source: a file, or a stream that is open.
        stored: whether it is a file of a store, which is a plain one (``tunixrt.log.stored``).

    Raises:
        UnreadableFileError: The file is absent, a directory or not readable.
    """
    if isinstance(source, OpenText):
        return contextlib.nullcontext(source.stream)
    try:
        if stored:
            return open_stored(source)
        if source.is_dir():
            raise UnreadableFileError(
                str(source), f"{source} is a directory, not a file of records."
            )
        return source.open("rb")
    except FileNotFoundError:
        raise UnreadableFileError(str(source), f"There is no file {source}.") from None
    except OSError as error:
        raise UnreadableFileError(
            str(source), f"The file {source} cannot be opened: {error.strerror or error}."
        ) from error
