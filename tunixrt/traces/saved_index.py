"""An index of the log that outlives the command: ``.tunixrt/index.sqlite``.

Looking up one trace folds the whole log, which takes seconds for a million. So the table of the
fold is kept, beside the metadata of traces by key and value. It is derived and never needed: it
takes in what the log has gained at its end, it is made again when it is absent, damaged, or of a
log with other segments, it is used for lookups alone, and what it points to is held against the
trace id. Nothing that gets published is made from it. A redaction throws it away, because it holds
metadata.
"""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Final

from tunixrt.log.digests import Digest, digest_value
from tunixrt.log.files import WriteError, writing
from tunixrt.log.lock import LockHeldError, Waiting, store_lock
from tunixrt.log.segment.header import DamagedError
from tunixrt.log.segment.shelves import segment_digests
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

MIN_EVENTS: Final = 10_000
"""Below, folding the log is as fast as opening an index."""

_IN_THE_WAY: Final = (sqlite3.Error, SpillError, LockHeldError, WriteError)


def open_index(log: EventLog, *, min_events: int = MIN_EVENTS) -> SavedIndex | None:
    """Open the index of a log, after making or extending it if that is needed and worth it.

    Returns:
        The index; None where the log is small, another process changes the store, or the index
        cannot be written. Then fold the log instead.

    Raises:
        DamagedError: The log is damaged.
    """
    expected = _about(log.layout)
    found = _open(log.layout, expected)
    # What stands in the way of the index does not stand in the way of the answer.
    if found is None and _path(log.layout).exists():
        with contextlib.suppress(*_IN_THE_WAY, ValueError, TypeError, LookupError):
            _extend(log, expected)
        found = _open(log.layout, expected)
    if found is None and sum(ref.n_events for ref in log.segments()) >= min_events:
        with contextlib.suppress(*_IN_THE_WAY):
            _save(log, expected)
        found = _open(log.layout, expected)
    return found


def forget_index(layout: Layout) -> None:
    """Delete the index; the next lookup makes another one.

    Raises:
        WriteError: If the file system refuses.
    """
    path = _path(layout)
    with writing(path):
        path.unlink(missing_ok=True)
        # What an interrupted writer left must not be played back into another index.
        path.with_name(f"{path.name}-journal").unlink(missing_ok=True)


def find_saved(log: EventLog, prefix: str, *, min_events: int = MIN_EVENTS) -> TraceState:
    """The trace whose id begins with this prefix, through the index where there is one.

    Raises:
        TraceLookupError: The prefix is no prefix, or no trace or several traces have it.
        DamagedError: The log is damaged.
    """
    index = open_index(log, min_events=min_events)
    if index is not None:
        try:
            with Projection(index) as projection:
                state = find_trace(projection, prefix)
            if _points_right(log, state):
                return state
        except (sqlite3.Error, SpillError, DamagedError, TypeError, LookupError):
            pass  # the index is damaged, or a part has changed under it: the log decides
        forget_index(log.layout)
    with project(log) as folded:
        return find_trace(folded, prefix)


def find_with_meta(
    log: EventLog, filters: Mapping[str, str], *, min_events: int = MIN_EVENTS
) -> Iterator[TraceState] | None:
    """The traces that may have these metadata, in the order of the log; each is to be looked at.

    Returns:
        None where there is no index: then all traces have to be looked at.
    """
    index = open_index(log, min_events=min_events)
    return None if index is None else _states(index, filters)


def _states(index: SavedIndex, filters: Mapping[str, str]) -> Iterator[TraceState]:
    with Projection(index) as projection:
        for trace in index.with_meta(filters):
            state = projection.get(trace)
            if state is not None:
                yield state


def _points_right(log: EventLog, state: TraceState) -> bool:
    if state.location is None or state.redacted or not state.kept:
        return True
    return read_payload(log, state) is not None


def _path(layout: Layout) -> Path:
    return layout.derived / INDEX_NAME


def _about(layout: Layout) -> str:
    return digest_value({"segments": segment_digests(layout), "version": INDEX_VERSION})


def _open(layout: Layout, expected: str) -> SavedIndex | None:
    try:
        index = SavedIndex(_path(layout))
        if index.about() == expected:
            return index
        index.close()
    except (sqlite3.Error, SpillError, ValueError):
        pass  # absent or damaged: it is made again
    return None


def _save(log: EventLog, about: str) -> None:
    """Make the index in another file, which takes its place when it is complete."""
    layout = log.layout
    partial = layout.derived / f"{INDEX_NAME}.partial"
    # Under the lock, so that a redaction does not come between reading a text and saving it.
    with store_lock(layout, "index", Waiting(timeout_s=0)), writing(partial):
        partial.unlink(missing_ok=True)
        try:
            make_index(log, partial, about)
            forget_index(layout)
            partial.replace(_path(layout))
        finally:
            partial.unlink(missing_ok=True)


def _extend(log: EventLog, about: str) -> None:
    """Add what the log has gained to the index; it stays as it is where that cannot be done."""
    with store_lock(log.layout, "index", Waiting(timeout_s=0)):
        index = GrowingIndex(_path(log.layout))
        try:
            new = index.news(log.layout)
            if new is not None:
                index.add(new, _LazyAncestry(log), about)
        except RedactedError:
            pass  # an index that holds metadata of what must be forgotten is made again
        finally:
            index.close()


class _LazyAncestry:
    """Ancestry, for which all headers are read, for the few who ask."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._ancestry: Ancestry | None = None

    def __call__(self, ancestor: Digest, segment: Digest) -> bool:
        if self._ancestry is None:
            self._ancestry = Ancestry(self._log.segments())
        return self._ancestry(ancestor, segment)
