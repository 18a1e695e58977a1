"""Files that people have, read as traces: one record a line, each with its own verdict.

A reader yields what it found in the order of the file: traces, records that are not traces, and
what it dropped. It holds one line at a time. Nothing here writes anything.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from tunixrt.errors import BadInputError
from tunixrt.log.canonical import CanonicalError, decode
from tunixrt.log.digests import Digest
from tunixrt.traces.importers.gsm8k import read_gsm8k
from tunixrt.traces.importers.lines import UnreadableFileError, read_chunks
from tunixrt.traces.quick_reading import quick_trace
from tunixrt.traces.schema import Trace, payload_of, trace_id, trace_of
from tunixrt.traces.second_reader import SecondReader, is_worth_it
from tunixrt.traces.violations import TraceError, did_you_mean, quoted

if TYPE_CHECKING:
    from pathlib import Path

    from tunixrt.traces.quick_reading import QuickAnswer


class SourceFormat(StrEnum):
    """The record formats that can be read."""

    TUNIXRT = "tunixrt"
    GSM8K = "gsm8k"


class DropReason(StrEnum):
    """Why something in a file was left out that is no fault of the record."""

    BLANK_LINE = "blank line between records"
    BLANK_STEP = "blank line in an answer"


class ImportedTrace(msgspec.Struct, frozen=True, gc=False):
    """A trace that was read: its canonical payload, its id, and where it stood."""

    payload: bytes
    id: Digest
    n_steps: int
    file: str
    line: int


class Rejection(msgspec.Struct, frozen=True):
    """A record that is not a trace. ``raw`` is its line without the line feed."""

    file: str
    line: int
    reason: str
    raw: bytes
    field: str | None = None
    column: int | None = None

    def __str__(self) -> str:
        """The sentence for a person: where, and what."""
        return f"{self.file}, line {self.line}: {self.reason}"

    def as_line(self) -> bytes:
        """The record of a rejects file: one JSON object and a line feed.

        ``raw`` is the line as text where it is valid UTF-8; else ``raw_base64`` holds its bytes.
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
        return msgspec.json.encode(fields, order="sorted") + b"\n"


class Dropped(msgspec.Struct, frozen=True):
    """Something that was left out, and why."""

    file: str
    line: int
    reason: str


Record = ImportedTrace | Rejection | Dropped


class UnknownFormatError(BadInputError):
    """A source format that there is no reader for."""

    def __init__(self, text: str) -> None:
        super().__init__(
            f"There is no source format {quoted(text)}. {did_you_mean(text, [*SourceFormat])}"
        )
        self.text = text


#: Turns a decoded record into a trace and the number of blank lines that it dropped.
_Reader = Callable[[object], tuple[Trace, int]]


def parse_source_format(text: str) -> SourceFormat:
    """The source format of this name.

    Raises:
        UnknownFormatError: There is none; the message lists them.
    """
    try:
        return SourceFormat(text)
    except ValueError:
        raise UnknownFormatError(text) from None


def read_traces(
    path: Path,
    source_format: SourceFormat,
    *,
    source: str | None = None,
    strip_calculator: bool = False,
) -> Iterator[Record]:
    """Read a file of records, one JSON object a line.

    Args:
        path: The file.
        source_format: What a record looks like.
        source: Becomes ``meta.source`` of every trace, in place of what the record says. GSM8K
            records get ``gsm8k`` where it is None.
        strip_calculator: Whether to cut GSM8K's ``<<48/2=24>>`` annotations out of the steps.

    Raises:
        UnreadableFileError: The file is absent, no file, empty, or no text; or a line is longer
            than 64 MiB.
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
            path, f"The file {name} holds no records: it is empty or has only blank lines."
        )


def _answered(
    path: Path, stack: contextlib.ExitStack, *, quick: bool
) -> Iterator[tuple[tuple[int, list[bytes]], list[QuickAnswer] | None]]:
    """The lines of a file, with what a second process says of them where one is worth it."""
    chunks = read_chunks(path)
    if quick and is_worth_it(path):
        with contextlib.suppress(OSError):
            return stack.enter_context(SecondReader()).answered(chunks)
    return ((chunk, None) for chunk in chunks)


def imported(trace: Trace, *, file: str = "", line: int = 0) -> ImportedTrace:
    """A trace that was made by a program, ready to be imported.

    Raises:
        TraceError: It breaks a limit of the schema.
    """
    checked = trace_of(msgspec.to_builtins(trace))
    payload = payload_of(checked)
    return ImportedTrace(payload, trace_id(payload), len(checked.steps), file, line)


def _record(name: str, line: int, raw: bytes, reader: _Reader, *, quick: bool) -> Iterator[Record]:
    found = quick_trace(raw) if quick else None
    if found is not None:
        trace, payload = found
        yield ImportedTrace(payload, trace_id(payload), len(trace.steps), name, line)
        return
    try:
        trace, n_blank = reader(decode(raw))
        payload = payload_of(trace)
    except CanonicalError as error:
        yield Rejection(name, line, error.reason, raw, column=_column(error))
    except TraceError as error:
        yield Rejection(name, line, str(error), raw, field=error.violation.field)
    else:
        for _ in range(n_blank):
            yield Dropped(name, line, DropReason.BLANK_STEP)
        yield ImportedTrace(payload, trace_id(payload), len(trace.steps), name, line)


def _column(error: CanonicalError) -> int | None:
    """Where in the line the parser stopped: the cause knows it as a number."""
    match error.__context__:
        case json.JSONDecodeError(colno=column):
            return int(column)
        case UnicodeDecodeError(start=start):
            return start + 1
        case _:
            return None


def _reader(source_format: SourceFormat, source: str | None, *, strip_calculator: bool) -> _Reader:
    match source_format:
        case SourceFormat.TUNIXRT:
            return lambda value: (_with_source(trace_of(value), source), 0)
        case SourceFormat.GSM8K:
            return lambda value: read_gsm8k(
                value,
                source=SourceFormat.GSM8K if source is None else source,
                strip_calculator=strip_calculator,
            )


def _with_source(trace: Trace, source: str | None) -> Trace:
    if source is None:
        return trace
    return msgspec.structs.replace(trace, meta={**trace.meta, "source": source})
