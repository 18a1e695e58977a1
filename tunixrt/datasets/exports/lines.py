"""The lines of an export, in batches: canonical JSON, one row per line, read from the log.

Each line is the canonical JSON (RFC 8785) of the row of one member, in ascending order of trace
ids, except that U+0085, U+2028 and U+2029 are escaped, since many readers treat them as line ends.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING, Final, Self

import msgspec

from tunixrt.datasets.exports.columns import Held
from tunixrt.datasets.exports.formats import (
    ALL_SPLITS,
    CHAT_FORMATS,
    ExportError,
    ExportFormat,
    ExportReport,
    RowSettings,
    row_settings,
)
from tunixrt.datasets.exports.quick import quick_line, quick_writer
from tunixrt.datasets.exports.rows import Member, Row, has_template_text, row_of
from tunixrt.datasets.files import members_at_once
from tunixrt.datasets.reading import DatasetReader, OmitReason
from tunixrt.log.canonical import encode
from tunixrt.log.digests import from_hex, raw_of
from tunixrt.log.snapshots import load_snapshot
from tunixrt.traces.importers.lines import on_one_line
from tunixrt.traces.recordings import Recorded, Recordings
from tunixrt.traces.schema import parse_payload

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tunixrt.datasets.files import Dataset
    from tunixrt.datasets.recipes import Split
    from tunixrt.datasets.selection import Member as Listed
    from tunixrt.log.digests import Digest
    from tunixrt.log.eventlog import EventLog
    from tunixrt.traces.schema import AnyTrace
    from tunixrt.traces.state import TraceState

_BATCH: Final = 256
_BATCH_BYTES: Final = 256 * 1024

#: A row as its line, which may hold line breaks of Unicode, or as a struct.
QuickRow = bytes | msgspec.Struct


class Counts:
    """What is counted while rows are written.

    Attributes:
        rows: how many there are.
        omitted: members without a row, by reason.
        n_with_template_text: see `ExportReport`.
        n_with_masked_turns: see `ExportReport`.
        n_cut: see `ExportReport`.
    """

    def __init__(self) -> None:
        self.rows = 0
        self.omitted: Counter[str] = Counter()
        self.n_with_template_text = 0
        self.n_with_masked_turns = 0
        self.n_cut = 0

    def count(self, row: Row) -> None:
        """Count a row that was built, or its omission."""
        if isinstance(row.value, OmitReason):
            self.omitted[row.value] += 1
            return
        self.rows += 1
        self.n_with_masked_turns += row.has_masked_turns
        self.n_cut += row.is_cut

    def report(self, settings: RowSettings, sha256: str) -> ExportReport:
        """Return the report for an export with this digest in hex."""
        return ExportReport(
            format=settings.format,
            rows=self.rows,
            sha256=from_hex(sha256),
            omitted=dict(sorted(self.omitted.items())),
            n_with_template_text=self.n_with_template_text,
            n_with_masked_turns=self.n_with_masked_turns,
            n_cut=self.n_cut,
        )


def line_of(row: dict[str, object]) -> bytes:
    """Return the line of a row, without its line feed."""
    return on_one_line(encode(row))


class ExportLines:
    """The lines of one export; close it after use.

    Attributes:
        settings: of the rows.
        dataset: whose members they are.
        counts: of the lines that were read last.
        n_members: members of the split, with those that are redacted.
        held: what the members are, as far as it decides the columns.
    """

    def __init__(self, log: EventLog, dataset: Dataset, settings: RowSettings) -> None:
        """Read the log, to know where every payload is.

        Raises:
            ExportError: the split has no members.
            DamagedError: a file of the store does not match its digest.
        """
        _check_has_members(dataset, settings.split)
        counts = dataset.manifest.split_counts
        self.settings = settings
        self.dataset = dataset
        self.counts = Counts()
        self.n_members = sum(n for split, n in counts.items() if settings.split in (None, split))
        self._log = log
        segments = load_snapshot(log.layout, dataset.manifest.snapshot).segments
        self._recordings = Recordings(log, segments)
        try:
            self.held = self._held()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every file."""
        self._recordings.close()

    def redacted(self) -> list[str]:
        """Return the redacted members, in ascending order."""
        forgotten = self._recordings.forgotten
        if not forgotten:
            return []
        return [member.trace for member in self._wanted() if raw_of(member.trace) in forgotten]

    def batches(self) -> Iterator[list[bytes]]:
        """Yield the lines in batches, without line feeds; counts begin at zero.

        Raises:
            DamagedError: a file of the store does not match its digest.
        """
        return map(lines_of, self.rows())

    def rows(self) -> Iterator[list[QuickRow]]:
        """Yield the rows in batches: as lines, or as structs, for which `lines_of` has the lines.

        A batch ends with the row that makes it 256, or the payloads behind it 256 KiB.

        Raises:
            DamagedError: a file of the store does not match its digest.
        """
        self.counts = Counts()
        others = self.dataset.manifest.trace_count - self.n_members
        if others:
            self.counts.omitted[OmitReason.OTHER_SPLIT] = others
        built = self._labelled() if self.settings.format is ExportFormat.STEPWISE else self._quick()
        batch: list[QuickRow] = []
        size = 0
        for row, row_size in built:
            batch.append(row)
            size += row_size
            if len(batch) == _BATCH or size >= _BATCH_BYTES:
                self.counts.rows += len(batch)
                yield batch
                batch, size = [], 0
        if batch:
            self.counts.rows += len(batch)
            yield batch

    def _quick(self) -> Iterator[tuple[QuickRow, int]]:
        make = quick_writer(self.settings, with_tools=self.held.tools)
        counts, recordings = self.counts, self._recordings
        recorded_at = recordings.recorded_at
        for listed, found, payload in recordings.read(self._wanted()):
            if payload is None:
                counts.omitted[OmitReason.REDACTED] += 1
                continue
            time = recorded_at(found) if found.envelope_length else None
            row: QuickRow | None = None
            if make is not None:
                row = make(payload, listed.trace, listed.split, time)
            if row is None:
                member = Member(listed.trace, parse_payload(payload), listed.split, time, {})
                row = self._built(member)
                if row is None:
                    continue
            if b"_of_turn>" in payload or b"<bos>" in payload:  # parts of every special token
                counts.n_with_template_text += has_template_text(parse_payload(payload))
            yield row, len(payload)

    def _labelled(self) -> Iterator[tuple[QuickRow, int]]:
        """Yield the lines of a format that needs the labels of traces."""
        split = self.settings.split
        splits = None if split is None else {split}
        with DatasetReader(self._log) as reader:
            for listed, state, trace in reader.read(self.dataset, splits):
                if trace is None:
                    self.counts.omitted[OmitReason.REDACTED] += 1
                    continue
                member = Member(listed.trace, trace, listed.split, state.recorded_at, state.labels)
                line = self._built(member)
                if line is not None:
                    self.counts.n_with_template_text += has_template_text(trace)
                    yield line, len(line)

    def _built(self, member: Member) -> bytes | None:
        row = row_of(member, self.settings, with_tools=self.held.tools)
        if isinstance(row.value, OmitReason):
            self.counts.omitted[row.value] += 1
            return None
        self.counts.n_with_masked_turns += row.has_masked_turns
        self.counts.n_cut += row.is_cut
        return encode(row.value)

    def _held(self) -> Held:
        if self.settings.format not in {ExportFormat.TRACE, *CHAT_FORMATS}:
            return Held(conversations=False, tools=False)
        conversations = tools = False
        for _, found in self._located():
            conversations = conversations or found.is_conversation
            tools = tools or found.may_have_tools
        return Held(conversations, tools)

    def _wanted(self) -> Iterator[Listed]:
        split = self.settings.split
        return (m for m in members_at_once(self.dataset) if split is None or m.split is split)

    def _located(self) -> Iterator[tuple[Listed, Recorded]]:
        """Yield the members of the split with their recordings."""
        return self._recordings.of(self._wanted())


