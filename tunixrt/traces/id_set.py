"""A set of trace ids that only grows: in memory while it is small, on disk beyond.

Ids are digests, so their first bits are as good as any hash. Beyond a few hundred thousand, the ids
go to a private table, and a bitmap with one bit per prefix records which may exist: nearly every
new id is known to be new without querying the table, with 32 MiB of memory for ten million.
"""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING, Final, Self

from tunixrt.traces.spill import spill

if TYPE_CHECKING:
    from tunixrt.traces.spill import SpillDatabase

IDS_IN_MEMORY: Final = 600_000

_PREFIX_BITS: Final = 28


class IdSet:
    """Ids of 32 bytes each; close it when done."""

    def __init__(self) -> None:
        self._recent: set[bytes] = set()
        self._table: SpillDatabase | None = None
        self._bits: mmap.mmap | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the table."""
        if self._table is not None and self._bits is not None:
            self._table.close()
            self._bits.close()

    def __contains__(self, raw: bytes) -> bool:
        return raw in self._recent or (self._bits is not None and self._is_spilled(raw))

    def add(self, raw: bytes) -> bool:
        """Add an id; return False if the set has it already."""
        if raw in self:
            return False
        self._recent.add(raw)
        if len(self._recent) >= IDS_IN_MEMORY:
            self._spill()
        return True

    def _is_spilled(self, raw: bytes) -> bool:
        assert self._table is not None
        assert self._bits is not None
        place, bit = _place(raw)
        if not self._bits[place] & bit:
            return False
        found = self._table.execute("SELECT 1 FROM ids WHERE id = ?", (raw,))
        return found.fetchone() is not None

    def _spill(self) -> None:
        if self._table is None:
            self._table = spill()
            self._table.execute("CREATE TABLE ids (id BLOB PRIMARY KEY) WITHOUT ROWID")
            self._table.execute("BEGIN")
            # Its pages take memory only when they are written to.
            self._bits = mmap.mmap(-1, 2**_PREFIX_BITS // 8)
        assert self._bits is not None
        # Sorted, so that each page of the table is written once.
        recent = sorted(self._recent)
        self._table.executemany("INSERT INTO ids VALUES (?)", ((raw,) for raw in recent))
        for raw in recent:
            place, bit = _place(raw)
            self._bits[place] |= bit
        self._recent.clear()


def _place(raw: bytes) -> tuple[int, int]:
    prefix = int.from_bytes(raw[:4], "big") >> (32 - _PREFIX_BITS)
    return prefix >> 3, 1 << (prefix & 7)
