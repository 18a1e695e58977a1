"""Redaction: payload lines become ``null``, and an event records it.

The event is appended first, then the payloads are removed. A process that dies in between
leaves a redaction event and plain text, which ``verify`` reports and ``sweep`` fixes; the other
order would leave a ``null`` without an event that explains it. Every digest stays valid: envelopes,
which the Merkle trees cover, do not change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tunixrt.errors import BadInputError
from tunixrt.log.conflicts import repair_conflicts
from tunixrt.log.digests import Digest, digest_bytes
from tunixrt.log.files import WriteError, replace_file, staging_directory, writing
from tunixrt.log.lock import Waiting, store_lock
from tunixrt.log.segment.events import NULL, REDACTED, Envelope
from tunixrt.log.segment.reader import read_segment
from tunixrt.log.stored import read_stored

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from tunixrt.log.eventlog import EventLog


class Redaction(msgspec.Struct, frozen=True):
    """What a redaction did.

    Attributes:
        segment: The segment with the new ``trace.redacted`` events; None if all traces
            were redacted before.
        removed: Where payloads were removed: path relative to the root, and line counted from 1.
        repaired: Parts whose merge conflict was resolved.
    """

    segment: Digest | None
    removed: tuple[tuple[str, int], ...]
    repaired: tuple[str, ...] = ()


class UnfinishedRedactionError(BadInputError):
    """A redaction is in the log, and the file system refused to remove all of the text.

    Attributes:
        path: The part that could not be written.
    """

    def __init__(self, error: WriteError) -> None:
        super().__init__(
            f"The redaction is recorded and not finished: {error.path} could not be written: "
            f"{error.reason}. Free space or permissions, and run `tunixrt trace redact --sweep`; "
            "until then `tunixrt verify` names the text that is still here."
        )
        self.path = error.path


def redact(
    log: EventLog,
    traces: Collection[Digest],
    *,
    payload: bytes | None = None,
    recorded_at: str | None = None,
    waiting: Waiting | None = None,
) -> Redaction:
    """Record that traces are redacted, and remove their payloads from every segment that has them.

    Args:
        log: The log.
        traces: Which traces. One that is redacted already gets no second event.
        payload: Canonical JSON that goes with each event, such as a reason; it is never redacted.
        recorded_at: RFC 3339 in UTC.
        waiting: How to wait for the store's lock.

    Raises:
        LockHeldError: If another process holds the store's lock.
        EventError: If the payload or the time does not fit the format; nothing is changed.
        WriteError: If the file system refuses; nothing is changed.
        UnfinishedRedactionError: If it refuses after the events have been recorded.
        DamagedError: If the log is damaged.
    """
    digest = None if payload is None else digest_bytes(payload)
    with store_lock(log.layout, "trace redact", waiting):
        redacted = redacted_traces(log)
        new = sorted(set(traces).difference(redacted))
        segment = log.append(
            (Envelope(REDACTED, payload=digest, trace=trace, recorded_at=recorded_at), payload)
            for trace in new
        )
        return Redaction(segment, _remove(log, redacted.union(new)))


def sweep(log: EventLog, *, waiting: Waiting | None = None) -> Redaction:
    """Remove redacted payloads that a merge or an interrupted redaction left in the store.

    A merge that stopped in a part, because one side has redacted it, is resolved first.

    Args:
        log: The log.
        waiting: How to wait for the store's lock.

    Raises:
        LockHeldError: If another process holds the store's lock.
        UnfinishedRedactionError: If the file system refuses to remove the text.
        WriteError: If it refuses before that.
        DamagedError: If the log is damaged, or the sides of a conflict differ in other ways.
    """
    with store_lock(log.layout, "trace redact --sweep", waiting):
        repaired = repair_conflicts(log.layout)
        return Redaction(None, _remove(log, redacted_traces(log)), repaired)


def redacted_traces(log: EventLog) -> set[Digest]:
    """Return the traces that a ``trace.redacted`` event names.

    Raises:
        DamagedError: If the log is damaged.
    """
    return {
        event.envelope.trace
        for event in log.events()
        if event.envelope.type == REDACTED and event.envelope.trace is not None
    }


def _remove(log: EventLog, redacted: Collection[Digest]) -> tuple[tuple[str, int], ...]:
    try:
        return _remove_all(log, redacted)
    except WriteError as error:
        raise UnfinishedRedactionError(error) from error


def _remove_all(log: EventLog, redacted: Collection[Digest]) -> tuple[tuple[str, int], ...]:
    removed: list[tuple[str, int]] = []
    for ref in log.segments() if redacted else ():
        lines: dict[str, list[int]] = {}
        for event in read_segment(ref.path):
            if event.payload is not None and event.envelope.payload in redacted:
                lines.setdefault(event.part, []).append(event.line + 1)
        for part, numbers in lines.items():
            with staging_directory(log.layout) as staging:
                _blank(ref.path / part, numbers, staging)
            place = log.layout.relative(ref.path / part)
            removed.extend((place, number) for number in numbers)
    return tuple(removed)


def _blank(path: Path, numbers: Collection[int], staging: Path) -> None:
    """Replace lines of a part by ``null``, atomically: a reader sees the old part or the new."""
    with writing(path):
        lines = read_stored(path).split(b"\n")
    for number in numbers:
        lines[number - 1] = NULL
    replace_file(path, b"\n".join(lines), staging)
