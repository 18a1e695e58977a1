"""Reads input files as traces: one record per line, each accepted or rejected separately.

A reader yields, in the order of the file, traces, records that are not traces, and what it
dropped. It holds one line at a time. Nothing here writes.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from tunixrt.errors import BadInputError
from tunixrt.log.canonical import CanonicalError, decode
from tunixrt.log.digests import Digest
from tunixrt.traces.importers.file_kinds import UnreadableFileError
from tunixrt.traces.importers.gsm8k import read_gsm8k
from tunixrt.traces.importers.lines import on_one_line, read_chunks
from tunixrt.traces.quick_reading import quick_trace
from tunixrt.traces.schema import AnyTrace, any_trace_of, payload_of, trace_id
from tunixrt.traces.second_reader import SecondReader, is_worth_it
from tunixrt.traces.trace_rows import is_row, read_row
from tunixrt.traces.views import n_steps_of
from tunixrt.traces.violations import TraceError
from tunixrt.words import did_you_mean, quoted

if TYPE_CHECKING:
    from tunixrt.traces.importers.lines import TextSource
    from tunixrt.traces.quick_reading import QuickAnswer


class SourceFormat(StrEnum):
    """The record formats that can be read."""

    TUNIXRT = "tunixrt"
    GSM8K = "gsm8k"
    #: What `dataset export --format trace` writes.
    TRACE = "trace"


class DropReason(StrEnum):
    """Why something in a file was left out without the record being wrong."""

    BLANK_LINE = "blank line between records"
    BLANK_STEP = "blank line in an answer"


class ImportedTrace(msgspec.Struct, frozen=True, gc=False):
    """A trace that was read: its canonical payload, its id, and its place in the file.

    ``recorded_at`` is the time of its first recording, if the record states it.
    """

    payload: bytes
    id: Digest
    n_steps: int
    file: str
    line: int
    recorded_at: str | None = None


class Rejection(msgspec.Struct, frozen=True):
    """A record that is not a trace. ``raw`` is its line without the line feed."""

    file: str
    line: int
    reason: str
    raw: bytes
    field: str | None = None
    column: int | None = None

    def __str__(self) -> str:
        """Return where the record is and what is wrong with it, as one sentence."""
        return f"{self.file}, line {self.line}: {self.reason}"

    def as_line(self) -> bytes:
        """Return the record of a rejects file: one JSON object and a line feed.

        ``raw`` is the line as text if it is valid UTF-8; else ``raw_base64`` holds its bytes.
        """
        fields: dict[str, object] = {
            "column": self.column,
            "field": self.field,
            "file": self.file,
            "line": self.line,
            "reason": self.reason,
        }
        try:
            fields["raw"] = self.raw.decode()
        except UnicodeDecodeError:
            fields["raw_base64"] = self.raw
        return on_one_line(msgspec.json.encode(fields, order="sorted")) + b"\n"


class Dropped(msgspec.Struct, frozen=True):
    """Something that was left out, and the reason."""

    file: str
    line: int
    reason: str


Record = ImportedTrace | Rejection | Dropped


class UnknownFormatError(BadInputError):
    """A source format without a reader."""

    def __init__(self, text: str, known: Sequence[str]) -> None:
        super().__init__(f"There is no source format {quoted(text)}. {did_you_mean(text, known)}")
        self.text = text


class OptionError(BadInputError):
    """An option of the import that does not apply to its format."""


class _Read(msgspec.Struct, frozen=True):
    """What a line holds: a trace, the number of dropped blank lines, its first recording time."""

    trace: AnyTrace
    n_blank: int = 0
    recorded_at: str | None = None


_Reader = Callable[[bytes], _Read]


def parse_source_format(text: str, *, others: Sequence[str] = ()) -> SourceFormat:
    """Return the source format of this name.

    Args:
        text: The name.
        others: Names of formats that the caller reads by itself.

    Raises:
        UnknownFormatError: It does not exist; the message lists the formats, and the others.
    """
    try:
        return SourceFormat(text)
    except ValueError:
        raise UnknownFormatError(text, [*SourceFormat, *others]) from None


def check_strips(source_format: str, *, strip_calculator: bool) -> None:
    """Refuse to strip annotations that a format does not have.

    Raises:
        OptionError: The format is not GSM8K.
    """
    if strip_calculator and source_format != SourceFormat.GSM8K:
        raise OptionError(
            "Only the format gsm8k has calculator annotations to strip: strip_calculator "
            f"(--strip-calculator) has no effect on {source_format}."
        )


def read_traces(
    path: TextSource,
    source_format: SourceFormat,
    *,
    source: str | None = None,
    strip_calculator: bool = False,
) -> Iterator[Record]:
    """Yield the records of a file, one JSON object per line.

    Args:
        path: The file, or a stream that is open.
        source_format: What a record looks like.
        source: Becomes ``meta.source`` of every trace, instead of the record's own. GSM8K
            records get ``gsm8k`` if it is None.
        strip_calculator: Whether to cut GSM8K's ``<<48/2=24>>`` annotations out of the steps.

    Raises:
        OptionError: ``strip_calculator`` with another format than GSM8K.
        UnreadableFileError: The file is absent, not a file, empty, or not JSON Lines; or a line is
            longer than 64 MiB.
    """
    reader = _reader(source_format, source, strip_calculator=strip_calculator)
    quick = source_format is SourceFormat.TUNIXRT and source is None
    name = str(path)
    is_empty = True
    with contextlib.ExitStack() as stack:
        for (first, lines), answers in _answered(path, stack, quick=quick):
            if answers is not None:
                is_empty = False
                for line, (payload, trace, n_steps) in enumerate(answers, first):
                    yield ImportedTrace(payload, trace, n_steps, name, line)
                continue
            for line, raw in enumerate(lines, first):
                if raw.strip(b" \t\r"):
                    is_empty = False
                    yield from _record(name, line, raw, reader, quick=quick)
                else:
                    yield Dropped(name, line, DropReason.BLANK_LINE)
    if is_empty:
        raise UnreadableFileError(
            name, f"The file {name} holds no records: it is empty or has only blank lines."
        )


def _answered(
    path: TextSource, stack: contextlib.ExitStack, *, quick: bool
) -> Iterator[tuple[tuple[int, list[bytes]], list[QuickAnswer] | None]]:
    """Yield the lines of a file, parsed by a second process if that is worth it."""
    chunks = read_chunks(path)
    if quick and is_worth_it(path):
        with contextlib.suppress(OSError):
            return stack.enter_context(SecondReader()).answered(chunks)
    return ((chunk, None) for chunk in chunks)


def imported(trace: AnyTrace, *, file: str = "", line: int = 0) -> ImportedTrace:
    """Return a trace or a conversation of a program, ready to be imported.

    Raises:
        TraceError: It breaks a limit of the schema.
    """
    checked = any_trace_of(msgspec.to_builtins(trace))
    payload = payload_of(checked)
    return ImportedTrace(payload, trace_id(payload), n_steps_of(checked), file, line)


def _record(name: str, line: int, raw: bytes, reader: _Reader, *, quick: bool) -> Iterator[Record]:
    found = quick_trace(raw) if quick else None
    if found is not None:
        trace, payload = found
        yield ImportedTrace(payload, trace_id(payload), n_steps_of(trace), name, line)
        return
    try:
        read = reader(raw)
        payload = payload_of(read.trace)
    except CanonicalError as error:
        yield Rejection(name, line, error.reason, raw, column=_column(error))
    except TraceError as error:
        yield Rejection(name, line, str(error), raw, field=error.violation.field)
    else:
        for _ in range(read.n_blank):
            yield Dropped(name, line, DropReason.BLANK_STEP)
        n_steps = n_steps_of(read.trace)
        yield ImportedTrace(payload, trace_id(payload), n_steps, name, line, read.recorded_at)


def _column(error: CanonicalError) -> int | None:
    """Return the column at which the parser stopped, from the cause of the error."""
    match error.__context__:
        case json.JSONDecodeError(colno=column):
            return int(column)
        case UnicodeDecodeError(start=start):
            return start + 1
        case _:
            return None


def _reader(source_format: SourceFormat, source: str | None, *, strip_calculator: bool) -> _Reader:
    check_strips(source_format, strip_calculator=strip_calculator)
    match source_format:
        case SourceFormat.TUNIXRT:
            return lambda raw: _Read(_with_source(_trace_of(decode(raw)), source))
        case SourceFormat.GSM8K:
            named = SourceFormat.GSM8K if source is None else source

            def from_gsm8k(raw: bytes) -> _Read:
                return _Read(
                    *read_gsm8k(decode(raw), source=named, strip_calculator=strip_calculator)
                )

            return from_gsm8k
        case SourceFormat.TRACE:

            def from_row(raw: bytes) -> _Read:
                trace, recorded_at = read_row(raw)
                return _Read(_with_source(trace, source), recorded_at=recorded_at)

            return from_row


def _trace_of(value: object) -> AnyTrace:
    try:
        return any_trace_of(value)
    except TraceError as error:
        if not is_row(value):
            raise
        raise TraceError(
            msgspec.structs.replace(
                error.violation,
                sentence="This is a row of `dataset export --format trace`, not a record of the "
                "format tunixrt: import it with --from trace.",
            )
        ) from None


def _with_source(trace: AnyTrace, source: str | None) -> AnyTrace:
    if source is None:
        return trace
    return msgspec.structs.replace(trace, meta={**trace.meta, "source": source})
