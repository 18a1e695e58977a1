"""Looks at the first records of an import and leaves every source as if it had not been read."""

from __future__ import annotations

import shutil
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tunixrt.log.canonical import CanonicalError, decode
from tunixrt.traces.importers.containers import (
    MAGIC_BYTES,
    TABLE_MAGICS,
    open_records,
)
from tunixrt.traces.importers.file_kinds import NoRecordsError
from tunixrt.traces.importers.lines import OpenText, open_text

if TYPE_CHECKING:
    import contextlib

_N_RECORDS: Final = 20


def first_records(
    source: Path | OpenText, stack: contextlib.ExitStack
) -> tuple[list[object], Path | OpenText]:
    """Return the first records of a source that are JSON, and the source to import.

    Args:
        source: The file or the stream.
        stack: Closes what must stay open until the import is done.

    Returns:
        At most 20 decoded records, and what gives all of them: for a pipe, a stream that begins
        with what was read.

    Raises:
        UnreadableFileError: As of `open_records`; or the source has no records.
    """
    if isinstance(source, Path) and not _is_pipe(source):
        return _decoded(source), source
    stream: Any = (
        source.stream if isinstance(source, OpenText) else stack.enter_context(open_text(source))
    )
    name = str(source)
    if stream.seekable():
        place = stream.tell()
        found = _decoded(OpenText(name, stream))
        stream.seek(place)
        return found, OpenText(name, stream)
    replayed: Any = _Replayed(stream)
    beginning = replayed.read(MAGIC_BYTES)
    is_table = beginning.startswith(TABLE_MAGICS)
    replayed.rewind(keep=not is_table)
    if is_table:
        copy: Any = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
        shutil.copyfileobj(replayed, copy)
        copy.seek(0)
        return first_records(OpenText(name, copy), stack)
    found = _decoded(OpenText(name, replayed))
    replayed.rewind(keep=False)
    return found, OpenText(name, replayed)


class _Replayed:
    """A stream that keeps what is read of it, to give it again."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._keeps = True
        self._kept: list[bytes] = []
        self._again, self._place = b"", 0

    def read(self, size: int = -1, /) -> bytes:
        if self._place < len(self._again):
            end = len(self._again) if size < 0 else self._place + size
            data = self._again[self._place : end]
            self._place += len(data)
        else:
            self._again, self._place = b"", 0
            data = self._stream.read(size)
        if self._keeps:
            self._kept.append(data)
        return data

    def rewind(self, *, keep: bool) -> None:
        """Give everything again from the start, and keep it for another time or not."""
        self._again = b"".join(self._kept) + self._again[self._place :]
        self._kept, self._place, self._keeps = [], 0, keep

    def seekable(self) -> bool:
        return False


def _decoded(source: Path | OpenText) -> list[object]:
    found: list[object] = []
    is_empty = True
    with open_records(source) as container:
        for chunk in container.chunks:
            for number, record in enumerate(chunk.records, chunk.first):
                if not record.strip():
                    continue
                is_empty = False
                if number in chunk.faults:
                    continue
                try:
                    found.append(decode(record))
                except CanonicalError:
                    continue
                if len(found) == _N_RECORDS:
                    return found
            if found:
                return found
    if is_empty:
        raise NoRecordsError(str(source))
    return found


def _is_pipe(path: Path) -> bool:
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False  # opening it reports why
