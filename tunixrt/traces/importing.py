"""Recording what was read: one segment for one import, whole or not at all.

The records stream through; what is held is one record and the table of known ids, which spills to
disk. Everything that does not end up in the log is accounted for: duplicates, rejections, drops.
"""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import msgspec

from tunixrt.errors import BadInputError
from tunixrt.log.digests import Digest
from tunixrt.log.segment.events import RECORDED, Envelope, encode_envelope, recording_line
from tunixrt.traces.importers.table import Dropped, ImportedTrace, Record, Rejection
from tunixrt.traces.known_traces import KnownTraces
from tunixrt.traces.times import check_utc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tunixrt.log.eventlog import EventLog


class OnError(StrEnum):
    """What to do about a record that is not a trace."""

    ABORT = "abort"
    QUARANTINE = "quarantine"


class ImportDrop(StrEnum):
    """Why a sound trace is not recorded, other than being known already."""

    RETRACTED = "retracted before"
    REDACTED = "redacted before"


_BATCH_BYTES: Final = 1024 * 1024


class RejectedError(BadInputError):
    """A record is not a trace, so nothing was recorded.

    ``rejection`` is the first one, ``n_rejected`` counts all of them.
    """

    def __init__(self, rejection: Rejection, n_rejected: int) -> None:
        more = n_rejected - 1
        others = f" {more:,} more {'record is' if more == 1 else 'records are'} bad." * bool(more)
        super().__init__(
            f"{rejection}{others} Nothing was recorded; mend the file, or import with "
            "--on-error quarantine to record the good records and set the bad ones aside."
        )
        self.rejection = rejection
        self.n_rejected = n_rejected


class ImportReport(msgspec.Struct, frozen=True):
    """What became of every record.

    ``dropped`` counts what was left out by reason, and ``drops`` names each one's file and line.
    ``rejections`` are the records that are no traces, unless they were handed on one by one.
    ``segment`` is None where there was nothing to record.
    """

    recorded: int
    duplicates: int
    rejected: int
    dropped: dict[str, int]
    n_steps: int
    segment: Digest | None
    drops: tuple[Dropped, ...]
    rejections: tuple[Rejection, ...]


class _Account:
    """The running account of one import.

    ``hand_on`` takes the rejections; without it, one of them stops the import.
    """

    def __init__(self, hand_on: Callable[[Rejection], None] | None) -> None:
        self.n_recorded = 0
        self.n_duplicates = 0
        self.n_steps = 0
        self.n_rejected = 0
        self.first_rejection: Rejection | None = None
        self.drops: list[Dropped] = []
        self._hand_on = hand_on

    @property
    def is_lost(self) -> bool:
        """Whether nothing will be recorded any more: only counting is left."""
        return self.n_rejected > 0 and self._hand_on is None

    def note(self, record: Rejection | Dropped) -> None:
        """Note what is no trace."""
        if isinstance(record, Dropped):
            self.drops.append(record)
            return
        self.n_rejected += 1
        self.first_rejection = self.first_rejection or record
        if self._hand_on is not None:
            self._hand_on(record)

    def check(self) -> None:
        """Refuse what was rejected, where it must be.

        Raises:
            RejectedError: A record was no trace.
        """
        if self._hand_on is None and self.first_rejection is not None:
            raise RejectedError(self.first_rejection, self.n_rejected)

    def report(self, segment: Digest | None, rejections: list[Rejection]) -> ImportReport:
        counted = Counter(str(drop.reason) for drop in self.drops)
        return ImportReport(
            recorded=self.n_recorded,
            duplicates=self.n_duplicates,
            rejected=self.n_rejected,
            dropped=dict(sorted(counted.items())),
            n_steps=self.n_steps,
            segment=segment,
            drops=tuple(self.drops),
            rejections=tuple(rejections),
        )


def import_traces(
    log: EventLog,
    records: Iterable[Record],
    *,
    on_error: OnError = OnError.ABORT,
    recorded_at: str | None = None,
    on_rejection: Callable[[Rejection], None] | None = None,
) -> ImportReport:
    """Record the traces among the records that the log does not know yet.

    Args:
        log: The log.
        records: What the readers found, in order.
        on_error: Whether a rejection stops the import or is set aside.
        recorded_at: The time to state in the events, RFC 3339 in UTC; None states none.
        on_rejection: Receives each rejection of a quarantining import as it comes, so that memory
            does not grow with them; without it they are collected in the report.

    Raises:
        RejectedError: ``on_error`` is abort and a record is no trace; nothing was recorded. The
            rest is read to the end first, so that the message can say how many more are bad.
        BadInputError: Reading failed, or ``recorded_at`` is no time; nothing was recorded.
    """
    if recorded_at is not None:
        check_utc(recorded_at, "time of the recording")
    collected: list[Rejection] = []
    hand_on = collected.append if on_rejection is None else on_rejection
    account = _Account(None if on_error is OnError.ABORT else hand_on)
    with KnownTraces(log.events()) as known:
        segment = log.append_lines(_batches(records, known, account, recorded_at))
    return account.report(segment, collected)


def _batches(
    records: Iterable[Record], known: KnownTraces, account: _Account, recorded_at: str | None
) -> Iterator[list[tuple[bytes, bytes]]]:
    """The events of the traces that are new to the log, about a mebibyte of lines at a time.

    Raises:
        RejectedError: At the end, if a record was no trace and must be.
    """
    events: list[tuple[bytes, bytes]] = []
    n_bytes = 0
    for record in records:
        if not isinstance(record, ImportedTrace):
            account.note(record)
        elif account.is_lost or not _is_new(record, known, account):
            continue
        else:
            line = (
                recording_line(record.id)
                if recorded_at is None
                else encode_envelope(Envelope(RECORDED, record.id, recorded_at=recorded_at))
            )
            events.append((line, record.payload))
            n_bytes += len(record.payload)
            if n_bytes >= _BATCH_BYTES:
                yield events
                events, n_bytes = [], 0
    account.check()
    yield events


def _is_new(trace: ImportedTrace, known: KnownTraces, account: _Account) -> bool:
    """Whether a trace is to be recorded; either way it is accounted for."""
    if trace.id in known.redacted:
        account.drops.append(Dropped(trace.file, trace.line, ImportDrop.REDACTED))
    elif trace.id in known.retracted:
        account.drops.append(Dropped(trace.file, trace.line, ImportDrop.RETRACTED))
    elif not known.claim(trace.id):
        account.n_duplicates += 1
    else:
        account.n_recorded += 1
        account.n_steps += trace.n_steps
        return True
    return False