def lines_of(batch: Sequence[QuickRow]) -> list[bytes]:
    """Return the lines of rows, with the line breaks of Unicode escaped."""
    lines = [row if isinstance(row, bytes) else quick_line(row) for row in batch]
    return [line if line.isascii() else on_one_line(line) for line in lines]


def _check_has_members(dataset: Dataset, split: Split | None) -> None:
    """Refuse a split without members: an empty file would look like a valid export.

    Raises:
        ExportError: It is empty; the message lists those that are not.
    """
    counts = dataset.manifest.split_counts
    if split is None or counts.get(split) or not any(counts.values()):
        return
    shown = ", ".join(f"{n:,} {name}" for name, n in counts.items() if n)
    raise ExportError(
        f"The dataset {dataset.key} has no members in the split {split}. Its members are: {shown}. "
        f"Name another split, or {ALL_SPLITS} (--split {ALL_SPLITS}) for every one of them."
    )


class Export:
    """The rows of an export as they arrive from a reader that serves other receivers, too.

    Attributes:
        split: only this split; None for all members.
        omitted: members that are not written, by reason.
    """

    def __init__(
        self, export_format: ExportFormat, *, split: str = "train", system: str | None = None
    ) -> None:
        """Start an export.

        Raises:
            ExportError: as for `row_settings`.
        """
        self._settings = row_settings(export_format, split=split, system=system)
        self.split = self._settings.split
        self._counts = Counts()
        self.omitted = self._counts.omitted
        self._sha256 = hashlib.sha256()

    def add(self, state: TraceState, trace: AnyTrace, split: Split) -> None:
        """Receive one trace."""
        row = row_of(
            Member(state.id, trace, split, state.recorded_at, state.labels), self._settings
        )
        self._counts.count(row)
        if not isinstance(row.value, OmitReason):
            self._sha256.update(line_of(row.value) + b"\n")
            self._counts.n_with_template_text += has_template_text(trace)

    def add_redacted(self, trace: Digest) -> None:  # noqa: ARG002
        """Count a member whose text is gone."""
        self.omitted[OmitReason.REDACTED] += 1

    def report(self) -> ExportReport:
        """Return what was received so far."""
        return self._counts.report(self._settings, self._sha256.hexdigest())
