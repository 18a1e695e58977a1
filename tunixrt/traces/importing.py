"""Records what was read: one segment per import, whole or not at all.

An import is one file or several, in the order given. The records stream through; memory holds
one record and the table of known ids, which spills to disk. Everything that is not recorded is
counted, file by file: duplicates, rejections, drops.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import msgspec

from tunixrt.errors import BadInputError
from tunixrt.log.digests import Digest
from tunixrt.log.segment.events import RECORDED, Envelope, encode_envelope, recording_line
from tunixrt.traces.importers.records import Dropped, ImportedTrace, Noted, Record, Rejection
from tunixrt.traces.known_traces import KnownTraces
from tunixrt.traces.schema import AnyTrace, parse_payload
from tunixrt.traces.times import check_utc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tunixrt.log.eventlog import EventLog


class OnError(StrEnum):
    """What to do about a record that is not a trace."""

    ABORT = "abort"
    QUARANTINE = "quarantine"


class ImportDrop(StrEnum):
    """Why a valid trace is not recorded, other than being a duplicate."""

    RETRACTED = "retracted before"
    REDACTED = "redacted before"


_BATCH_BYTES: Final = 1024 * 1024
_N_FIRST: Final = 3
_KEPT_NOTES: Final = 10


class RejectedError(BadInputError):
    """A record is not a trace, so nothing was recorded.

    ``rejection`` is the first one, ``n_rejected`` counts all of them; a hint says what its file
    may be.
    """

    def __init__(self, rejection: Rejection, n_rejected: int, hint: str = "") -> None:
        more = n_rejected - 1
        others = f" {more:,} more {'record is' if more == 1 else 'records are'} bad." * bool(more)
        hinted = f"{rejection} {hint}" if hint else str(rejection)
        super().__init__(
            f"{hinted}{others} Nothing was recorded; fix the file, or import with "
            "--on-error quarantine to record the good records and set the bad ones aside."
        )
        self.rejection = rejection
        self.n_rejected = n_rejected


class FileReport(msgspec.Struct, frozen=True):
    """The outcome of every record of one file; the fields are those of the whole report.

    A trace that is in two files counts as a duplicate in the second. ``notes`` has the first ten of
    each kind.
    """

    file: str
    recorded: int
    duplicates: int
    rejected: int
    dropped: dict[str, int]
    drops: tuple[Dropped, ...]
    noted: dict[str, int]
    notes: tuple[Noted, ...]


class ImportReport(msgspec.Struct, frozen=True):
    """The outcome of every record.

    ``dropped`` counts what was left out by reason, and ``drops`` names each one's file and line.
    ``noted`` counts in the same way what was done to records that were kept.
    ``rejections`` are the records that are not traces, unless ``on_rejection`` received them.
    ``segment`` is None if nothing was recorded. ``files`` has the same for each file, in the order
    in which they were read. ``format`` is the format of the files, and ``first_traces`` are the
    first ones that were read, if it was a dry run.
    """

    recorded: int
    duplicates: int
    rejected: int
    dropped: dict[str, int]
    noted: dict[str, int]
    n_steps: int
    segment: Digest | None
    drops: tuple[Dropped, ...]
    rejections: tuple[Rejection, ...]
    files: tuple[FileReport, ...]
    format: str | None = None
    first_traces: tuple[AnyTrace, ...] = ()


@dataclass
class _FileAccount:
    """The running account of one file."""

    file: str
    n_recorded: int = 0
    n_duplicates: int = 0
    n_rejected: int = 0
    drops: list[Dropped] = field(default_factory=list)
    noted: Counter[str] = field(default_factory=Counter)
    notes: list[Noted] = field(default_factory=list)

    def note(self, note: Noted) -> None:
        """Count a note; most files have none or one per record, so only the first are kept."""
        self.noted[note.reason] += 1
        if self.noted[note.reason] <= _KEPT_NOTES:
            self.notes.append(note)

    def report(self) -> FileReport:
        return FileReport(
            file=self.file,
            recorded=self.n_recorded,
            duplicates=self.n_duplicates,
            rejected=self.n_rejected,
            dropped=_by_reason(self.drops),
            drops=tuple(self.drops),
            noted=_in_order(self.noted),
            notes=tuple(self.notes),
        )


class _Account:
    """The running account of one import.

    ``hand_on`` takes the rejections; without it, one of them stops the import.
    """

    def __init__(self, hand_on: Callable[[Rejection], None] | None) -> None:
        self.n_steps = 0
        self.first_rejection: Rejection | None = None
        self.files: list[_FileAccount] = []
        self._hand_on = hand_on

    @property
    def is_lost(self) -> bool:
        """Whether the import has failed, so that the rest is only counted."""
        return self.first_rejection is not None and self._hand_on is None

    def begin(self, file: str) -> None:
        """Start the account of the next file."""
        self.files.append(_FileAccount(file))

    def note(self, record: Rejection | Dropped | Noted) -> None:
        """Count a record that is not a trace, or what was done to one that is."""
        if isinstance(record, Noted):
            self.files[-1].note(record)
            return
        if isinstance(record, Dropped):
            self.files[-1].drops.append(record)
            return
        self.files[-1].n_rejected += 1
        self.first_rejection = self.first_rejection or record
        if self._hand_on is not None:
            self._hand_on(record)

    def is_new(self, trace: ImportedTrace, known: KnownTraces) -> bool:
        """Return whether a trace is to be recorded; count it either way."""
        file = self.files[-1]
        if trace.id in known.redacted:
            file.drops.append(Dropped(trace.file, trace.line, ImportDrop.REDACTED, trace.unit))
        elif trace.id in known.retracted:
            file.drops.append(Dropped(trace.file, trace.line, ImportDrop.RETRACTED, trace.unit))
        elif not known.claim(trace.id):
            file.n_duplicates += 1
        else:
            file.n_recorded += 1
            self.n_steps += trace.n_steps
            return True
        return False

    def check(self) -> None:
        """Refuse the import if a rejection must stop it.

        Raises:
            RejectedError: A record was not a trace.
        """
        if self._hand_on is None and self.first_rejection is not None:
            raise RejectedError(self.first_rejection, sum(f.n_rejected for f in self.files))

    def report(
        self,
        segment: Digest | None,
        rejections: list[Rejection],
        first_traces: Iterable[AnyTrace] = (),
    ) -> ImportReport:
        drops = [drop for file in self.files for drop in file.drops]
        noted = sum((file.noted for file in self.files), Counter[str]())
        return ImportReport(
            recorded=sum(file.n_recorded for file in self.files),
            duplicates=sum(file.n_duplicates for file in self.files),
            rejected=sum(file.n_rejected for file in self.files),
            dropped=_by_reason(drops),
            noted=_in_order(noted),
            n_steps=self.n_steps,
            segment=segment,
            drops=tuple(drops),
            rejections=tuple(rejections),
            files=tuple(file.report() for file in self.files),
            first_traces=tuple(first_traces),
        )


def _by_reason(drops: Iterable[Dropped]) -> dict[str, int]:
    return _in_order(Counter(str(drop.reason) for drop in drops))


def _in_order(counts: Counter[str]) -> dict[str, int]:
    return {str(reason): counts[reason] for reason in sorted(counts)}


def import_traces(
    log: EventLog,
    records: Iterable[Record],
    *,
    on_error: OnError = OnError.ABORT,
    recorded_at: str | None = None,
    on_rejection: Callable[[Rejection], None] | None = None,
) -> ImportReport:
    """Record the traces among the records that are new to the log.

    This is :func:`import_files` for records that are not from a file.
    """
    return import_files(
        log,
        [("", records)],
        on_error=on_error,
        recorded_at=recorded_at,
        on_rejection=on_rejection,
    )


def import_files(
    log: EventLog,
    files: Iterable[tuple[str, Iterable[Record]]],
    *,
    on_error: OnError = OnError.ABORT,
    recorded_at: str | None = None,
    on_rejection: Callable[[Rejection], None] | None = None,
    dry_run: bool = False,
) -> ImportReport:
    """Record the traces of several files that are new to the log, as one segment.

    Args:
        log: The log.
        files: Names, and the records of each file; the files are read one after the other.
        on_error: Whether a rejection stops the import or is set aside.
        recorded_at: The time to state in the events, RFC 3339 in UTC; None states that of the
            record, if it has one.
        on_rejection: Receives each rejection of a quarantining import at once, so that memory
            does not grow with them; without it they are collected in the report.
        dry_run: Whether to read, check and count everything, and record nothing.

    Raises:
        RejectedError: ``on_error`` is abort and a record is not a trace; nothing was recorded. The
            rest is read first, so that the message can count the other bad records.
        BadInputError: Reading failed, or ``recorded_at`` is not a time; nothing was recorded.
    """
    if recorded_at is not None:
        check_utc(recorded_at, "time of the recording")
    collected: list[Rejection] = []
    hand_on = collected.append if on_rejection is None else on_rejection
    account = _Account(None if on_error is OnError.ABORT else hand_on)
    first: list[ImportedTrace] = []
    with KnownTraces(log.events()) as known:
        if dry_run:
            shown = ((name, _noted(records, first)) for name, records in files)
            for _ in _batches(shown, known, account, recorded_at):
                pass
            return account.report(None, collected, (parse_payload(t.payload) for t in first))
        segment = log.append_lines(_batches(files, known, account, recorded_at))
    return account.report(segment, collected)


def _noted(records: Iterable[Record], first: list[ImportedTrace]) -> Iterator[Record]:
    """Yield the records, and note the first traces among those of all files."""
    for record in records:
        if len(first) < _N_FIRST and isinstance(record, ImportedTrace):
            first.append(record)
        yield record


def _batches(
    files: Iterable[tuple[str, Iterable[Record]]],
    known: KnownTraces,
    account: _Account,
    recorded_at: str | None,
) -> Iterator[list[tuple[bytes, bytes]]]:
    """Yield the events of the traces that are new, about a mebibyte of lines at a time.

    Raises:
        RejectedError: At the end, if a record was not a trace and ``on_error`` is abort.
    """
    events: list[tuple[bytes, bytes]] = []
    n_bytes = 0
    for name, records in files:
        account.begin(name)
        for record in records:
            if not isinstance(record, ImportedTrace):
                account.note(record)
            elif account.is_lost or not account.is_new(record, known):
                continue
            else:
                events.append((_envelope_line(record, recorded_at), record.payload))
                n_bytes += len(record.payload)
                if n_bytes >= _BATCH_BYTES:
                    yield events
                    events, n_bytes = [], 0
    account.check()
    yield events


def _envelope_line(trace: ImportedTrace, recorded_at: str | None) -> bytes:
    time = trace.recorded_at if recorded_at is None else recorded_at
    if time is None:
        return recording_line(trace.id)
    return encode_envelope(Envelope(RECORDED, trace.id, recorded_at=time))
