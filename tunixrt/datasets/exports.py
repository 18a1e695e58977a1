"""Writes datasets as text for other tools: the same bytes every time.

Each line is the canonical JSON (RFC 8785) of one member, in ascending order of trace ids, except
that U+0085, U+2028 and U+2029 are escaped, since many readers treat them as line ends. The formats
are those of the earlier system; if a metadata key of a trace has the name of one of tunixrt's, the
trace's is written as ``meta.NAME``.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import msgspec

from tunixrt.datasets.reading import DatasetReader
from tunixrt.datasets.recipes import Split
from tunixrt.datasets.render import (
    DataFormat,
    Special,
    derived_id,
    question,
    response,
    tunix_sft_text,
)
from tunixrt.errors import BadInputError
from tunixrt.log.canonical import encode
from tunixrt.log.digests import Digest, from_hex
from tunixrt.traces.importers.lines import on_one_line
from tunixrt.traces.schema import Trace, encode_around
from tunixrt.traces.trace_rows import trace_row
from tunixrt.traces.views import flat_view
from tunixrt.words import quoted, suggestion

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tunixrt.datasets.files import Dataset
    from tunixrt.log.eventlog import EventLog
    from tunixrt.traces.schema import AnyTrace
    from tunixrt.traces.state import TraceState


class ExportFormat(StrEnum):
    """The formats that a dataset can be written in."""

    TRACE = "trace"
    TUNIX_SFT = "tunix_sft"
    TRAINING_EXAMPLE = "training_example"


class ExportError(BadInputError):
    """An export that cannot be made with these arguments."""


class ExportReport(msgspec.Struct, frozen=True):
    """What was written: rows, and the digest of all bytes.

    ``omitted`` counts members that were left out, by reason. ``n_with_template_text`` counts rows
    whose trace itself contains the text of a special token such as ``<end_of_turn>``: a text format
    cannot distinguish it from the token.
    """

    format: ExportFormat
    rows: int
    sha256: Digest
    omitted: dict[str, int]
    n_with_template_text: int


def parse_export_format(text: str) -> ExportFormat:
    """Return the export format of this name.

    Raises:
        ExportError: It does not exist; the message lists the formats.
    """
    try:
        return ExportFormat(text)
    except ValueError:
        raise ExportError(
            f"There is no export format {quoted(text)}.{suggestion(text, ExportFormat)} "
            f"The formats are {', '.join(ExportFormat)}."
        ) from None


#: Instead of the name of a split: every member, each row with its split.
ALL_SPLITS: Final = "all"


def parse_split(text: str, *, or_all: bool = False) -> Split:
    """Return the split of this name.

    Raises:
        ExportError: It does not exist; the message lists them, and ``all`` if that is allowed.
    """
    try:
        return Split(text)
    except ValueError:
        every = f"; {ALL_SPLITS} is every one of them" if or_all else ""
        raise ExportError(
            f"There is no split {quoted(text)}. The splits are {', '.join(Split)}{every}."
            f"{suggestion(text, Split)}"
        ) from None


class Export:
    """The members of a split as lines of one format, written as they arrive.

    Attributes:
        split: only this split; None for all members.
        omitted: members that are not written, by reason.
    """

    def __init__(
        self,
        export_format: ExportFormat,
        out: BinaryIO | None = None,
        *,
        split: str = Split.TRAIN,
        system: str | None = None,
    ) -> None:
        """Start an export.

        Args:
            export_format: What a line looks like.
            out: Receives the bytes; None if only the report is needed.
            split: Only this split; ``all`` writes every member, with its split as ``split``.
            system: A system instruction, put before each prompt with a blank line between. The
                format ``trace`` is the trace as it is, and takes none.

        Raises:
            ExportError: A system instruction with the format ``trace``, or an unknown split.
        """
        if system and export_format is ExportFormat.TRACE:
            raise ExportError(
                "The format trace writes traces as they are and takes no system instruction; "
                f"the formats {ExportFormat.TUNIX_SFT} and {ExportFormat.TRAINING_EXAMPLE} do."
            )
        self.split = None if split == ALL_SPLITS else parse_split(split, or_all=True)
        self.omitted: Counter[str] = Counter()
        self._format, self._system, self._out = export_format, system, out
        self._sha256, self._n_rows, self._n_with_template_text = hashlib.sha256(), 0, 0

    def add(self, state: TraceState, trace: AnyTrace, split: Split) -> None:
        """Write the line of one trace."""
        line = self.line(state, trace, split)
        if self._out is not None:
            self._out.write(line)
        self._sha256.update(line)
        self._n_rows += 1
        self._n_with_template_text += _has_template_text(line, flat_view(trace))

    def line(self, state: TraceState, trace: AnyTrace, split: Split) -> bytes:
        """The line of one trace, with its line feed; it is not counted."""
        record = _record(self._format, state, trace, self._system)
        if self.split is None:
            record["split"] = split
        # A conversation holds free-form values in other places than its metadata, too.
        is_flat = isinstance(trace, Trace) or self._format is not ExportFormat.TRACE
        data = encode_around(trace.meta, record) if is_flat else encode(record)
        return on_one_line(data) + b"\n"

    def report(self) -> ExportReport:
        """Return what was written so far."""
        return ExportReport(
            format=self._format,
            rows=self._n_rows,
            sha256=from_hex(self._sha256.hexdigest()),
            omitted=dict(sorted(self.omitted.items())),
            n_with_template_text=self._n_with_template_text,
        )


def export_dataset(
    log: EventLog,
    dataset: Dataset,
    export_format: ExportFormat,
    out: BinaryIO,
    *,
    split: str = Split.TRAIN,
    system: str | None = None,
) -> ExportReport:
    """Write the members of a split of a dataset to ``out``, one line each; see `Export`.

    Raises:
        ExportError: It cannot be made with these arguments, or the split has no members.
        DamagedError: A file of the store does not match its digest.
    """
    export = Export(export_format, out, split=split, system=system)
    if export.split is not None:
        _check_has_members(dataset, export.split)
    with DatasetReader(log) as reader:
        reader.pour(dataset, [export])
    return export.report()


def export_lines(
    log: EventLog,
    dataset: Dataset,
    export_format: ExportFormat,
    *,
    split: str = Split.TRAIN,
    system: str | None = None,
) -> Iterator[bytes]:
    """The lines that `export_dataset` writes, one at a time; redacted members are left out.

    Raises:
        ExportError: It cannot be made as asked, or the split has no members.
        DamagedError: A file of the store is not what its digest says.
    """
    export = Export(export_format, split=split, system=system)
    if export.split is not None:
        _check_has_members(dataset, export.split)
    return _lines(log, dataset, export)


def _lines(log: EventLog, dataset: Dataset, export: Export) -> Iterator[bytes]:
    splits = None if export.split is None else {export.split}
    with DatasetReader(log) as reader:
        for member, state, trace in reader.read(dataset, splits):
            if trace is not None:
                yield export.line(state, trace, member.split)


def _check_has_members(dataset: Dataset, split: Split) -> None:
    """Refuse a split without members: an empty file would look like a valid export.

    Raises:
        ExportError: It is empty; the message lists those that are not.
    """
    counts = dataset.manifest.split_counts
    if counts.get(split) or not any(counts.values()):
        return
    shown = ", ".join(f"{n:,} {name}" for name, n in counts.items() if n)
    raise ExportError(
        f"The dataset {dataset.key} has no members in the split {split}. Its members are: {shown}. "
        f"Name another split, or {ALL_SPLITS} (--split {ALL_SPLITS}) for every one of them."
    )


_SPECIALS = tuple(special.value for special in Special)
_SPECIAL_BYTES = tuple(special.encode() for special in _SPECIALS)


def _record(
    export_format: ExportFormat, state: TraceState, whole: AnyTrace, system: str | None
) -> dict[str, Any]:
    if export_format is ExportFormat.TRACE:
        return trace_row(whole, state.id, state.recorded_at)
    trace = flat_view(whole)
    own = {"trace_version": trace.trace_version}
    if export_format is ExportFormat.TRAINING_EXAMPLE:
        data_format = DataFormat.TRAINING_EXAMPLE
        return {
            "id": derived_id(state.id, data_format, system),
            "prompt": question(trace.prompt, data_format, system),
            "response": response(trace, data_format),
            "metadata": _metadata({**own, "source_trace_id": state.id}, trace.meta),
        }
    if state.recorded_at is not None:
        own["recorded_at"] = state.recorded_at
    return {
        "id": state.id,
        "prompts": tunix_sft_text(trace, system),
        "final_answer": trace.final_answer,
        "metadata": _metadata({**own, "format": export_format.value}, trace.meta),
    }


def _metadata(own: Mapping[str, str], meta: Mapping[str, Any]) -> dict[str, Any]:
    """Return tunixrt's metadata and the trace's; nothing is lost if names collide."""
    metadata: dict[str, Any] = {**own}
    for key, value in sorted(meta.items()):
        name = key
        while name in own or (name != key and name in meta):
            name = f"meta.{name}"
        metadata[name] = value
    return metadata


def _has_template_text(line: bytes, trace: Trace) -> bool:
    for special in _SPECIAL_BYTES:
        if special in line:
            break
    else:
        return False
    texts = (trace.prompt, trace.final_answer, *(step.content for step in trace.steps))
    return any(special in text for text in texts for special in _SPECIALS)
