"""Checks a file against what the store says, record by record, and names the first difference.

The lines are made again and compared with what the container holds, not with its bytes: another
version of a compressor may have written it.
"""

from __future__ import annotations

import gzip
import io
import itertools
import zlib
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tunixrt.datasets.exports.columns import Columns, columns_of
from tunixrt.datasets.exports.containers import Container, container_of
from tunixrt.datasets.exports.derivation import ExportDerivation, shard_names
from tunixrt.datasets.exports.formats import ExportError
from tunixrt.datasets.exports.publishing import split_derivation, splits_of
from tunixrt.derive import Answer, Verdict, record_difference
from tunixrt.log.canonical import encode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tunixrt.datasets.exports.formats import RowSettings
    from tunixrt.datasets.files import Dataset
    from tunixrt.log.eventlog import EventLog

_ROWS_AT_ONCE: Final = 1_000


class _UnreadableError(Exception):
    """A file is not what its name says; the message is a clause."""


def check_export(
    log: EventLog, dataset: Dataset, rows: RowSettings, path: Path, n_shards: int = 1
) -> list[Verdict]:
    """Return whether a file, or a directory, is what an export with these settings writes.

    Args:
        log: where the payloads are.
        dataset: what was exported.
        rows: the settings that it was exported with.
        path: what it was exported to; of shards, the name without their numbers.
        n_shards: how many files there are, or for a directory, how many for each split.

    Returns:
        A verdict for the file, or for each split of a directory, which its name then ends with.

    Raises:
        ExportError: nothing is there, or nothing can be exported with these settings.
        MissingExtraError: the library for the container is not installed.
    """
    if path.is_dir():
        shards = shard_names(f"data.{Container.ARROW}", n_shards)
        verdicts = []
        for split in splits_of(dataset, rows):
            derivation = split_derivation(log, dataset, rows, split, n_shards)
            verdict = _verdict(
                derivation, [path / split / name for name in shards], Container.ARROW
            )
            verdicts.append(msgspec.structs.replace(verdict, name=f"{verdict.name}, {split}"))
        return verdicts
    container = container_of(path)
    derivation = ExportDerivation(log, dataset, rows, container, n_shards)
    paths = [path.with_name(name) for name in shard_names(path.name, n_shards)]
    return [_verdict(derivation, paths, container)]


def _verdict(derivation: ExportDerivation, paths: Sequence[Path], container: Container) -> Verdict:
    for path in paths:
        if not path.is_file():
            raise ExportError(f"{path} does not exist, or is not a file; name what was exported.")
    with derivation.lines() as lines:
        columns = Columns(columns_of(lines.settings, lines.held))
        reader = _Reader(container, columns)
        expected = (record for batch in lines.batches() for record in reader.expected(batch))
        found = reader.records(paths)
        n_rows, difference = _first_difference(expected, found)
        file, number, sentence = difference or (None, None, None)
        return Verdict(
            kind=derivation.kind,
            id=derivation.id,
            name=derivation.name,
            verdict=Answer.DIVERGED if difference else Answer.IDENTICAL,
            first_difference=sentence,
            file=file,
            line=number,
            n_rows=n_rows,
            n_redacted=len(lines.redacted()),
        )


def _first_difference(
    expected: Iterator[bytes], found: Iterator[tuple[str, int, bytes]]
) -> tuple[int, tuple[str, int, str] | None]:
    """Return how many rows are the same, and the first that is not: file, row, sentence."""
    n, last = 0, ("", 0)
    try:
        for made, there in itertools.zip_longest(expected, found):
            if there is None:
                name, number = last
                sentence = f"it ends after {number:,} rows; {_named(made)} is missing"
                return n, (name, number + 1, f"{name}: {sentence}.")
            name, number, record = there
            where = f"{name}, row {number:,}"
            if made is None:
                return n, (name, number, f"{where}: the store has no such row ({_named(record)}).")
            if made != record:
                how = record_difference(record, made, "row", ("id",))
                return n, (name, number, f"{where}: {how}.")
            last = (name, number)
            n += 1
    except _UnreadableError as error:
        name, number = last
        return n, (name, number + 1, str(error))
    return n, None


def _named(record: bytes | None) -> str:
    return record_difference(record or b"", b"{}", "row", ("id",)).partition(": ")[0]


class _Reader:
    """The records of files and those of lines, in one form: a line, or the cells of a row."""

    def __init__(self, container: Container, columns: Columns) -> None:
        self._container = container
        self._columns = columns

    def expected(self, lines: Sequence[bytes]) -> Iterator[bytes]:
        """Yield the records of lines."""
        if not self._container.is_columnar:
            yield from lines
            return
        cells = self._columns.cells(lines)
        for values in zip(*cells.values(), strict=True):
            yield encode(dict(zip(cells, values, strict=True)))

    def records(self, paths: Sequence[Path]) -> Iterator[tuple[str, int, bytes]]:
        """Yield the records of files: name, number from 1, record.

        Raises:
            _UnreadableError: a file is damaged, or of another kind.
        """
        for path in paths:
            rows = self._rows(path) if self._container.is_columnar else self._lines(path)
            for number, record in enumerate(rows, start=1):
                yield path.name, number, record

    def _lines(self, path: Path) -> Iterator[bytes]:
        try:
            with _opened(self._container, path) as file:
                for line in file:
                    if not line.endswith(b"\n"):
                        raise _UnreadableError(f"{path.name}: the last line has no line feed.")
                    yield line[:-1]
        except _reading_errors(self._container) as error:
            raise _UnreadableError(f"{path.name} cannot be read: {error}.") from error

    def _rows(self, path: Path) -> Iterator[bytes]:
        import pyarrow as pa

        try:
            with path.open("rb") as file:
                schema, batches = _batches(self._container, file)
                wanted = self._columns.schema()
                if not schema.equals(wanted):
                    raise _UnreadableError(
                        f"{path.name}: its columns are {_shown(schema)}; expected {_shown(wanted)}."
                    )
                for batch in batches:
                    for row in batch.to_pylist():
                        yield encode(row)
        except (OSError, pa.ArrowException) as error:
            raise _UnreadableError(f"{path.name} cannot be read: {error}.") from error


def _reading_errors(container: Container) -> tuple[type[Exception], ...]:
    if container is not Container.ZSTD:
        return OSError, EOFError, zlib.error
    import zstandard

    return OSError, zstandard.ZstdError


def _opened(container: Container, path: Path) -> Any:
    """Open a file of lines for reading, without its compression."""
    if container is Container.GZIP:
        return gzip.open(path, "rb")
    if container is Container.ZSTD:
        import zstandard

        return io.BufferedReader(zstandard.open(path, "rb"))
    return path.open("rb")


def _batches(container: Container, file: Any) -> tuple[Any, Iterator[Any]]:
    if container is Container.PARQUET:
        import pyarrow.parquet as pq

        parquet = pq.ParquetFile(file)
        return parquet.schema_arrow, parquet.iter_batches(batch_size=_ROWS_AT_ONCE)
    import pyarrow as pa

    reader = pa.ipc.open_stream(file)
    return reader.schema, iter(reader)


def _shown(schema: Any) -> str:
    return ", ".join(f"{field.name} ({field.type})" for field in schema)
