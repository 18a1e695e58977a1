"""Writes a segment: events go to part files as they arrive, and the header seals them."""

from __future__ import annotations

import contextlib
from hashlib import sha256
from typing import TYPE_CHECKING, BinaryIO, Self

from tunixrt.log.canonical import encode
from tunixrt.log.digests import Digest, digest_bytes, from_raw
from tunixrt.log.layout import CANONICALISATION
from tunixrt.log.merkle import MerkleTree
from tunixrt.log.segment.events import (
    MAX_PAYLOAD_BYTES,
    NULL,
    Envelope,
    EventError,
    encode_envelope,
    envelope_problem,
)
from tunixrt.log.segment.header import (
    HEADER_NAME,
    SEGMENT_FORMAT,
    PartHeader,
    SegmentHeader,
    part_name,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MAX_PART_BYTES = 4 * 1024 * 1024
"""A part ends before it exceeds this; a larger single event gets its own part."""


class SegmentWriter:
    """Writes the parts and the header of one segment into a staging directory.

    Keeps the events of one call in memory, and O(log n) hashes. Use it in a ``with``, also when it
    is not sealed.
    """

    def __init__(self, staged: Path) -> None:
        self._directory = staged
        self._file: BinaryIO | None = None
        self._size = 0
        self._part = MerkleTree()
        self._all = MerkleTree()
        self._parts: list[PartHeader] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            # A segment that is not sealed is discarded; a failure to write its last bytes must not
            # hide the error that came first.
            with contextlib.suppress(OSError):
                self._file.close()

    @property
    def n_events(self) -> int:
        """The number of events appended so far."""
        return self._all.n_leaves

    def append(self, envelope: Envelope, payload: bytes | None) -> None:
        """Write one event.

        Args:
            envelope: Its envelope, which names the payload's digest if there is a payload.
            payload: Canonical JSON other than ``null``, or None.

        Raises:
            EventError: If the two do not match each other or the format.
            OSError: If the file system refuses.
        """
        problem = envelope_problem(envelope) or _payload_problem(envelope, payload)
        if problem is not None:
            raise EventError(f"Event {self.n_events} of the batch: {problem}")
        self.extend([(encode_envelope(envelope), NULL if payload is None else payload)])

    def extend(self, events: Sequence[tuple[bytes, bytes]]) -> None:
        """Write many events whose lines the caller has validated: nothing is checked again.

        Args:
            events: For each event, the line of its envelope and that of its payload, in canonical
                form and without line feeds, the payload at most ``MAX_PAYLOAD_BYTES`` long.

        Raises:
            OSError: If the file system refuses.
        """
        start, size = 0, self._size
        for index, (line, body) in enumerate(events):
            n_bytes = len(line) + len(body) + 2
            if size + n_bytes > MAX_PART_BYTES and size:
                self._write(events[start:index], size)
                self._close_part()
                start, size = index, 0
            size += n_bytes
        self._write(events[start:], size)

    def _write(self, events: Sequence[tuple[bytes, bytes]], size: int) -> None:
        """Write events to the part that is open, which has ``size`` bytes with them."""
        if not events:
            return
        if self._file is None:
            self._file = (self._directory / part_name(len(self._parts))).open("xb")
        self._file.write(b"".join([b"%b\n%b\n" % event for event in events]))
        self._size = size
        leaves = [sha256(b"\x00" + line).digest() for line, _ in events]
        self._part.extend_hashes(leaves)
        self._all.extend_hashes(leaves)

    def seal(self, parents: Sequence[Digest], lamport: int) -> Digest:
        """Write the header, and return the digest that names the segment.

        Args:
            parents: The heads of the log that this segment is appended to, in any order.
            lamport: 1 + the largest of the parents'; 0 without parents.

        Raises:
            EventError: If no event has been appended.
            OSError: If the file system refuses.
        """
        if not self.n_events:
            raise EventError("A segment without events cannot be sealed.")
        self._close_part()
        header = encode(
            SegmentHeader(
                canonicalisation=CANONICALISATION,
                format=SEGMENT_FORMAT,
                lamport=lamport,
                n_events=self.n_events,
                parents=tuple(sorted(parents)),
                parts=tuple(self._parts),
                root=from_raw(self._all.root()),
            )
        )
        (self._directory / HEADER_NAME).write_bytes(header)
        return digest_bytes(header)

    def _close_part(self) -> None:
        if self._file is None:
            return
        self._file.close()
        self._file = None
        self._parts.append(
            PartHeader(
                name=part_name(len(self._parts)),
                n_events=self._part.n_leaves,
                root=from_raw(self._part.root()),
            )
        )
        self._part = MerkleTree()
        self._size = 0


def _payload_problem(envelope: Envelope, payload: bytes | None) -> str | None:
    if payload is None:
        return None if envelope.payload is None else "The envelope names a payload; none was given."
    if len(payload) > MAX_PAYLOAD_BYTES:
        return (
            f"The payload has {len(payload)} bytes; at most {MAX_PAYLOAD_BYTES} (32 MiB) fit. "
            "Split the record."
        )
    if b"\n" in payload or b"\r" in payload or payload in (b"", NULL):
        return "The payload is not canonical JSON other than null, on one line."
    digest = digest_bytes(payload)
    if envelope.payload != digest:
        return (
            f"The envelope names the payload {envelope.payload}; "
            f"the digest of the payload is {digest}."
        )
    return None
