"""A file as numbered lines, read one at a time; files that are no JSON lines are refused early."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Final

from tunixrt.errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: A longer line is refused before it is read whole: no trace needs it, and memory stays bounded.
MAX_LINE_BYTES: Final = 64 * 1024 * 1024

_CHUNK_BYTES: Final = 1024 * 1024


class UnreadableFileError(BadInputError):
    """A file that cannot be read as records at all."""

    def __init__(self, path: Path, sentence: str, line: int | None = None) -> None:
        super().__init__(sentence)
        self.path = path
        self.line = line


def read_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Number (from 1) and bytes of each line, without the line feed.

    Raises:
        UnreadableFileError: As of :func:`read_chunks`.
    """
    for first, lines in read_chunks(path):
        yield from enumerate(lines, first)


def read_chunks(path: Path) -> Iterator[tuple[int, list[bytes]]]:
    """Lines in groups of about a mebibyte, each with the number of its first line (from 1).

    Raises:
        UnreadableFileError: The file is absent, a directory or not readable, is in another format
            that its first bytes give away, or has a line longer than 64 MiB.
    """
    with _open(path) as file:
        number, rest = 0, b""
        while data := file.read(_CHUNK_BYTES):
            if not number and not rest:
                _check_beginning(path, data)
            *lines, rest = (rest + data).split(b"\n")
            if lines:
                if max(map(len, lines)) >= MAX_LINE_BYTES:  # the line feed counts
                    longest = [len(raw) >= MAX_LINE_BYTES for raw in lines].index(True)
                    raise _too_long(path, number + longest + 1)
                yield number + 1, lines
                number += len(lines)
            if len(rest) > MAX_LINE_BYTES:
                raise _too_long(path, number + 1)
        if rest:
            yield number + 1, [rest]


def _too_long(path: Path, number: int) -> UnreadableFileError:
    return UnreadableFileError(
        path,
        f"{path}, line {number}: The line is longer than {MAX_LINE_BYTES:,} bytes "
        "(64 MiB). The file should hold one JSON object a line.",
        number,
    )


def _open(path: Path) -> BinaryIO:
    try:
        if path.is_dir():
            raise UnreadableFileError(path, f"{path} is a directory, not a file of records.")
        return path.open("rb")
    except FileNotFoundError:
        raise UnreadableFileError(path, f"There is no file {path}.") from None
    except OSError as error:
        raise UnreadableFileError(
            path, f"The file {path} cannot be opened: {error.strerror or error}."
        ) from error


_OTHER_KINDS: Final = (
    (b"\xff\xfe", "UTF-16 text; save it as UTF-8"),
    (b"\xfe\xff", "UTF-16 text; save it as UTF-8"),
    (b"\x1f\x8b", "compressed with gzip; decompress it first"),
    (b"\x28\xb5\x2f\xfd", "compressed with Zstandard; decompress it first"),
    (b"PK\x03\x04", "a ZIP archive; unpack it first"),
    (b"PAR1", "Parquet; convert it to one JSON object a line first"),
)


def _check_beginning(path: Path, raw: bytes) -> None:
    for magic, what in _OTHER_KINDS:
        if raw.startswith(magic):
            raise UnreadableFileError(
                path, f"{path}, line 1: The file should be JSON lines in UTF-8, but is {what}.", 1
            )
    if raw.startswith(b"\xef\xbb\xbf"):
        raise UnreadableFileError(
            path,
            f"{path}, line 1: The file begins with a UTF-8 byte order mark (EF BB BF), which JSON "
            "does not allow; save it as UTF-8 without one.",
            1,
        )
