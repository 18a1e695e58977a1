"""The table behind a projection: the facts about every trace, on disk once it grows."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Final

import msgspec

from tunixrt.log.digests import Digest, from_raw, hex_of, is_digest, raw_of
from tunixrt.log.findings import DamagedError, Finding
from tunixrt.log.segment.events import NULL
from tunixrt.traces.spill import spill

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

    from tunixrt.log.segment.events import StoredEvent
    from tunixrt.log.segment.reader import Recordings

_BUFFERED: Final = 2_000

#: The facts that end a trace's active life: the first two until it is reinstated.
SUPERSEDED: Final = "superseded"
RETRACTED: Final = "retracted"
REDACTED: Final = "redacted"

_TABLES: Final = """
CREATE TABLE traces (
    place INTEGER PRIMARY KEY, id BLOB NOT NULL, part INTEGER NOT NULL,
    offset INTEGER NOT NULL, length INTEGER NOT NULL, kept INTEGER NOT NULL, recorded_at TEXT
);
CREATE TABLE facts (
    id BLOB NOT NULL, name TEXT NOT NULL, place INTEGER NOT NULL, segment INTEGER NOT NULL,
    value BLOB NOT NULL, PRIMARY KEY (id, name, place)
) WITHOUT ROWID;
"""
# The index is built after all recordings, by a sort that runs on disk: inserting ten
# million random keys into an index one by one reads and writes a page for each of them.
_INDEX: Final = "CREATE INDEX by_id ON traces (id, place)"
_HAS_REPEATED: Final = (
    "SELECT EXISTS (SELECT 1 FROM traces INDEXED BY by_id GROUP BY id HAVING count(*) > 1)"
)
_DROP_REPEATED: Final = """
    DELETE FROM traces WHERE place IN (SELECT place FROM (
        SELECT place, row_number() OVER (PARTITION BY id ORDER BY place) AS nth FROM traces
    ) WHERE nth > 1)
