"""An index of the log that is kept between commands: ``.tunixrt/index.sqlite``.

Looking up one trace folds the whole log, which takes seconds for a million. So the table of the
fold is kept, with the metadata of traces by key and value. It is derived and optional: it is
extended by what the log has gained at its end; it is rebuilt if it is absent, damaged, of a log
with other segments, or was changed by another program (a file beside it has its size and time); it
is used only for lookups, and what it points to is checked against the trace id. Nothing that is
published depends on it. A redaction deletes it, because it holds metadata.
"""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Final

from tunixrt.log.digests import Digest, digest_value
from tunixrt.log.files import WriteError, remove, writing
from tunixrt.log.lock import LockHeldError, Waiting, store_lock
from tunixrt.log.segment.header import DamagedError
from tunixrt.log.segment.shelves import segment_digests
from tunixrt.log.stored import is_plain_file, read_stored
from tunixrt.traces.index_tables import (
    INDEX_VERSION,
    GrowingIndex,
    RedactedError,
    SavedIndex,
    make_index,
)
from tunixrt.traces.lookup import find_trace
from tunixrt.traces.payloads import read_payload
from tunixrt.traces.spill import SpillError
from tunixrt.traces.state import Ancestry, Projection, TraceState, project

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tunixrt.log.eventlog import EventLog
    from tunixrt.log.layout import Layout

INDEX_NAME: Final = "index.sqlite"
_STAMP: Final = ".stamp"

MIN_EVENTS: Final = 10_000
"""Below this, folding the log is as fast as opening an index."""

_DAMAGED: Final = (sqlite3.Error, SpillError, ValueError, TypeError, LookupError, OverflowError)
"""What reading a damaged table raises."""

_IN_THE_WAY: Final = (sqlite3.Error, SpillError, LockHeldError, WriteError)


def open_index(log: EventLog, *, min_events: int = MIN_EVENTS) -> SavedIndex | None:
    """Return the index of a log, built or extended first if that is needed and worth it.

    Returns:
        The index; None if the log is small, another process changes the store, or the index
        cannot be written. Then fold the log instead.

    Raises:
        DamagedError: The log is damaged.
    """
    expected = _about(log.layout)
    found = _open(log.layout, expected)
    # A failure of the index is not a failure of the lookup.
    if found is None and _is_stamped(log.layout):
        with contextlib.suppress(*_IN_THE_WAY, *_DAMAGED):
            _extend(log, expected)
        found = _open(log.layout, expected)
    if found is None and sum(ref.n_events for ref in log.segments()) >= min_events:
        with contextlib.suppress(*_IN_THE_WAY):
            _save(log, expected)
        found = _open(log.layout, expected)
    return found


def forget_index(layout: Layout) -> None:
    """Delete the index; the next lookup rebuilds it.

    Raises:
        WriteError: If the file system refuses.
    """
    path = _path(layout)
    with writing(path):
        remove(path)
        # The journal of an interrupted writer must not be replayed into another index.
        for suffix in ("-journal", "-wal", "-shm", _STAMP):
            remove(path.with_name(f"{path.name}{suffix}"))


def find_saved(log: EventLog, prefix: str, *, min_events: int = MIN_EVENTS) -> TraceState:
    """Return the trace whose id begins with this prefix, through the index if it exists.

    Raises:
        TraceLookupError: The prefix is invalid, or no trace or several traces have it.
        DamagedError: The log is damaged.
    """
    index = open_index(log, min_events=min_events)
    if index is not None:
        try:
            with Projection(index) as projection:
                state = find_trace(projection, prefix)
            if _points_right(log, state):
                return state
        except (*_DAMAGED, DamagedError):
            pass  # the index is damaged, or a part has changed since: the log decides
        with contextlib.suppress(WriteError):
            forget_index(log.layout)
    with project(log) as folded:
        return find_trace(folded, prefix)


