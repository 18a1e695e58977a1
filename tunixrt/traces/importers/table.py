"""Reads input files as traces: each record of a container is accepted or rejected separately.

A reader yields, in the order of the file, traces, records that are not traces, and what it
dropped. It holds some records at a time. Nothing here writes.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from tunixrt.errors import BadInputError
from tunixrt.log.canonical import CanonicalError, decode
from tunixrt.traces.importers.columns import ColumnMap, Target, read_columns
from tunixrt.traces.importers.containers import Container, Unit, open_records
from tunixrt.traces.importers.file_kinds import NoRecordsError
from tunixrt.traces.importers.gsm8k import read_gsm8k
from tunixrt.traces.importers.lm_eval import samples_reader
from tunixrt.traces.importers.readers import QUICK, READERS, in_background
from tunixrt.traces.importers.reading import LeftOut, Read
from tunixrt.traces.importers.records import (
    Dropped,
    DropReason,
    ImportedTrace,
    Noted,
    Record,
    Rejection,
)
from tunixrt.traces.importers.session import read_session, whole_sessions
from tunixrt.traces.schema import AnyTrace, any_trace_of, payload_of, trace_id
from tunixrt.traces.second_reader import SecondReader, is_worth_it
from tunixrt.traces.trace_rows import is_row, read_row
from tunixrt.traces.views import n_steps_of
from tunixrt.traces.violations import TraceError
from tunixrt.words import did_you_mean, quoted

if TYPE_CHECKING:
    from tunixrt.traces.importers.lines import Chunk, TextSource
    from tunixrt.traces.quick_reading import QuickAnswer, QuickReader


class SourceFormat(StrEnum):
    """The record formats that can be read."""

    TUNIXRT = "tunixrt"
    GSM8K = "gsm8k"
    #: What `dataset export --format trace` writes.
    TRACE = "trace"
    #: Chats of OpenAI, TRL, Hugging Face, Anthropic and Gemini.
    MESSAGES = "messages"
    SHAREGPT = "sharegpt"
    ALPACA = "alpaca"
    PROMPT_COMPLETION = "prompt-completion"
    #: A completion with tags around its reasoning and its answer.
    THINK = "think"
    #: Any flat record, with a `ColumnMap`.
    COLUMNS = "columns"
    #: Trajectories of agents.
    ATIF = "atif"
    #: Session traces of the Hugging Face Hub.
    SESSION = "session"
    #: Samples of lm-evaluation-harness.
    LM_EVAL = "lm-eval"


class UnknownFormatError(BadInputError):
    """A source format without a reader."""

    def __init__(self, text: str, known: Sequence[str]) -> None:
        super().__init__(f"There is no source format {quoted(text)}. {did_you_mean(text, known)}")
        self.text = text


class OptionError(BadInputError):
    """An option of the import that does not apply to its format."""


#: What reads the bytes of a record.
_BytesReader = Callable[[bytes], Read | LeftOut]


class _Reading(NamedTuple):
    """How a file is read: strictly, quickly where that is certain, and under which source."""

    reader: _BytesReader
    quick: QuickReader | None
    source: str | None


class _Given(NamedTuple):
    """A format, and whether its records are read without options."""

    source_format: SourceFormat
    is_plain: bool


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


def check_columns(source_format: str, columns: ColumnMap | None) -> None:
    """Refuse a map of columns for a format that has none, and its absence for the one that does.

    Raises:
        OptionError: The one or the other.
    """
    if columns is None and source_format == SourceFormat.COLUMNS:
        raise OptionError(
            "The format columns needs a map (--map) that states which column is what, such as "
            "prompt=problem,reasoning=thoughts,answer=solution."
        )
    if columns is not None and source_format != SourceFormat.COLUMNS:
        raise OptionError(
            f"Only the format columns has a map: columns (--map) has no effect on {source_format}."
        )


def read_traces(
    path: TextSource,
    source_format: SourceFormat,
    *,
    source: str | None = None,
    strip_calculator: bool = False,
    columns: ColumnMap | None = None,
    used: set[Target] | None = None,
) -> Iterator[Record]:
    """Yield the records of a file, in any of the containers of :mod:`.containers`.

    Args:
        path: The file, or a stream that is open.
        source_format: What a record looks like.
        source: Becomes ``meta.source`` of every trace, instead of the record's own. GSM8K
            records without one get ``gsm8k`` if it is None.
        strip_calculator: Whether to cut GSM8K's ``<<48/2=24>>`` annotations out of the steps.
        columns: What the columns of the format ``columns`` are.
        used: Receives the targets of the map whose columns a record had.

    Raises:
        OptionError: ``strip_calculator`` with another format than GSM8K; ``columns`` with another
            format than ``columns``, or that format without them.
        UnreadableFileError: The file is absent, not a file, empty, cut off, damaged or of an
            unknown kind; or a record is longer than 64 MiB.
    """
    check_strips(source_format, strip_calculator=strip_calculator)
    check_columns(source_format, columns)
    if columns is None:
        reader = _reader(source_format, strip_calculator=strip_calculator)
    else:
        reader = _mapped(columns, used)
    is_plain = source is None and not strip_calculator
    reading = _Reading(reader, QUICK.get(source_format) if is_plain else None, source)
    given = _Given(source_format, is_plain=is_plain)
    name = str(path)
    is_empty = True
    with contextlib.ExitStack() as stack:
        container = stack.enter_context(open_records(path))
        unit = container.unit
        for (first, records, faults), answers in _answered(container, path, given, stack):
            for line, (raw, answer) in enumerate(zip(records, answers, strict=True), first):
                if faults and line in faults:
                    is_empty = False
                    yield Rejection(name, line, faults[line], raw, unit=unit)
                elif answer is not None:
                    is_empty = False
                    payload, trace, n_steps = answer
                    yield ImportedTrace(payload, trace, n_steps, name, line, None, unit)
                elif raw.strip(b" \t\r"):
                    is_empty = False
                    yield from _record(name, line, raw, reading, unit)
                else:
                    yield Dropped(name, line, DropReason.BLANK_LINE, unit)
    if is_empty:
        raise NoRecordsError(name)


def _answered(
    container: Container, path: TextSource, given: _Given, stack: contextlib.ExitStack
) -> Iterator[tuple[Chunk, Sequence[QuickAnswer | None]]]:
    """Yield the records of a file, with what a second process read them as if that is worth it."""
    chunks = container.chunks
    if given.source_format is SourceFormat.SESSION:
        chunks = whole_sessions(chunks)
    # It splits what it receives at line feeds, which only the records of an array have inside.
    if (
        given.is_plain
        and in_background(given.source_format) is not None
        and container.unit != Unit.RECORD
        and is_worth_it(path)
    ):
        with contextlib.suppress(OSError):
            second = stack.enter_context(SecondReader(given.source_format))
            return (
                (chunk, answers or [None] * len(chunk.records))
                for chunk, answers in second.answered(chunks)
            )
    return ((chunk, [None] * len(chunk.records)) for chunk in chunks)


def imported(trace: AnyTrace, *, file: str = "", line: int = 0) -> ImportedTrace:
    """Return a trace or a conversation of a program, ready to be imported.

    Raises:
        TraceError: It breaks a limit of the schema.
    """
    checked = any_trace_of(msgspec.to_builtins(trace))
    payload = payload_of(checked)
    return ImportedTrace(payload, trace_id(payload), n_steps_of(checked), file, line)


def _record(name: str, line: int, raw: bytes, reading: _Reading, unit: str) -> Iterator[Record]:
    answer = None if reading.quick is None else reading.quick(raw)
    if answer is not None:
        payload, trace_digest, n_steps = answer
        yield ImportedTrace(payload, trace_digest, n_steps, name, line, None, unit)
        return
    try:
        read = reading.reader(raw)
        if isinstance(read, LeftOut):
            yield Dropped(name, line, read.reason, unit)
            return
        reads = (read, *read.more)
        traces = [_with_source(each.trace, reading.source) for each in reads]
        payloads = [payload_of(trace) for trace in traces]
    except CanonicalError as error:
        yield Rejection(name, line, error.reason, raw, column=_column(error), unit=unit)
        return
    except TraceError as error:
        yield Rejection(name, line, str(error), raw, field=error.violation.field, unit=unit)
        return
    for each, trace, payload in zip(reads, traces, payloads, strict=True):
        for _ in range(each.n_blank):
            yield Dropped(name, line, DropReason.BLANK_STEP, unit)
        for note in each.notes:
            yield Noted(name, line, note, unit)
        n_steps = n_steps_of(trace)
        id_ = trace_id(payload)
        yield ImportedTrace(payload, id_, n_steps, name, line, each.recorded_at, unit)


def _column(error: CanonicalError) -> int | None:
    """Return the column at which the parser stopped, from the cause of the error."""
    match error.__context__:
        case json.JSONDecodeError(colno=column):
            return int(column)
        case UnicodeDecodeError(start=start):
            return start + 1
        case _:
            return None


def _mapped(columns: ColumnMap, used: set[Target] | None) -> _BytesReader:
    return lambda raw: read_columns(decode(raw), columns, used)


def _reader(source_format: SourceFormat, *, strip_calculator: bool) -> _BytesReader:
    match source_format:
        case SourceFormat.TUNIXRT:
            return lambda raw: Read(_trace_of(decode(raw)))
        case SourceFormat.GSM8K:
            return lambda raw: read_gsm8k(decode(raw), strip_calculator=strip_calculator)
        case SourceFormat.TRACE:
            return _read_row
        case SourceFormat.SESSION:
            return read_session
        case SourceFormat.LM_EVAL:
            reader = samples_reader()
        case _:
            reader = READERS[source_format]
    return lambda raw: reader(decode(raw))


def _read_row(raw: bytes) -> Read:
    trace, recorded_at = read_row(raw)
    return Read(trace, recorded_at=recorded_at)


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