"""
# Only in a table that is saved.
_NAMES: Final = """
CREATE TABLE segments (number INTEGER PRIMARY KEY, digest TEXT NOT NULL);
CREATE TABLE parts (number INTEGER PRIMARY KEY, segment TEXT NOT NULL, name TEXT NOT NULL);
"""
# The last fact of a name counts; a reinstatement states false and null.
_ACTIVE: Final = (
    "FROM traces WHERE kept AND NOT EXISTS (SELECT 1 FROM facts AS said WHERE said.id = traces.id"
    " AND said.name IN ('redacted', 'retracted', 'superseded')"
    " AND said.value NOT IN (CAST('false' AS BLOB), CAST('null' AS BLOB))"
    " AND NOT EXISTS (SELECT 1 FROM facts AS later WHERE later.id = said.id"
    " AND later.name = said.name AND later.place > said.place))"
)
_COLUMNS: Final = "place, id, part, offset, length, kept, recorded_at"


class Location(msgspec.Struct, frozen=True, gc=False):
    """Where a payload line is: a part of a segment, the offset and length in bytes."""

    segment: Digest
    part: str
    offset: int
    length: int


class Recording(msgspec.Struct, frozen=True, gc=False):
    """The first recording of a trace; ``kept`` is whether its payload exists."""

    place: int
    id: Digest
    location: Location
    kept: bool
    recorded_at: str | None


class Fact(msgspec.Struct, frozen=True):
    """A fact about a trace: the place of its event, and the value as JSON."""

    name: str
    place: int
    segment: Digest
    value: bytes


def recorded_trace(event: StoredEvent) -> Digest:
    """Return the trace that a ``trace.recorded`` event records.

    Raises:
        DamagedError: It names none: skipping it would lose a trace silently.
    """
    trace = event.envelope.payload
    if trace is not None and is_digest(trace):
        return trace
    name = hex_of(event.segment)
    path = f"store/log/{name[:2]}/{name}/{event.part}"
    problem = "A trace.recorded event does not name the trace that it records."
    raise DamagedError(Finding(path, problem, line=event.line, found=str(trace)))


class TraceIndex:
    """Recordings by place and by id, and the facts about each trace."""

    def __init__(self) -> None:
        self._database = spill()
        # Closes the temporary file also if close() is never called.
        self.close = weakref.finalize(self, self._database.close)
        self._database.executescript(_TABLES)
        self._database.execute("BEGIN")
        self._segments: list[Digest] = []
        self._numbers: dict[Digest, int] = {}
        self._parts: list[tuple[Digest, str]] = []
        self._part_numbers: dict[tuple[Digest, str], int] = {}
        self._rows: list[tuple[object, ...]] = []
        self._has_facts = False
        self._settled = False

    # --- writing ---------------------------------------------------------------------------------

    def record(self, place: int, trace: Digest, event: StoredEvent) -> None:
        """Add a recording; of several of one trace, the first is kept."""
        self._rows.append(
            (
                place,
                raw_of(trace),
                self._part_number(event.segment, event.part),
                event.offset,
                event.length,
                event.payload is not None,
                event.envelope.recorded_at,
            )
        )
        if len(self._rows) >= _BUFFERED:
            self._flush()

    def record_all(self, place: int, segment: Digest, part: str, found: Recordings) -> None:
        """Add the recordings of a part, the first of which has this place."""
        number, traces = self._part_number(segment, part), found.traces
        offset, rows = found.n_envelope_bytes, self._rows
        for nth, payload in enumerate(found.payloads):
            length = len(payload)
            raw = traces[32 * nth : 32 * nth + 32]
            rows.append((place + nth, raw, number, offset, length, payload != NULL, None))
            offset += length + 1 + found.n_envelope_bytes
        self._flush()

    def put(self, trace: Digest, fact: Fact, replaced: Sequence[Fact] = ()) -> None:
        """Add a fact, and delete those that it replaces."""
        self._has_facts = True
        raw = raw_of(trace)
        self._database.executemany(
            "DELETE FROM facts WHERE id = ? AND name = ? AND place = ?",
            [(raw, old.name, old.place) for old in replaced],
        )
        self._database.execute(
            "INSERT INTO facts VALUES (?, ?, ?, ?, ?)",
            (raw, fact.name, fact.place, self.number(fact.segment), fact.value),
        )

    def _flush(self) -> None:
        self._database.executemany("INSERT INTO traces VALUES (?, ?, ?, ?, ?, ?, ?)", self._rows)
        self._rows.clear()

    def _settle(self) -> None:
        """Finish the recordings: none is added after the first read."""
        if not self._settled:
            self._flush()
            self._database.execute(_INDEX)
            if self._database.execute(_HAS_REPEATED).fetchone()[0]:
                self._database.execute(_DROP_REPEATED)
            self._settled = True

    def _part_number(self, segment: Digest, part: str) -> int:
        number = self._part_numbers.get((segment, part))
        if number is None:
            number = self._part_numbers[segment, part] = len(self._parts)
            self._parts.append((segment, part))
        return number

    def number(self, segment: Digest) -> int:
        """Return the number of a segment; a new segment gets the next one."""
        number = self._numbers.get(segment)
        if number is None:
            number = self._numbers[segment] = len(self._segments)
            self._segments.append(segment)
        return number

    def copy_to(self, target: sqlite3.Connection) -> None:
        """Copy the tables into another, empty database."""
        self._settle()
        self._database.execute("COMMIT")
        self._database.backup(target)
        self._database.execute("BEGIN")
        target.executescript(_NAMES)
        target.execute("BEGIN")
        self._copy_names(target)
        target.execute("COMMIT")

    def _copy_names(
        self, target: sqlite3.Connection, n_segments: int = 0, n_parts: int = 0
    ) -> None:
        """Copy the names of segments and parts, from these numbers on."""
        segments = enumerate(self._segments[n_segments:], start=n_segments)
        target.executemany("INSERT INTO segments VALUES (?, ?)", segments)
        parts = enumerate(self._parts[n_parts:], start=n_parts)
        rows = ((number, segment, name) for number, (segment, name) in parts)
        target.executemany("INSERT INTO parts VALUES (?, ?, ?)", rows)

    # --- reading ---------------------------------------------------------------------------------

    def count(self, *, active: bool) -> int:
        """Return how many traces were ever recorded, or are active."""
        self._settle()
        found = _ACTIVE if active else "FROM traces"
        return int(self._database.execute(f"SELECT count(*) {found}").fetchone()[0])

    def recordings(self, *, active: bool) -> Iterator[Recording]:
        """Yield the recordings in the order of their places, all or only the active ones."""
        self._settle()
        found = _ACTIVE if active else "FROM traces"
        yield from self._recordings(f"{found} ORDER BY place")

    def recordings_by_id(self) -> Iterator[Recording]:
        """Yield the recordings in the order of their ids."""
        self._settle()
        yield from self._recordings("FROM traces INDEXED BY by_id ORDER BY id")

    def places_by_id(self) -> Iterator[tuple[bytes, int]]:
        """Yield id (its 32 bytes) and place of every recording, in the order of the ids."""
        self._settle()
        yield from self._database.execute(
            "SELECT id, place FROM traces INDEXED BY by_id ORDER BY id"
        )

    def recording(self, trace: Digest) -> Recording | None:
        """Return the first recording of a trace; None without one."""
        self._settle()
        return next(self._recordings("FROM traces WHERE id = ?", (raw_of(trace),)), None)

    def between(self, low: bytes, high: bytes, limit: int) -> list[Digest]:
        """Return the known ids from ``low`` to ``high``, sorted."""
        self._settle()
        rows = self._database.execute(
            "SELECT id FROM traces WHERE id BETWEEN ? AND ?"
            " UNION SELECT id FROM facts WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?",
            (low, high, low, high, limit),
        )
        return [from_raw(row[0]) for row in rows]

    @property
    def has_facts(self) -> bool:
        """Whether any fact may have been added."""
        return self._has_facts

    def facts(self, trace: Digest, name: str | None = None) -> list[Fact]:
        """Return the facts about a trace, by name and then by place."""
        if not self._has_facts:
            return []
        rows = self._database.execute(
            "SELECT name, place, segment, value FROM facts WHERE id = ?"
            " AND (? IS NULL OR name = ?) ORDER BY name, place",
            (raw_of(trace), name, name),
        )
        return [Fact(n, place, self._segments[segment], v) for n, place, segment, v in rows]

    def facts_named(self, name: str) -> Iterator[tuple[Digest, Fact]]:
        """Yield the facts of one name with their traces, by trace and place."""
        rows = self._database.execute(
            "SELECT id, place, segment, value FROM facts WHERE name = ? ORDER BY id, place", (name,)
        )
        for raw, place, segment, value in rows:
            yield from_raw(raw), Fact(name, place, self._segments[segment], value)

    def disputed(self) -> Iterator[tuple[Digest, str]]:
        """Yield the traces and names of facts with more than one value."""
        rows = self._database.execute(
            "SELECT id, name FROM facts WHERE name <> 'redacted'"
            " GROUP BY id, name HAVING count(DISTINCT value) > 1 ORDER BY id, name"
        )
        yield from ((from_raw(trace), name) for trace, name in rows)

    def _recordings(self, found: str, arguments: Sequence[object] = ()) -> Iterator[Recording]:
        # The SQL is composed only of constants of this module.
        rows = self._database.execute(f"SELECT {_COLUMNS} {found}", arguments)
        for place, raw, part, offset, length, kept, recorded_at in rows:
            segment, name = self._parts[part]
            location = Location(segment, name, offset, length)
            yield Recording(place, from_raw(raw), location, bool(kept), recorded_at)
