"""Recording what was read: one segment for one import, whole or not at all.

The records stream through; what is held is one record and the table of known ids, which spills to
disk. Everything that does not end up in the log is accounted for: duplicates, rejections, drops.
"""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import msgspec

from tunixrt.data.events import recorded
from tunixrt.data.importers import Dropped, ImportedTrace, Record, Rejection
from tunixrt.data.projection import index_of
from tunixrt.data.times import check_utc
from tunixrt.data.trace_index import REDACTED, RETRACTED
from tunixrt.errors import BadInputError
from tunixrt.log.digests import Digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tunixrt.data.events import NewEvent
    from tunixrt.data.trace_index import TraceIndex
    from tunixrt.log.eventlog import EventLog


class OnError(StrEnum):
    """What to do about a record that is not a trace."""

    ABORT = "abort"
    QUARANTINE = "quarantine"


class ImportDrop(StrEnum):
    """Why a sound trace is not recorded, other than being known already."""

    RETRACTED = "retracted before"
    REDACTED = "redacted before"


_WITHDRAWN: Final = {REDACTED: ImportDrop.REDACTED, RETRACTED: ImportDrop.RETRACTED}


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
    """The running account of one import."""

    def __init__(self) -> None:
        self.n_recorded = 0
        self.n_duplicates = 0
        self.n_steps = 0
        self.n_rejected = 0
        self.first_rejection: Rejection | None = None
        self.drops: list[Dropped] = []

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
    account = _Account()
    collected: list[Rejection] = []
    hand_on = collected.append if on_rejection is None else on_rejection
    sound = _sound(records, account, None if on_error is OnError.ABORT else hand_on)
    known, _ = index_of(log.events())
    try:
        segment = log.append(_fresh(sound, known, account, recorded_at))
    finally:
        known.close()
    return account.report(segment, collected)


def _sound(
    records: Iterable[Record],
    account: _Account,
    hand_on: Callable[[Rejection], None] | None,
) -> Iterator[ImportedTrace]:
    """The traces among the records; raises at the end if others were no traces and must be."""
    for record in records:
        match record:
            case ImportedTrace():
                # After the first rejection nothing will be recorded: only counting is left.
                if account.first_rejection is None or hand_on is not None:
                    yield record
            case Dropped():
                account.drops.append(record)
            case Rejection():
                account.n_rejected += 1
                account.first_rejection = account.first_rejection or record
                if hand_on is not None:
                    hand_on(record)
    if hand_on is None and account.first_rejection is not None:
        raise RejectedError(account.first_rejection, account.n_rejected)


def _fresh(
    traces: Iterable[ImportedTrace],
    known: TraceIndex,
    account: _Account,
    recorded_at: str | None,
) -> Iterator[NewEvent]:
    """The events of the traces that are new to the log."""
    for trace in traces:
        withdrawn = {fact.name for fact in known.facts(trace.id)} & _WITHDRAWN.keys()
        if withdrawn:
            reason = _WITHDRAWN[min(withdrawn)]  # redacted comes before retracted
            account.drops.append(Dropped(trace.file, trace.line, reason))
        elif not known.claim(trace.id):
            account.n_duplicates += 1
        else:
            account.n_recorded += 1
            account.n_steps += trace.n_steps
            yield recorded(trace.id, trace.payload, recorded_at)
