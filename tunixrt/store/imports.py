"""One import of files: finds them, recognises their format, reads them, records or only counts."""

from __future__ import annotations

import contextlib
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tunixrt.derive import QUIET, Watch
from tunixrt.errors import BadInputError
from tunixrt.log.canonical import CanonicalError, decode
from tunixrt.traces.importers.columns import ColumnMap, Target, check_used
from tunixrt.traces.importers.first_records import first_records
from tunixrt.traces.importers.guess import GuessError, guess
from tunixrt.traces.importers.lines import MeteredFile
from tunixrt.traces.importers.places import find
from tunixrt.traces.importers.readers import READERS
from tunixrt.traces.importers.table import (
    SourceFormat,
    check_columns,
    check_strips,
    parse_source_format,
    read_traces,
)
from tunixrt.traces.importing import ImportReport, OnError, RejectedError, import_files
from tunixrt.traces.violations import TraceError
from tunixrt.words import suggestion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tunixrt.log.eventlog import EventLog
    from tunixrt.traces.importers.lines import OpenText, TextSource
    from tunixrt.traces.importers.places import Given
    from tunixrt.traces.importers.records import Record, Rejection


@dataclass(frozen=True)
class ImportRequest:
    """What to import, and how; the fields are the arguments of `Traces.import_`."""

    files: Given
    source_format: str | None = None
    source: str | None = None
    strip_calculator: bool = False
    columns: Mapping[str, str] | str | None = None
    on_error: str = OnError.ABORT
    recorded_at: str | None = None
    on_rejection: Callable[[Rejection], None] | None = None
    dry_run: bool = False
    watch: Watch = QUIET


def import_request(log: EventLog, request: ImportRequest) -> ImportReport:
    """Record the traces of files, as one segment: whole or not at all.

    Raises:
        BadInputError: Nothing was recorded; the message names file, line and field.
    """
    watch, on_error = request.watch, _on_error(request.on_error)
    columns, used = _column_map(request.columns), set[Target]()
    found = find(request.files)
    for notice in found.notices:
        watch.notice(notice)
    sources: list[Path | OpenText] = found.sources
    total, n_read = found.n_bytes or 0, 0

    def metered(n_bytes: int) -> None:
        nonlocal n_read
        n_read += n_bytes
        watch.progress(n_read, total)

    with contextlib.ExitStack() as stack:
        source_format = request.source_format
        if source_format is None and columns is not None:
            source_format = SourceFormat.COLUMNS
        elif source_format is None:
            source_format, sources[0] = _recognised(sources[0], stack)
            watch.notice(
                f"Read as {source_format}, recognised by the first records of {sources[0]}; --from "
                "states another format."
            )
        read = _reader(source_format, request, columns, used)

        def files() -> Iterator[tuple[str, Iterator[Record]]]:
            for each in sources:
                yield str(each), read(_observed(each, metered))
            if columns is not None and used:
                check_used(columns, used)

        try:
            report = import_files(
                log,
                files(),
                on_error=on_error,
                recorded_at=request.recorded_at,
                on_rejection=request.on_rejection,
                dry_run=request.dry_run,
            )
        except RejectedError as error:
            hint = _hint(error.rejection, source_format)
            raise RejectedError(error.rejection, error.n_rejected, hint) from error
    return msgspec.structs.replace(report, format=source_format)


def _observed(source: Path | OpenText, on_read: Callable[[int], None]) -> TextSource:
    return MeteredFile(source, on_read) if isinstance(source, Path) else source


def _recognised(
    source: Path | OpenText, stack: contextlib.ExitStack
) -> tuple[str, Path | OpenText]:
    """Return the format of a file, and the source to read it from.

    Raises:
        GuessError: No format fits the first records, or several do.
        UnreadableFileError: The file cannot be read.
    """
    records, again = first_records(source, stack)
    if not records:
        raise GuessError(
            f"The format of {source} cannot be recognised, since no JSON record is at its "
            "beginning. State it with --from FORMAT (source_format)."
        )
    try:
        return str(guess(records)), again
    except GuessError as error:
        raise GuessError(f"{source}: {error}") from None


def _hint(rejection: Rejection, source_format: str) -> str:
    """Return a sentence if a rejected record is one of another format, else nothing."""
    try:
        record = decode(rejection.raw)
        other = str(guess([record]))
        if other in READERS:
            READERS[other](record)
    except (CanonicalError, GuessError, TraceError):
        return ""
    return (
        "" if other == source_format else f"It looks like {other}: import it with --from {other}."
    )


def _on_error(text: str) -> OnError:
    if text not in list(OnError):
        raise BadInputError(
            f"There is no on_error {text!r}: expected {' or '.join(OnError)}."
            f"{suggestion(text, OnError)}"
        )
    return OnError(text)


def _reader(
    source_format: str, request: ImportRequest, columns: ColumnMap | None, used: set[Target]
) -> Callable[[TextSource], Iterator[Record]]:
    """Return what reads a file of this format."""
    from tunixrt.eval.prediction_traces import PREDICTIONS, read_prediction_traces

    if source_format != PREDICTIONS:
        parse_source_format(source_format, others=(PREDICTIONS,))
    check_strips(source_format, strip_calculator=request.strip_calculator)
    check_columns(source_format, columns)
    if source_format == PREDICTIONS:
        return functools.partial(read_prediction_traces, source=request.source)
    return functools.partial(
        read_traces,
        source_format=SourceFormat(source_format),
        source=request.source,
        strip_calculator=request.strip_calculator,
        columns=columns,
        used=used,
    )


def _column_map(columns: Mapping[str, str] | str | None) -> ColumnMap | None:
    if isinstance(columns, str):
        return ColumnMap.parse(columns)
    return None if columns is None else ColumnMap.of(columns)
