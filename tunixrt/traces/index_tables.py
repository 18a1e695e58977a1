"""The tables of the saved index: read, built from a whole log, and extended by new segments.

``saved_index`` decides which of these is done. All of it is derived from the log.
"""

from __future__ import annotations

import contextlib
import sqlite3
import weakref
from typing import TYPE_CHECKING, Final

import msgspec

from tunixrt.log.digests import Digest, from_raw
from tunixrt.log.eventlog import read_ref
from tunixrt.log.segment.events import RECORDED, REDACTED
from tunixrt.log.segment.reader import read_segment
from tunixrt.log.segment.shelves import segment_directories
from tunixrt.traces.spill import SpillDatabase, spill
from tunixrt.traces.state import Ancestry, fold_into
from tunixrt.traces.state_table import TraceIndex

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from tunixrt.log.eventlog import EventLog, SegmentRef
    from tunixrt.log.layout import Layout
    from tunixrt.log.segment.events import StoredEvent

INDEX_VERSION: Final = "4"

_VALUE_CHARACTERS: Final = 200
_BUFFERED: Final = 2_000
_CACHE_KIB: Final = 24 * 1024
_LOCK_TIMEOUT_S: Final = 0.5  # while another process extends it; folding the log takes as long


class RedactedError(Exception):
    """The new events include a redaction."""


class _OnlyMeta(msgspec.Struct):
    meta: dict[str, msgspec.Raw]


_decode_meta = msgspec.json.Decoder(_OnlyMeta).decode


class SavedIndex(TraceIndex):
    """The saved tables, for reading; :class:`GrowingIndex` adds to them."""

    def __init__(self, path: Path, mode: str = "ro") -> None:
        """Open an index.

        Raises:
            sqlite3.Error: It does not exist, or is damaged.
        """
        self._database = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={mode}",
            uri=True,
            isolation_level=None,
            factory=SpillDatabase,
            timeout=_LOCK_TIMEOUT_S,
        )
        self.close = weakref.finalize(self, self._database.close)
        rows = self._database.execute("SELECT digest FROM segments ORDER BY number")
        self._segments = [Digest(digest) for (digest,) in rows]
        rows = self._database.execute("SELECT segment, name FROM parts ORDER BY number")
        self._parts = [(Digest(segment), str(name)) for segment, name in rows]
        self._numbers = {}
        self._part_numbers = {}
        self._rows = []
        self._has_facts = True
        self._settled = True

    def about(self) -> str:
        """What the index was built from: its version, and the segments of the log."""
        ((text,),) = self._database.execute("SELECT text FROM about")
        return str(text)

    def with_meta(self, filters: Mapping[str, str]) -> Iterator[Digest]:
        """Yield the traces with these metadata, in the order of the log, and perhaps a few others.

        A value is compared by its first 200 characters, so the caller checks each trace.
        """
        same = (
            " AND EXISTS (SELECT 1 FROM meta WHERE key = ? AND value = ? AND meta.place = t.place)"
        )
        sql = "SELECT t.id FROM traces AS t WHERE 1" + same * len(filters) + " ORDER BY t.place"  # noqa: S608
        arguments = [
            text for key, value in filters.items() for text in (key, value[:_VALUE_CHARACTERS])
        ]
        for (raw,) in self._database.execute(sql, arguments):
            yield from_raw(raw)


