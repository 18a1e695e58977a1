"""Containers of an export: JSON Lines, plain or compressed, Parquet, and Arrow.

The bytes of a container are a function of the lines and of the library that writes them; its
version is in the identity of an export (`Container.writer`). JSON Lines need none.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import zlib
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Protocol

from tunixrt.datasets.exports.making import lines_of
from tunixrt.extras import PARQUET, ZSTD, require

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import PurePath
    from typing import BinaryIO

    from tunixrt.datasets.exports.columns import Columns
    from tunixrt.datasets.exports.making import QuickRow

_GZIP_LEVEL: Final = 6
_ZSTD_LEVEL: Final = 3
#: The limits of a row group of Parquet, or of a batch of Arrow, in those of a batch of lines.
_GROUP: Final = 8


class Container(StrEnum):
    """What the lines are put into."""

    JSONL = "jsonl"
    GZIP = "jsonl.gz"
    ZSTD = "jsonl.zst"
    PARQUET = "parquet"
    #: The stream format, as `datasets` saves it.
    ARROW = "arrow"

    @property
    def is_columnar(self) -> bool:
        """Whether it holds columns instead of lines."""
        return self in (Container.PARQUET, Container.ARROW)

    @property
    def n_at_once(self) -> int:
        """How large the batches are that it is written in; see `ExportLines.rows`."""
        return _GROUP if self.is_columnar else 1

    def check_installed(self) -> None:
        """Check that the library that it needs is installed.

        Raises:
            MissingExtraError: it is not.
        """
        if self.is_columnar:
            require(PARQUET, "A Parquet file or a dataset directory")
        elif self is Container.ZSTD:
            require(ZSTD, "A file that ends in .zst")

    def writer(self) -> str | None:
        """Return the library that decides the bytes, with version and settings; None for none."""
        match self:
            case Container.GZIP:
                return f"zlib {zlib.ZLIB_RUNTIME_VERSION}, level {_GZIP_LEVEL}"
            case Container.ZSTD:
                import zstandard

                version = ".".join(map(str, zstandard.ZSTD_VERSION))
                return f"zstd {version}, level {_ZSTD_LEVEL}"
            case Container.PARQUET | Container.ARROW:
                import pyarrow as pa

                return f"pyarrow {pa.__version__}, groups of {_GROUP} batches"
            case _:
                return None


def container_of(path: PurePath) -> Container:
    """Return the container that the name of a file stands for; JSON Lines for any other name."""
    name = path.name.lower()
    if name.endswith(".gz"):
        return Container.GZIP
    if name.endswith(".zst"):
        return Container.ZSTD
    return {".parquet": Container.PARQUET, ".arrow": Container.ARROW}.get(
        path.suffix.lower(), Container.JSONL
    )


class Former:
    """Forms batches of rows for a container; another process can do that.

    Attributes:
        form: returns the bytes of a batch that is not empty, which `Writer.put` takes.
    """

    def __init__(self, container: Container, columns: Columns) -> None:
        self.form = columns.serialised if container.is_columnar else _joined


def _joined(batch: Sequence[QuickRow]) -> bytes:
    return b"\n".join(lines_of(batch)) + b"\n"


class Writer(Protocol):
    """Receives the rows of one file."""

    def write(self, batch: Sequence[QuickRow]) -> None:
        """Write a batch of rows; in columns it is a group."""

    def put(self, formed: bytes) -> None:
        """Write a batch of rows that a `Former` has formed."""

    def close(self) -> None:
        """Finish the file; the stream below stays open."""


def open_writer(container: Container, out: Any, columns: Columns) -> Writer:
    """Return the writer of a file."""
    match container:
        case Container.PARQUET | Container.ARROW:
            return _GroupWriter(container, out, columns)
        case Container.GZIP:
            # Neither a name nor a time: the bytes depend on the lines alone.
            return _LineWriter(
                gzip.GzipFile("", "wb", compresslevel=_GZIP_LEVEL, fileobj=out, mtime=0), owned=True
            )
        case Container.ZSTD:
            import zstandard

            compressor = zstandard.ZstdCompressor(level=_ZSTD_LEVEL, write_checksum=True)
            return _LineWriter(compressor.stream_writer(out, closefd=False), owned=True)
        case Container.JSONL:
            return _LineWriter(out, owned=False)


class _LineWriter:
    def __init__(self, out: Any, *, owned: bool) -> None:
        self._out, self._owned = out, owned

    def write(self, batch: Sequence[QuickRow]) -> None:
        self.put(_joined(batch))

    def put(self, formed: bytes) -> None:
        self._out.write(formed)

    def close(self) -> None:
        if self._owned:
            self._out.close()


class _GroupWriter:
    def __init__(self, container: Container, out: Any, columns: Columns) -> None:
        self._columns = columns
        schema = columns.schema()
        if container is Container.PARQUET:
            import pyarrow.parquet as pq

            # Every setting that could follow the version of the library is given.
            self._writer = pq.ParquetWriter(
                out,
                schema,
                version="2.6",
                compression="snappy",
                use_dictionary=False,
                write_statistics=False,
                data_page_version="1.0",
            )
        else:
            import pyarrow as pa

            self._writer = pa.ipc.new_stream(out, schema)

    def write(self, batch: Sequence[QuickRow]) -> None:
        self._writer.write_batch(self._columns.record_batch(batch))

    def put(self, formed: bytes) -> None:
        self._writer.write_batch(self._columns.deserialised(formed))

    def close(self) -> None:
        self._writer.close()


class Tally:
    """Passes bytes on to a file, and knows their digest and size.

    Attributes:
        sha256: over the bytes so far.
        size: how many there are.
    """

    closed = False

    def __init__(self, out: BinaryIO) -> None:
        self._out: BinaryIO | None = out
        self.sha256 = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        """Write bytes; libraries give other buffers, too."""
        data = bytes(data)
        if self._out is not None:
            self._out.write(data)
        self.sha256.update(data)
        self.size += len(data)
        return len(data)

    def flush(self) -> None:
        """Flush the file."""
        if self._out is not None:
            self._out.flush()

    def tell(self) -> int:
        """Return the position."""
        return self.size

    def abandon(self) -> None:
        """Pass nothing on from now on: a file that failed gets no end that makes it look whole."""
        self._out = None


@contextlib.contextmanager
def written(
    container: Container, out: BinaryIO, columns: Columns
) -> Iterator[tuple[Writer, Tally]]:
    """Open a writer, and finish the file when the block ends without an exception."""
    tally = Tally(out)
    writer = open_writer(container, tally, columns)
    try:
        yield writer, tally
    except BaseException:
        tally.abandon()
        raise
    finally:
        writer.close()
