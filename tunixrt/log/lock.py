"""The store's lock: for commands that change a file in place or read before they write.

A redaction takes it, and so does every command whose write depends on the state of the log: a
label, a name, a dataset under a key that must stay unique. Recording needs none: a segment appears
by one rename, and two at once are what two branches are.

The operating system holds the lock itself, so a process that dies holds nothing. A note beside it
names the holder, for messages to the process that waits; the note decides nothing.
"""

from __future__ import annotations

import contextlib
import os
import platform
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from tunixrt.errors import StoreLockedError
from tunixrt.log.files import remove, writing
from tunixrt.log.stored import read_stored

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from filelock import FileLock

    from tunixrt.log.layout import Layout

DEFAULT_TIMEOUT_S = 10.0


class Holder(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The holder of the lock, according to the note.

    Attributes:
        pid: The process.
        host: The machine it runs on.
        work: The command that it carries out.
        since: When the note was written, in seconds since 1970; the time of the file, so that
            no clock is read.
    """

    pid: int
    host: str
    work: str
    since: float | None = None

    def __str__(self) -> str:
        """Return it as messages show it."""
        since = ""
        if self.since is not None:
            since = f", since {datetime.fromtimestamp(self.since, UTC):%Y-%m-%dT%H:%M:%SZ}"
        return f"process {self.pid} on {self.host} ({self.work}{since})"


class LockHeldError(StoreLockedError):
    """Another process changes the store, and did not finish in time.

    Attributes:
        path: The lock file.
        holder: Its holder; None if the note is missing.
    """

    def __init__(self, path: Path, holder: Holder | None, timeout_s: float) -> None:
        who = "Another process" if holder is None else f"Another process, {holder},"
        super().__init__(
            f"{who} holds {path}, and did not finish within {timeout_s:g} seconds: run the command "
            "again when it has, or wait longer with --lock-timeout."
        )
        self.path = path
        self.holder = holder


class Waiting(msgspec.Struct, frozen=True):
    """How to wait for the lock.

    Attributes:
        timeout_s: For how many seconds; 0 does not wait.
        on_wait: Called once, before waiting, with the holder if it is known.
    """

    timeout_s: float = DEFAULT_TIMEOUT_S
    on_wait: Callable[[Holder | None], None] | None = None


@contextlib.contextmanager
def store_lock(layout: Layout, work: str, waiting: Waiting | None = None) -> Iterator[None]:
    """Hold the store's lock.

    Args:
        layout: The store.
        work: What the lock is taken for: the command, as typed.
        waiting: How to wait while another process holds it.

    Raises:
        LockHeldError: If another process holds it for longer than the timeout.
        WriteError: If the lock file cannot be made.
    """
    with hold(layout.lock, work, waiting or Waiting()):
        yield


@contextlib.contextmanager
def hold(path: Path, work: str, waiting: Waiting) -> Iterator[None]:
    """Hold the lock of one file, with a note beside it that names the holder.

    Args:
        path: The lock file; its directory is made.
        work: What the lock is taken for, in a word or two.
        waiting: How to wait while another process holds it.

    Raises:
        LockHeldError: If another process holds it for longer than the timeout.
        WriteError: If the lock file cannot be made.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = _lock(path)
        if not _acquire(lock, 0.0):
            if waiting.on_wait is not None:
                waiting.on_wait(_read_note(path))
            if not _acquire(lock, waiting.timeout_s):
                raise LockHeldError(path, _read_note(path), waiting.timeout_s)
    note = _note(path)
    try:
        # The note decides nothing: if it cannot be written, the lock is still held.
        with contextlib.suppress(OSError):
            remove(note)
            note.write_bytes(msgspec.json.encode(Holder(os.getpid(), platform.node(), work)))
        yield
    finally:
        with contextlib.suppress(OSError):
            remove(note)
        lock.release()


def lock_is_held(layout: Layout) -> bool:
    """Return whether a process holds the lock now; changes nothing.

    Raises:
        WriteError: If the lock file cannot be opened.
    """
    if not layout.lock.exists():
        return False
    with writing(layout.lock):
        lock = _lock(layout.lock)
        if not _acquire(lock, 0.0):
            return True
        lock.release()
    return False


def read_holder(layout: Layout) -> Holder | None:
    """Return the holder of the lock from the note; None if no note can be read."""
    return _read_note(layout.lock)


def _read_note(path: Path) -> Holder | None:
    note = _note(path)
    try:
        holder = msgspec.json.decode(read_stored(note), type=Holder)
        return msgspec.structs.replace(holder, since=note.stat().st_mtime)
    except (OSError, msgspec.MsgspecError, ValueError):
        return None  # released a moment ago, or not yet written


def _note(path: Path) -> Path:
    # Not in the lock file: a process that tries to take the lock truncates that.
    return path.with_name(f"{path.name}.holder")


def _lock(path: Path) -> FileLock:
    # Imported where it is used: a lookup through the index takes no lock, and starts faster without
    # it.
    from filelock import FileLock

    return FileLock(path)


def _acquire(lock: FileLock, timeout_s: float) -> bool:
    from filelock import Timeout

    try:
        lock.acquire(timeout=timeout_s)
    except Timeout:
        return False
    return True
