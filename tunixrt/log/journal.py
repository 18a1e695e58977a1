"""A journal: events of one writer that are on the disk and not yet in a segment.

A journal has its own directory under ``store/.tmp/``, with a lock that its writer holds as long as
it runs. Each event is two lines, as in a part, and is acknowledged when both are on the disk.
A writer that dies leaves a journal whose last event may be torn. A recovery takes the whole events
and keeps the torn one in a separate file: nothing is joined, nothing is deleted.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Self

import msgspec

from tunixrt.log.digests import digest_bytes, hex_of
from tunixrt.log.files import new_directory, replace_file, sync_directory, sync_file, writing
from tunixrt.log.segment.events import Envelope, decode_envelope, encode_envelope, envelope_problem
from tunixrt.log.stored import open_stored

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from filelock import FileLock

    from tunixrt.log.layout import Layout

PREFIX = "stream-"
TORN_SUFFIX = ".torn"
_JOURNAL = "journal.jsonl"
_LOCK = "writer.lock"


class Journal:
    """The journal of this process; close it."""

    def __init__(self, layout: Layout) -> None:
        """Begin a journal.

        Raises:
            WriteError: If the file system refuses.
        """
        with writing(layout.staging):
            layout.staging.mkdir(parents=True, exist_ok=True)
            begun = new_directory(layout.staging)
            self._lock = _lock(begun)
            self._lock.acquire()
            # It gets the name of a journal only now, with its lock held.
            self.directory = begun.with_name(PREFIX + begun.name)
            begun.rename(self.directory)
            self._file = self._path.open("ab", buffering=0)
            for directory in (self.directory, layout.staging, layout.store):
                sync_directory(directory)
        self.n_events = 0
        self.n_bytes = 0

    @property
    def _path(self) -> Path:
        return self.directory / _JOURNAL

    def append(self, envelope: Envelope, payload: bytes) -> None:
        """Write an event to the disk; it is durable when this returns.

        Raises:
            WriteError: If the file system refuses. Then the event is not acknowledged, and the
                journal ends before it as if it had never been tried.
        """
        data = b"%b\n%b\n" % (encode_envelope(envelope), payload)
        try:
            with writing(self._path):
                self._write(data)
                sync_file(self._path)
        except BaseException:
            os.truncate(self._path, self.n_bytes)
            raise
        self.n_events += 1
        self.n_bytes += len(data)

    def events(self) -> Iterator[tuple[Envelope, bytes]]:
        """Yield the events that were appended since the last ``clear``."""
        yield from read_journal(self.directory)

    def clear(self) -> None:
        """Empty the journal: its events are in the log now.

        Raises:
            WriteError: If the file system refuses.
        """
        with writing(self._path):
            self._file.truncate(0)
            sync_file(self._path)
        self.n_events = self.n_bytes = 0

    def close(self) -> None:
        """Close the journal and release its lock; an empty one is removed."""
        self._file.close()
        if not self.n_events:
            remove_journal(self.directory)
        self._lock.release()

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:  # a nearly full disk may accept only a part
            left = left[self._file.write(left) or 0 :]


class Orphan:
    """The journal of a writer that is dead, held by this process; use it in a ``with``."""

    def __init__(self, layout: Layout, directory: Path, lock: FileLock) -> None:
        self.directory = directory
        self._layout = layout
        self._lock = lock

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def events(self) -> Iterator[tuple[Envelope, bytes]]:
        """Yield its whole events; the torn end is skipped."""
        yield from read_journal(self.directory)

    def quarantine(self) -> Path | None:
        """Copy the torn end, if any, into a file beside the journal's directory.

        Raises:
            WriteError: If the file system refuses.
        """
        path = self.directory / _JOURNAL
        if not path.exists():
            return None
        with writing(path), open_stored(path) as file:
            file.seek(_n_whole_bytes(self.directory))
            torn = file.read()
        if not torn:
            return None
        target = self._layout.staging / f"{hex_of(digest_bytes(torn))[:16]}{TORN_SUFFIX}"
        replace_file(target, torn, self.directory)
        return target

    def remove(self) -> None:
        """Remove the journal: its events are in the log, its torn end is in quarantine."""
        remove_journal(self.directory)


def journals(layout: Layout) -> list[Path]:
    """Return the directories of all journals, of writers dead or alive."""
    return sorted(path for path in layout.staging.glob(f"{PREFIX}*") if path.is_dir())


def orphans(layout: Layout) -> Iterator[Orphan]:
    """Yield the journals of dead writers, one at a time, each with its lock held.

    Raises:
        WriteError: If the file system refuses.
    """
    for directory in journals(layout):
        lock = _lock(directory)
        with writing(directory):
            if not _acquire(lock):
                continue  # its writer is alive
        with Orphan(layout, directory, lock) as orphan:
            yield orphan


def read_journal(directory: Path) -> Iterator[tuple[Envelope, bytes]]:
    """Yield the whole events of a journal, up to the first that is torn or damaged."""
    for envelope, payload, _ in _whole(directory):
        yield envelope, payload


def remove_journal(directory: Path) -> None:
    """Remove a journal and its directory."""
    for name in (_JOURNAL, _LOCK):
        (directory / name).unlink(missing_ok=True)
    # Another process that checks whether the writer is alive has a lock file in it for a moment; an
    # empty journal is removed by the next process that finds it.
    with contextlib.suppress(OSError):
        directory.rmdir()


def _lock(directory: Path) -> FileLock:
    # Imported where it is used: the facade knows streams, and most commands do not lock.
    from filelock import FileLock

    return FileLock(directory / _LOCK)


def _acquire(lock: FileLock) -> bool:
    from filelock import Timeout

    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    return True


def _n_whole_bytes(directory: Path) -> int:
    return max((end for _, _, end in _whole(directory)), default=0)


def _whole(directory: Path) -> Iterator[tuple[Envelope, bytes, int]]:
    path = directory / _JOURNAL
    if not path.exists():
        return
    end = 0
    with open_stored(path) as file:
        while True:
            line, payload = file.readline(), file.readline()
            end += len(line) + len(payload)
            if not (line.endswith(b"\n") and payload.endswith(b"\n")):
                return
            try:
                envelope = decode_envelope(line)
            except (msgspec.MsgspecError, ValueError):
                return
            body = payload[:-1]
            if envelope_problem(envelope) or envelope.payload != digest_bytes(body):
                return
            yield envelope, body, end
