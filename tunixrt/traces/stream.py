"""Records single traces, for a program that produces them one at a time.

Each trace is on the disk when ``add`` returns. Segments are for batches, so the traces stay in a
journal until they fill one, or the stream is closed. A program that dies loses nothing:
the next stream, or ``recover_streams``, puts what it had acknowledged into the log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import msgspec

from tunixrt.errors import BadInputError
from tunixrt.log.digests import Digest
from tunixrt.log.journal import Journal, orphans
from tunixrt.log.layout import check_format
from tunixrt.log.segment.events import REDACTED
from tunixrt.log.segment.sealed import MAX_PART_BYTES
from tunixrt.traces.facts import recorded
from tunixrt.traces.importers.table import imported
from tunixrt.traces.importing import ImportDrop
from tunixrt.traces.known_traces import KnownTraces
from tunixrt.traces.schema import any_trace_of
from tunixrt.traces.times import check_utc

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType

    from tunixrt.log.eventlog import EventLog
    from tunixrt.log.segment.events import Envelope
    from tunixrt.traces.schema import AnyTrace

MAX_EVENTS = 10_000
"""A segment is sealed after this many events, or when they fill one part of 4 MiB."""

KNOWN = "known already"


class StreamClosedError(BadInputError):
    """The stream is closed: nothing can be added to it."""

    def __init__(self) -> None:
        super().__init__("The stream is closed; open another one with `store.traces.stream()`.")


class Added(msgspec.Struct, frozen=True):
    """The outcome for a trace: its id, and the reason if it was not recorded."""

    id: Digest
    recorded: bool
    reason: str | None = None


class Recovery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was recovered from writers that died.

    Attributes:
        n_recovered: How many traces were put into the log.
        n_known: How many were already in the log.
        n_redacted: How many were dropped, because they were redacted meanwhile.
        segment: The new segment; None if nothing was recovered.
        torn: Files with unfinished last events, which were never acknowledged.
    """

    n_recovered: int
    n_known: int
    n_redacted: int
    segment: Digest | None
    torn: tuple[str, ...]


class TraceStream:
    """A writer of single traces; use it in a ``with`` statement, and in one thread at a time.

    Attributes:
        recovered: What opening the stream recovered from dead writers.
    """

    def __init__(
        self, log: EventLog, *, recorded_at: str | None = None, max_events: int = MAX_EVENTS
    ) -> None:
        """Open a stream, after recovering what dead writers left.

        Args:
            log: The log.
            recorded_at: The time to state in the events, RFC 3339 in UTC; None states none.
            max_events: The number of events after which a segment is sealed.

        Raises:
            BadInputError: ``recorded_at`` is not a time, or the store is of another format.
            WriteError: The file system refuses.
        """
        if recorded_at is not None:
            check_utc(recorded_at, "time of the recording")
        check_format(log.layout)
        self._log = log
        self._recorded_at = recorded_at
        self._max_events = max_events
        self._closed = False
        self.recovered = recover_streams(log)
        self._seen = {ref.digest for ref in log.segments()}
        self._known = KnownTraces(log.events())
        self._refused: set[Digest] = set()
        self._journal = Journal(log.layout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.close()

    def add(self, trace: AnyTrace | Mapping[str, object]) -> Added:
        """Record a trace or a conversation; it is durable when this returns.

        A trace that is known already, or that was retracted or redacted, is not recorded again.

        Raises:
            TraceError: It is not a trace; nothing was recorded, and the stream stays usable.
            WriteError: The file system refuses; the trace was not recorded.
            StreamClosedError: The stream is closed.
        """
        if self._closed:
            raise StreamClosedError
        record = imported(trace if isinstance(trace, msgspec.Struct) else any_trace_of(dict(trace)))
        reason = self._reason_against(record.id)
        if reason is not None:
            return Added(record.id, recorded=False, reason=reason)
        # Until it is on the disk it counts as refused, so that the caller may retry.
        self._refused.add(record.id)
        envelope, _ = recorded(record.id, record.payload, self._recorded_at)
        size = self._journal.n_bytes + len(record.payload)
        if self._journal.n_events >= self._max_events or size > MAX_PART_BYTES:
            self.seal()
        self._journal.append(envelope, record.payload)
        self._refused.remove(record.id)
        return Added(record.id, recorded=True)

    def seal(self) -> Digest | None:
        """Publish what was added since the last seal as a segment.

        Returns:
            The segment; None if nothing was added.

        Raises:
            WriteError: The file system refuses; what was added stays in the journal.
            DamagedError: The log is damaged; what was added stays in the journal.
        """
        if not self._journal.n_events:
            return None
        self._look_for_redactions()
        segment = self._log.append(
            event
            for event in self._journal.events()
            if event[0].payload not in self._known.redacted
        )
        self._journal.clear()
        self._seen.update(() if segment is None else (segment,))
        return segment

    def close(self) -> None:
        """Seal what is left, and close; after an error, closing can be retried.

        Raises:
            WriteError: The file system refuses; what was added stays in the journal.
        """
        if not self._closed:
            self.seal()
            self._closed = True
            self._journal.close()
            self._known.close()

    def _reason_against(self, trace: Digest) -> str | None:
        """Return why a trace is not recorded; without a reason, mark it as known."""
        if trace in self._known.redacted:
            return ImportDrop.REDACTED
        if trace in self._known.retracted:
            return ImportDrop.RETRACTED
        if not self._known.claim(trace) and trace not in self._refused:
            return KNOWN
        return None

    def _look_for_redactions(self) -> None:
        """Collect the traces that other writers have redacted since the last check."""
        new = {ref.digest for ref in self._log.segments()} - self._seen
        self._seen |= new
        for event in self._log.events(new) if new else ():
            if event.envelope.type == REDACTED and event.envelope.trace is not None:
                self._known.redacted.add(event.envelope.trace)


def recover_streams(log: EventLog) -> Recovery:
    """Put the acknowledged events of dead writers into the log, and set torn ends aside.

    Running writers are not touched. An interrupted recovery can be repeated.

    Raises:
        WriteError: The file system refuses; the journals stay.
        DamagedError: The log is damaged; the journals stay.
    """
    counts = {"recovered": 0, "known": 0, "redacted": 0}
    torn: list[str] = []
    segment = None
    for orphan in orphans(log.layout):
        segment = log.append(_fresh(log, orphan.events(), counts)) or segment
        path = orphan.quarantine()
        if path is not None:
            torn.append(log.layout.relative(path))
        orphan.remove()
    return Recovery(
        n_recovered=counts["recovered"],
        n_known=counts["known"],
        n_redacted=counts["redacted"],
        segment=segment,
        torn=tuple(torn),
    )


def _fresh(
    log: EventLog, events: Iterator[tuple[Envelope, bytes]], counts: dict[str, int]
) -> Iterator[tuple[Envelope, bytes]]:
    """Yield the events that are not in the log: a writer may have died just after sealing."""
    with KnownTraces(log.events()) as known:
        for envelope, payload in events:
            trace = envelope.payload or Digest("")
            if trace in known.redacted:
                counts["redacted"] += 1
            elif not known.claim(trace):
                counts["known"] += 1
            else:
                counts["recovered"] += 1
                yield envelope, payload
