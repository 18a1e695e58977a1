"""The lines of an export, in batches: canonical JSON, one row per line, read from the log.

Each line is the canonical JSON (RFC 8785) of the row of one member, in ascending order of trace
ids, except that U+0085, U+2028 and U+2029 are escaped, since many readers treat them as line ends.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, Self

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
from tunixrt.datasets.exports.making import Counts, Question, RowMaker, line_of, lines_of
from tunixrt.datasets.exports.rows import Member, has_template_text, row_of
from tunixrt.datasets.files import members_at_once
from tunixrt.datasets.reading import DatasetReader, OmitReason
from tunixrt.log.digests import raw_of
from tunixrt.log.snapshots import load_snapshot
from tunixrt.traces.recordings import Recorded, Recordings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tunixrt.datasets.exports.making import QuickRow
    from tunixrt.datasets.files import Dataset
    from tunixrt.datasets.recipes import Split
    from tunixrt.datasets.selection import Member as Listed
    from tunixrt.log.digests import Digest
    from tunixrt.log.eventlog import EventLog
    from tunixrt.traces.schema import AnyTrace
    from tunixrt.traces.state import TraceState

_BATCH: Final = 256
_BATCH_BYTES: Final = 256 * 1024


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
        self.settings = settings
        self.dataset = dataset
        self.counts = Counts()
        self.n_members = members_of(dataset, settings.split)
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

    def rows(self, n_at_once: int = 1) -> Iterator[list[QuickRow]]:
        """Yield the rows in batches: as lines, or as structs, for which `lines_of` has the lines.

        A batch ends with the member that makes it 256, or the payloads behind it 256 KiB. Rows that
        are omitted make it shorter.

        Args:
            n_at_once: so many times these limits.

        Raises:
            DamagedError: a file of the store does not match its digest.
        """
        self.start()
        if self.settings.format is ExportFormat.STEPWISE:
            made: Iterable[list[QuickRow]] = self._labelled(n_at_once)
        else:
            maker = RowMaker(self.settings, self.counts, with_tools=self.held.tools)
            made = map(maker.rows, self.questions(n_at_once))
        for batch in made:
            if batch:
                yield batch

    def start(self) -> None:
        """Set the counts to those before the first row."""
        self.counts = Counts()
        others = self.dataset.manifest.trace_count - self.n_members
        if others:
            self.counts.omitted[OmitReason.OTHER_SPLIT] = others

    def questions(self, n_at_once: int = 1) -> Iterator[Question]:
        """Yield the members in the batches of `rows`, as what a `RowMaker` needs of them.

        Redacted members are counted and left out.

        Raises:
            DamagedError: a file of the store does not match its digest.
        """
        n_rows, n_bytes = n_at_once * _BATCH, n_at_once * _BATCH_BYTES
        recorded_at = self._recordings.recorded_at
        question = Question([], [], [], [])
        payloads, traces, splits, times = question
        size = 0
        for listed, found, payload in self._recordings.read(self._wanted()):
            if payload is None:
                self.counts.omitted[OmitReason.REDACTED] += 1
                continue
            payloads.append(payload)
            traces.append(listed.trace)
            splits.append(listed.split)
            times.append(recorded_at(found) if found.envelope_length else None)
            size += len(payload)
            if len(payloads) == n_rows or size >= n_bytes:
                yield question
                question, size = Question([], [], [], []), 0
                payloads, traces, splits, times = question
        if payloads:
            yield question

    def _labelled(self, n_at_once: int) -> Iterator[list[QuickRow]]:
        """Yield the lines of a format that needs the labels of traces."""
        split = self.settings.split
        splits = None if split is None else {split}
        maker = RowMaker(self.settings, self.counts, with_tools=self.held.tools)
        batch: list[QuickRow] = []
        size = 0
        with DatasetReader(self._log) as reader:
            for listed, state, trace in reader.read(self.dataset, splits):
                if trace is None:
                    self.counts.omitted[OmitReason.REDACTED] += 1
                    continue
                member = Member(listed.trace, trace, listed.split, state.recorded_at, state.labels)
                line = maker.built(member)
                if line is not None:
                    self.counts.n_with_template_text += has_template_text(trace)
                    batch.append(line)
                    size += len(line)
                if len(batch) == n_at_once * _BATCH or size >= n_at_once * _BATCH_BYTES:
                    self.counts.rows += len(batch)
                    yield batch
                    batch, size = [], 0
        self.counts.rows += len(batch)
        yield batch

    def _held(self) -> Held:
        wanted = self.settings.format in {ExportFormat.TRACE, *CHAT_FORMATS}
        if not wanted or not self._recordings.has_conversations:
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


def members_of(dataset: Dataset, split: Split | None) -> int:
    """Return how many members a split has, or the dataset, with those that are redacted."""
    counts = dataset.manifest.split_counts
    return sum(n for name, n in counts.items() if split in (None, name))


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