def find_with_meta(
    log: EventLog, filters: Mapping[str, str], *, min_events: int = MIN_EVENTS
) -> Iterator[TraceState] | None:
    """Return the traces that may have these metadata, in the order of the log; check each.

    Returns:
        None without an index: then all traces must be checked.
    """
    index = open_index(log, min_events=min_events)
    return None if index is None else _states(log, index, filters)


def _states(log: EventLog, index: SavedIndex, filters: Mapping[str, str]) -> Iterator[TraceState]:
    last = -1
    try:
        with Projection(index) as projection:
            for trace in index.with_meta(filters):
                state = projection.get(trace)
                if state is None or state.place is None or not _points_right(log, state):
                    break
                yield state
                last = state.place
            else:
                return
    except (*_DAMAGED, DamagedError):
        pass
    # The rest of the index is damaged: the log has the rest, and the next lookup rebuilds it.
    with contextlib.suppress(WriteError):
        forget_index(log.layout)
    with project(log) as folded:
        yield from (s for s in folded.traces() if s.place is not None and s.place > last)


def _points_right(log: EventLog, state: TraceState) -> bool:
    if state.location is None or state.redacted or not state.kept:
        return True
    return read_payload(log, state) is not None


def _path(layout: Layout) -> Path:
    return layout.derived / INDEX_NAME


def _about(layout: Layout) -> str:
    return digest_value({"segments": segment_digests(layout), "version": INDEX_VERSION})


def _open(layout: Layout, expected: str) -> SavedIndex | None:
    path = _path(layout)
    if not _is_stamped(layout):
        return None
    try:
        index = SavedIndex(path)
    except _DAMAGED:
        return None  # absent or damaged: it is rebuilt
    try:
        if index.about() == expected:
            return index
    except _DAMAGED:
        pass
    index.close()
    return None


def _is_stamped(layout: Layout) -> bool:
    """Return whether the index is the file that was written: most damage shows in no answer."""
    path = _path(layout)
    try:
        # Nothing else is opened: a FIFO would block SQLite.
        return is_plain_file(path) and read_stored(_stamp_path(path)) == _stamp(path)
    except OSError:
        return False


def _write_stamp(layout: Layout) -> None:
    """Record size and time of the index; a process that dies before leaves one to rebuild."""
    path = _path(layout)
    remove(_stamp_path(path))
    _stamp_path(path).write_bytes(_stamp(path))


def _stamp(path: Path) -> bytes:
    facts = path.lstat()
    return f"{facts.st_size} {facts.st_mtime_ns}\n".encode()


def _stamp_path(path: Path) -> Path:
    return path.with_name(path.name + _STAMP)


def _save(log: EventLog, about: str) -> None:
    """Build the index in another file, which replaces it when it is complete."""
    layout = log.layout
    partial = layout.derived / f"{INDEX_NAME}.partial"
    # Under the lock, so that no redaction runs between reading a text and saving it.
    with store_lock(layout, "index", Waiting(timeout_s=0)), writing(partial):
        remove(partial)
        try:
            make_index(log, partial, about)
            forget_index(layout)
            partial.replace(_path(layout))
            _write_stamp(layout)
        finally:
            remove(partial)


def _extend(log: EventLog, about: str) -> None:
    """Add what the log has gained to the index; leave it unchanged if that fails."""
    with store_lock(log.layout, "index", Waiting(timeout_s=0)):
        index = GrowingIndex(_path(log.layout))
        try:
            new = index.news(log.layout)
            if new is not None:
                index.add(new, _LazyAncestry(log), about)
                index.close()
                with writing(_path(log.layout)):
                    _write_stamp(log.layout)
        except RedactedError:
            pass  # an index that holds metadata of a redacted trace is rebuilt
        finally:
            index.close()


class _LazyAncestry:
    """Ancestry that reads the headers only when it is called."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._ancestry: Ancestry | None = None

    def __call__(self, ancestor: Digest, segment: Digest) -> bool:
        if self._ancestry is None:
            self._ancestry = Ancestry(self._log.segments())
        return self._ancestry(ancestor, segment)