class GrowingIndex(SavedIndex):
    """The saved tables, open for new segments; close it without ``finish`` to roll back."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "rw")
        self._database.execute("PRAGMA synchronous = NORMAL")
        self._database.execute("BEGIN IMMEDIATE")
        self._numbers = {digest: number for number, digest in enumerate(self._segments)}
        self._part_numbers = {part: number for number, part in enumerate(self._parts)}
        self._n_segments, self._n_parts = len(self._segments), len(self._parts)
        # ValueError if another version built it.
        ((self.n_events, self._lamport),) = self._database.execute(
            "SELECT n_events, lamport FROM about WHERE version = ?", (INDEX_VERSION,)
        )

    def news(self, layout: Layout) -> list[SegmentRef] | None:
        """Return the segments that the log has gained, in its order.

        Returns:
            None if the log did not only grow at its end.
        """
        listed = dict(segment_directories(layout))
        if not listed.keys() >= self._numbers.keys():
            return None
        new = [
            read_ref(digest, path) for digest, path in listed.items() if digest not in self._numbers
        ]
        new.sort(key=lambda ref: (ref.lamport, ref.digest))
        last = (self._lamport, self._segments[-1]) if self._segments else (-1, Digest(""))
        follows = not new or (new[0].lamport, new[0].digest) > last
        complete = all(parent in listed for ref in new for parent in ref.parents)
        return new if follows and complete else None

    def add(
        self, new: Sequence[SegmentRef], is_ancestor: Callable[[Digest, Digest], bool], about: str
    ) -> None:
        """Add the contents of segments, and record that the index covers them."""
        for ref in new:
            self.number(ref.digest)
        events = (event for ref in new for event in read_segment(ref.path, ref.header))
        fold_into(self, _noting(events, self._database, self.n_events), is_ancestor, self.n_events)
        self._flush()
        self._copy_names(self._database, self._n_segments, self._n_parts)
        n_events = self.n_events + sum(ref.n_events for ref in new)
        row = (about, n_events, new[-1].lamport if new else self._lamport)
        self._database.execute("UPDATE about SET text = ?, n_events = ?, lamport = ?", row)
        self._database.execute("COMMIT")

    def _flush(self) -> None:
        # Of several recordings of one trace the first is kept.
        self._database.executemany(
            "INSERT INTO traces SELECT ?, ?, ?, ?, ?, ?, ?"
            " WHERE NOT EXISTS (SELECT 1 FROM traces WHERE id = ?)",
            ((*row, row[1]) for row in self._rows),
        )
        self._rows.clear()


def make_index(log: EventLog, path: Path, about: str) -> None:
    """Build the tables from the whole log, in a new file.

    Raises:
        sqlite3.Error: The file cannot be written.
        DamagedError: The log is damaged.
    """
    meta = spill()
    meta.execute("CREATE TABLE meta (key TEXT, value TEXT, place INTEGER)")
    meta.execute("BEGIN")
    refs = log.segments()
    index = TraceIndex()
    for ref in refs:
        index.number(ref.digest)
    segments = [ref.digest for ref in refs]
    fold_into(index, _noting(log.events(segments), meta), Ancestry(refs))
    target = sqlite3.connect(path, isolation_level=None)
    try:
        # No reader opens it until it is complete, so no rollback is needed.
        target.execute("PRAGMA journal_mode = OFF")
        target.execute("PRAGMA synchronous = OFF")
        target.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        index.copy_to(target)
        target.execute("BEGIN")
        target.execute(
            "CREATE TABLE meta (key TEXT, value TEXT, place INTEGER,"
            " PRIMARY KEY (key, value, place)) WITHOUT ROWID"
        )
        rows = meta.execute("SELECT key, value, place FROM meta ORDER BY key, value, place")
        target.executemany("INSERT INTO meta VALUES (?, ?, ?)", rows)
        target.execute(
            "CREATE TABLE about"
            " (text TEXT NOT NULL, version TEXT NOT NULL, n_events INTEGER, lamport INTEGER)"
        )
        n_events, lamport = sum(ref.n_events for ref in refs), refs[-1].lamport if refs else -1
        row = (about, INDEX_VERSION, n_events, lamport)
        target.execute("INSERT INTO about VALUES (?, ?, ?, ?)", row)
        target.execute("COMMIT")
    finally:
        target.close()
        index.close()
        meta.close()


def _noting(
    stored: Iterable[StoredEvent], meta: SpillDatabase, first_place: int = 0
) -> Iterator[StoredEvent]:
    """Yield the events, and store the metadata of the traces among them."""
    rows: list[tuple[str, str, int]] = []
    for place, event in enumerate(stored, start=first_place):
        if event.envelope.type == RECORDED and event.payload is not None:
            with contextlib.suppress(msgspec.MsgspecError, ValueError):
                for key, raw in _decode_meta(event.payload).meta.items():
                    rows.append((key, _text(raw)[:_VALUE_CHARACTERS], place))
        elif event.envelope.type == REDACTED and first_place:
            raise RedactedError
        if len(rows) >= _BUFFERED:
            meta.executemany("INSERT INTO meta VALUES (?, ?, ?)", rows)
            rows.clear()
        yield event
    meta.executemany("INSERT INTO meta VALUES (?, ?, ?)", rows)


def _text(raw: msgspec.Raw) -> str:
    """Return a value as filters compare it: text as it is, anything else as canonical JSON."""
    data = bytes(raw)
    return str(msgspec.json.decode(data)) if data.startswith(b'"') else data.decode()
