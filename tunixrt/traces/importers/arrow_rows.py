"""Reads the rows of Parquet and Arrow files as JSON objects, batch by batch.

Where a Parquet file has a dictionary with long texts, these are read as such, so that a text which
occurs in every row is in memory once: neither a batch nor a row grows with what a file expands to.
"""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tunixrt.extras import PARQUET, require
from tunixrt.traces.importers.arrow_columns import Columns, length_of, unfit_values
from tunixrt.traces.importers.file_kinds import UnreadableFileError
from tunixrt.traces.importers.lines import MAX_LINE_BYTES, Chunk

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK_BYTES: Final = 1024 * 1024
_BATCH_BYTES: Final = 4 * 1024 * 1024
_MAX_BATCH_ROWS: Final = 1024
#: From this length of a value on, rows are measured before they are written.
_LARGE: Final = 64 * 1024


def parquet_rows(name: str, file: Any) -> Iterator[Chunk]:
    """Yield the rows of a Parquet file.

    Args:
        name: The name of the file, for messages.
        file: The file, open for reading; it can seek.

    Raises:
        MissingExtraError: The package for Parquet is not installed.
        UnreadableFileError: The file is cut off or damaged, or two columns have one name.
    """
    require(PARQUET, f"{name} is Parquet, and reading it")
    return _rows(name, _parquet_batches(file), "Parquet")


def arrow_rows(name: str, file: Any, *, is_stream: bool) -> Iterator[Chunk]:
    """Yield the rows of an Arrow file.

    Args:
        name: The name of the file, for messages.
        file: The file, open for reading.
        is_stream: Whether it is a stream of batches, as Hugging Face ``datasets`` saves, or a file
            with a table of contents, which must be able to seek.

    Raises:
        MissingExtraError: The package for Arrow is not installed.
        UnreadableFileError: The file is cut off or damaged, or two columns have one name.
    """
    require(PARQUET, f"{name} is an Arrow file, and reading it")
    return _rows(name, _arrow_batches(file, is_stream=is_stream), "Arrow")


def _parquet_batches(file: Any) -> Iterator[Any]:
    import pyarrow.parquet as pq

    options = {"pre_buffer": False, "buffer_size": _CHUNK_BYTES}
    plain = pq.ParquetFile(file, **options)
    metadata = plain.metadata
    columns = (metadata.schema.column(i) for i in range(metadata.num_columns))
    texts = [column.path for column in columns if column.physical_type == "BYTE_ARRAY"]
    shared = pq.ParquetFile(file, metadata=metadata, read_dictionary=texts, **options)
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        row_bytes = group.total_byte_size // max(group.num_rows, 1) + 1
        n_rows = min(max(_BATCH_BYTES // row_bytes, 1), _MAX_BATCH_ROWS)
        # One row has the whole dictionary.
        beginning = shared.iter_batches(batch_size=1, row_groups=[number])
        reader = shared if any(map(_has_long_text, itertools.islice(beginning, 1))) else plain
        yield from reader.iter_batches(batch_size=n_rows, row_groups=[number])


def _has_long_text(batch: Any) -> bool:
    """Return whether a dictionary in a batch has a text that must not be copied to every row."""
    import pyarrow as pa
    import pyarrow.compute as pc

    waiting = list(batch.columns)
    while waiting:
        array = waiting.pop()
        if isinstance(array, pa.DictionaryArray):
            longest = pc.max(pc.binary_length(array.dictionary)).as_py()
            if (longest or 0) > _LARGE:
                return True
        elif isinstance(array, pa.StructArray):
            waiting.extend(array.flatten())
        elif isinstance(array, pa.MapArray):
            waiting.extend((array.keys, array.items))
        elif isinstance(array, pa.ListArray | pa.LargeListArray | pa.FixedSizeListArray):
            waiting.append(array.flatten())
    return False


def _arrow_batches(file: Any, *, is_stream: bool) -> Iterator[Any]:
    import pyarrow as pa

    if is_stream:
        with pa.ipc.open_stream(file) as reader:
            yield from reader
        return
    with pa.ipc.open_file(file) as reader:
        for number in range(reader.num_record_batches):
            yield reader.get_batch(number)


def _rows(name: str, batches: Iterator[Any], kind: str) -> Iterator[Chunk]:
    """Yield the rows of batches, and refuse with one sentence what pyarrow refuses."""
    import pyarrow as pa

    n_rows = 0
    while True:
        try:
            batch = next(batches, None)
        except (pa.ArrowException, OSError, ValueError) as error:
            found = str(error).partition("\n")[0].rstrip(".")
            raise UnreadableFileError(
                name,
                f"The file {name} cannot be read as {kind}: it is cut off or damaged ({found}). "
                "Fetch or write it again.",
            ) from error
        if batch is None:
            return
        for start in range(0, batch.num_rows, _MAX_BATCH_ROWS):
            part = batch.slice(start, _MAX_BATCH_ROWS)
            yield from _encoded(name, n_rows + 1, part)
            n_rows += part.num_rows


def _encoded(name: str, first: int, batch: Any) -> Iterator[Chunk]:
    names = batch.schema.names
    doubled = next((one for one in names if names.count(one) > 1), None)
    if doubled is not None:
        raise UnreadableFileError(
            name, f"The file {name} has two columns {doubled}. Give one of them another name."
        )
    columns = Columns(_LARGE)
    objects = columns.rows(names, batch.columns) if names else []
    records, faults, n_bytes = list[bytes](), dict[int, str](), 0
    for number, row in enumerate(objects, first):
        if columns.is_large and length_of(row) > MAX_LINE_BYTES:
            raise _too_long(name, number)
        if columns.is_plain:
            data = msgspec.json.encode(row)
        else:
            data = json.dumps(row, ensure_ascii=False, default=_base64).encode(
                "utf-8", "surrogateescape"
            )
            for unfit in unfit_values(row):
                faults.setdefault(number, unfit.sentence())
        if len(data) > MAX_LINE_BYTES:
            raise _too_long(name, number)
        records.append(data)
        n_bytes += len(data)
        if n_bytes >= _CHUNK_BYTES:
            yield Chunk(first, records, faults)
            first, records, faults, n_bytes = number + 1, [], {}, 0
    if records:
        yield Chunk(first, records, faults)


def _base64(unfit: Any) -> Any:
    """Return what a rejects file has in the place of a value that JSON does not have."""
    return msgspec.to_builtins(unfit.raw) if unfit.raw is not None else unfit.kind


def _too_long(name: str, number: int) -> UnreadableFileError:
    return UnreadableFileError(
        name,
        f"{name}, row {number}: The row is longer than {MAX_LINE_BYTES:,} bytes (64 MiB).",
        number,
    )
