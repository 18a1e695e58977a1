"""Decompresses gzip and Zstandard as a stream, with a sentence for what is cut off or damaged.

Memory does not depend on what the data expands to: gzip gives at most a mebibyte at a time, and
Zstandard receives so few bytes at a time that its output stays bounded, whatever it expands to.
Members (gzip) and frames (Zstandard) that follow one another are one text.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final, Protocol

from tunixrt.extras import ZSTD, require
from tunixrt.traces.importers.file_kinds import UnreadableFileError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Read = Callable[[int], bytes]

GZIP: Final = "gzip"
ZSTANDARD: Final = "Zstandard"

_GZIP_MAGIC: Final = b"\x1f\x8b"
_ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
#: A frame that a reader skips; parallel compressors begin with one. The low half byte is free.
_SKIPPABLE_MAGIC: Final = b"\x2a\x4d\x18"
_SKIPPABLE_FIRST: Final = range(0x50, 0x60)

_IN_BYTES: Final = 64 * 1024
_OUT_BYTES: Final = 1024 * 1024
#: A block of 128 KiB may take four bytes, so this many bytes give at most 16 MiB.
_ZSTD_IN_BYTES: Final = 512
#: The limit of the command `zstd` as well: a frame may ask for a window of any size.
_MAX_WINDOW_BYTES: Final = 128 * 1024 * 1024
_WITH_GZIP_HEADER: Final = 31
_AGAIN: Final = "Fetch it or compress it again"


class Readable(Protocol):
    """Something to read bytes from; fewer bytes than asked for do not mean the end."""

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes, none at the end."""


def compression_of(beginning: bytes) -> str | None:
    """Return how a file is compressed, from its first four bytes; None if it is not."""
    if beginning.startswith(_GZIP_MAGIC):
        return GZIP
    skippable = beginning[1:4] == _SKIPPABLE_MAGIC and beginning[0] in _SKIPPABLE_FIRST
    return ZSTANDARD if beginning.startswith(_ZSTD_MAGIC) or skippable else None


def decompressed(name: str, stream: Readable, compression: str) -> Readable:
    """Return a stream of the decompressed bytes.

    Args:
        name: The name of the file, for messages.
        stream: The compressed bytes.
        compression: ``GZIP`` or ``ZSTANDARD``.

    Raises:
        MissingExtraError: The package for Zstandard is not installed.
        UnreadableFileError: While reading: the data is cut off or damaged.
    """
    if compression == GZIP:
        return _Pieces(_gunzip(name, stream.read))
    require(ZSTD, f"{name} is compressed with Zstandard, and reading it")
    return _Pieces(_unzstd(name, stream.read))


class _Pieces:
    """A stream of the bytes that an iterator yields."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = memoryview(b"")

    def read(self, size: int, /) -> bytes:
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._rest = memoryview(piece)
        data = bytes(self._rest[:size])
        self._rest = self._rest[size:]
        return data


def _gunzip(name: str, read: Read) -> Iterator[bytes]:
    pending = read(_IN_BYTES)
    is_first = True
    while pending:
        member = zlib.decompressobj(_WITH_GZIP_HEADER)
        if not is_first and not pending.startswith(_GZIP_MAGIC[: len(pending)]):
            raise _trailing(name, GZIP)
        is_first = False
        while not member.eof:
            try:
                piece = member.decompress(pending, _OUT_BYTES)
            except zlib.error as error:
                raise _damaged(name, GZIP, _reason(error)) from error
            if piece:
                yield piece
            pending = member.unconsumed_tail
            if not pending and not member.eof and len(piece) < _OUT_BYTES:
                pending = read(_IN_BYTES)
                if not pending:
                    raise _cut_off(name, GZIP)
        # Padding with zero bytes, as tapes have it, is not data; `gzip -d` passes it over too.
        pending = member.unused_data.lstrip(b"\0")
        while not pending and (more := read(_IN_BYTES)):
            pending = more.lstrip(b"\0")


def _unzstd(name: str, read: Read) -> Iterator[bytes]:
    import zstandard

    decompressor = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW_BYTES)
    pending = read(_IN_BYTES)
    while pending:
        while len(pending) < len(_ZSTD_MAGIC) and (more := read(_IN_BYTES)):
            pending += more
        if compression_of(pending) != ZSTANDARD:
            raise _trailing(name, ZSTANDARD)
        frame = decompressor.decompressobj()
        while not frame.eof:
            if not pending and not (pending := read(_IN_BYTES)):
                raise _cut_off(name, ZSTANDARD)
            try:
                piece = frame.decompress(pending[:_ZSTD_IN_BYTES])
            except zstandard.ZstdError as error:
                raise _damaged(name, ZSTANDARD, str(error).rpartition(": ")[2]) from error
            pending = pending[_ZSTD_IN_BYTES:]
            if piece:
                yield piece
        pending = (frame.unused_data + pending) or read(_IN_BYTES)


def _cut_off(name: str, compression: str) -> UnreadableFileError:
    sentence = f"The file {name} is cut off: its {compression} data ends in the middle. {_AGAIN}."
    return UnreadableFileError(name, sentence)


def _damaged(name: str, compression: str, reason: str) -> UnreadableFileError:
    return UnreadableFileError(
        name, f"The file {name} is damaged: its {compression} data is wrong ({reason}). {_AGAIN}."
    )


def _trailing(name: str, compression: str) -> UnreadableFileError:
    return UnreadableFileError(
        name,
        f"The file {name} is damaged: after its {compression} data there are bytes of another "
        f"kind. {_AGAIN}.",
    )


def _reason(error: zlib.error) -> str:
    """Return what zlib found: its message is ``Error -3 while decompressing data: REASON``."""
    return str(error).rpartition(": ")[2]
