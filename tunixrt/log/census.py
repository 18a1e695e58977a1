"""Counting distinct traces over any set of segments, in memory that does not grow with them.

Most traces are recorded once, so one number per segment is enough for them; only those that are in
several segments are kept by name. To find out which these are, all (trace, segment) pairs are
split into buckets by the first byte of the id; beyond 64 MiB the buckets go to a temporary file,
and one bucket at a time is read. Each pair is written once and read once, in order. Nothing is
looked up, so a table with an index (`tunixrt.traces.spill`) would be of no use, and took 8 times as
long for a million pairs.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Self

from tunixrt.log.digests import raw_of
from tunixrt.log.files import writing
from tunixrt.log.segment.events import RECORDED

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from types import TracebackType

    from tunixrt.log.digests import Digest
    from tunixrt.log.segment.events import StoredEvent

_N_BUCKETS = 256
_ID_BYTES = 32
_RECORD_BYTES = _ID_BYTES + 4
MAX_BYTES_IN_MEMORY = 64 * 1024 * 1024


class Buckets:
    """Fixed-size records, split by their first byte; they spill to a temporary file."""

    def __init__(self, max_bytes: int = MAX_BYTES_IN_MEMORY) -> None:
        self._max_bytes = max_bytes
        self._n_bytes = 0
        self._buckets = [bytearray() for _ in range(_N_BUCKETS)]
        self._spilled: list[list[tuple[int, int]]] = [[] for _ in range(_N_BUCKETS)]
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, record: bytes) -> None:
        """Add a record to its bucket.

        Raises:
            WriteError: The directory of temporary files refuses the file.
        """
        self._buckets[record[0]] += record
        self._n_bytes += len(record)
        if self._n_bytes > self._max_bytes:
            self._spill()

    def __iter__(self) -> Iterator[bytes]:
        """Yield the buckets one by one, each as its concatenated records."""
        for index, bucket in enumerate(self._buckets):
            pieces = []
            for offset, length in self._spilled[index]:
                assert self._file is not None
                self._file.seek(offset)
                pieces.append(self._file.read(length))
            yield b"".join((*pieces, bucket))

    def _spill(self) -> None:
        with writing(Path(tempfile.gettempdir())):
            if self._file is None:
                self._file = tempfile.TemporaryFile()  # noqa: SIM115 (closed by __exit__)
            for index, bucket in enumerate(self._buckets):
                if bucket:
                    self._spilled[index].append((self._file.tell(), len(bucket)))
                    self._file.write(bucket)
                    self._buckets[index] = bytearray()
        self._n_bytes = 0


class Census:
    """How many distinct traces any set of segments has recorded."""

    def __init__(self, events: Iterable[StoredEvent], max_bytes: int = MAX_BYTES_IN_MEMORY) -> None:
        """Count the traces that the events record.

        Args:
            events: Events of whole segments.
            max_bytes: How many bytes of ids are kept in memory before they go to a file.

        Raises:
            WriteError: The directory of temporary files refuses the file.
        """
        numbers: dict[Digest, int] = {}
        names: list[Digest] = []
        with Buckets(max_bytes) as buckets:
            for event in events:
                envelope = event.envelope
                if envelope.type == RECORDED and envelope.payload is not None:
                    number = numbers.get(event.segment)
                    if number is None:
                        number = numbers[event.segment] = len(names)
                        names.append(event.segment)
                    buckets.add(raw_of(envelope.payload) + number.to_bytes(4, "big"))
            self._n_alone = dict.fromkeys(names, 0)
            self._together: dict[frozenset[Digest], int] = {}
            for bucket in buckets:
                self._count(bucket, names)

    def _count(self, bucket: bytes, names: list[Digest]) -> None:
        first: dict[bytes, bytes] = {}
        several: dict[bytes, set[bytes]] = {}
        for start in range(0, len(bucket), _RECORD_BYTES):
            trace = bucket[start : start + _ID_BYTES]
            number = bucket[start + _ID_BYTES : start + _RECORD_BYTES]
            before = first.setdefault(trace, number)
            if before != number:
                several.setdefault(trace, {before}).add(number)
        for trace, number in first.items():
            if trace not in several:
                self._n_alone[names[int.from_bytes(number, "big")]] += 1
        for group in several.values():
            key = frozenset(names[int.from_bytes(number, "big")] for number in group)
            self._together[key] = self._together.get(key, 0) + 1

    def n_traces(self, segments: Collection[Digest]) -> int:
        """Return how many distinct traces these segments have recorded."""
        wanted = set(segments)
        n_alone = sum(n for segment, n in self._n_alone.items() if segment in wanted)
        return n_alone + sum(
            n for group, n in self._together.items() if not wanted.isdisjoint(group)
        )
