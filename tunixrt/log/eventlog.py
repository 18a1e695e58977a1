"""The log: all sealed segments of a store, in one order that is the same in every clone.

Nothing here locks. A segment appears by one rename and never changes, so writers that append at
the same time make two segments with the same parents, exactly as two branches do.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tunixrt.log.digests import Digest
from tunixrt.log.files import publish_directory, staging_directory, writing
from tunixrt.log.findings import Finding
from tunixrt.log.layout import Layout, check_format
from tunixrt.log.log_verifier import missing_parent, verify_log
from tunixrt.log.segment.events import NULL, Envelope, StoredEvent
from tunixrt.log.segment.header import (
    HEADER_NAME,
    DamagedError,
    SegmentHeader,
    read_header,
)
from tunixrt.log.segment.reader import read_events_of, read_segment
from tunixrt.log.segment.shelves import segment_directories
from tunixrt.log.segment.verifier import verify_segment
from tunixrt.log.segment.writer import SegmentWriter
from tunixrt.log.stored import is_plain_directory, open_stored

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence


_REMEMBERED = 20_000
"""How many headers are cached: they never change."""


class SegmentRef(msgspec.Struct, frozen=True):
    """A sealed segment, and where it is.

    Attributes:
        digest: Its name.
        lamport: Its place in the order; segments with equal places are ordered by digest.
        n_events: How many events it holds.
        parents: The segments that it was appended to, sorted.
        path: Its directory.
        header: The header, the source of these fields.
    """

    digest: Digest
    lamport: int
    n_events: int
    parents: tuple[Digest, ...]
    path: Path
    header: SegmentHeader


def read_ref(digest: Digest, path: Path) -> SegmentRef:
    """Return a segment with its header, read from its directory.

    Raises:
        DamagedError: If it is damaged.
    """
    header = read_header(path / HEADER_NAME)
    return SegmentRef(digest, header.lamport, header.n_events, header.parents, path, header)


class EventLog:
    """The append-only log of one store."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._refs: dict[Digest, SegmentRef] = {}

    def segments(self) -> list[SegmentRef]:
        """Return the sealed segments in the order of the log: by lamport, then by digest.

        Raises:
            DamagedError: If a header is damaged or the parent of a segment is missing.
        """
        refs: dict[Digest, SegmentRef] = {}
        unread = segment_directories(self.layout)
        while unread:
            for digest, path in unread:
                refs[digest] = self._ref(digest, path)
            # Another process may append while the directories are listed, so that a segment was
            # seen and its parent, in a directory listed earlier, was not.
            unread = []
            for ref in list(refs.values()):
                for parent in set(ref.parents).difference(refs):
                    path = self.layout.segment(parent)
                    if not is_plain_directory(path):
                        raise DamagedError(missing_parent(self.layout, ref.digest, parent))
                    unread.append((parent, path))
        return sorted(refs.values(), key=lambda ref: (ref.lamport, ref.digest))

    def _ref(self, digest: Digest, path: Path) -> SegmentRef:
        ref = self._refs.get(digest)
        if ref is None:
            ref = read_ref(digest, path)
            if len(self._refs) < _REMEMBERED:
                self._refs[digest] = ref
        return ref

    def heads(self) -> tuple[list[Digest], int]:
        """Return the segments that no other names as its parent, sorted, and the next lamport.

        Raises:
            DamagedError: If a header is damaged or the parent of a segment is missing.
        """
        refs = self.segments()
        named = {parent for ref in refs for parent in ref.parents}
        heads = sorted(ref.digest for ref in refs if ref.digest not in named)
        return heads, 1 + max((ref.lamport for ref in refs), default=-1)

    def events(self, segments: Collection[Digest] | None = None) -> Iterator[StoredEvent]:
        """Yield events in the order of the log, with one part in memory at a time.

        Args:
            segments: Which segments; all of them without it.

        Raises:
            DamagedError: If a segment is damaged, or one that is asked for does not exist.
        """
        for ref in self.selected(segments):
            yield from read_segment(ref.path, ref.header)

    def selected(self, segments: Collection[Digest] | None = None) -> list[SegmentRef]:
        """Return segments in the order of the log.

        Args:
            segments: Which segments; all of them without it.

        Raises:
            DamagedError: If a header is damaged, or a segment that is asked for does not exist.
        """
        refs = self.segments()
        if segments is None:
            return refs
        wanted = set(segments)
        refs = [ref for ref in refs if ref.digest in wanted]
        for digest in sorted(wanted.difference(ref.digest for ref in refs)):
            place = self.layout.relative(self.layout.segment(digest))
            raise DamagedError(Finding(place, "The segment is missing."))
        return refs

    def events_of(self, *event_types: str) -> Iterator[StoredEvent]:
        """Yield the events of some types in the order of the log, much faster than all of them.

        Raises:
            DamagedError: If a header, or a part that holds such events, is damaged.
        """
        for ref in self.segments():
            yield from read_events_of(ref.path, ref.header, *event_types)

    def read_payload(self, segment: Digest, part: str, offset: int, length: int) -> bytes | None:
        """Return one payload, read again at the place where ``events`` found it.

        Args:
            segment: The segment.
            part: The name of the part.
            offset: Where the payload line begins, in bytes.
            length: Its length without the line feed, in bytes.

        Returns:
            The payload, or None if the event has none or it has been redacted since.

        Raises:
            DamagedError: If no line of that length begins there: the part is damaged, or payloads
                before this one have been redacted since the events were read.
        """
        path = self.layout.segment(segment) / part
        data = b""
        if offset > 0:
            try:
                with open_stored(path) as file:
                    file.seek(offset - 1)
                    data = file.read(length + 2)
            except OSError as error:
                problem = f"The part cannot be read: {error.strerror}."
                raise DamagedError(Finding(self.layout.relative(path), problem)) from None
        if data.startswith(b"\n" + NULL + b"\n"):
            return None
        line = data[1:-1]
        if data[:1] != b"\n" or data[-1:] != b"\n" or len(line) != length or b"\n" in line:
            problem = (
                f"No line of {length} bytes begins at byte {offset}: "
                "the part has changed since it was read; run the command again."
            )
            raise DamagedError(Finding(self.layout.relative(path), problem))
        return None if line == NULL else line

    def append(self, batch: Iterable[tuple[Envelope, bytes | None]]) -> Digest | None:
        """Append a batch of events as one sealed segment, whole or not at all.

        The batch is written as it comes. If it raises, nothing is published.

        Args:
            batch: Envelopes, each with its payload (canonical JSON) or None.

        Returns:
            The segment, on the disk when this returns; None for an empty batch, which writes
            nothing.

        Raises:
            EventError: If an event does not fit the format.
            StoreFormatError: If the store is not one of this version's format.
            WriteError: If the file system refuses.
            DamagedError: If the log is damaged.
        """

        def fill(writer: SegmentWriter) -> None:
            for envelope, payload in batch:
                try:
                    writer.append(envelope, payload)
                except OSError as error:
                    with writing(self.layout.staging):
                        raise error

        return self._seal(fill)

    def append_lines(self, batches: Iterable[Sequence[tuple[bytes, bytes]]]) -> Digest | None:
        """Append events whose lines the caller has validated, as one sealed segment.

        For imports, where the checks of ``append`` would double the work.

        Args:
            batches: Batches of events, each with the line of its envelope and its payload, as
                ``SegmentWriter.extend`` takes them.

        Returns:
            The segment; None if the batch was empty.

        Raises:
            StoreFormatError: If the store is not one of this version's format.
            WriteError: If the file system refuses.
            DamagedError: If the log is damaged.
        """

        def fill(writer: SegmentWriter) -> None:
            for events in batches:
                with writing(self.layout.staging):
                    writer.extend(events)

        return self._seal(fill)

    def _seal(self, fill: Callable[[SegmentWriter], None]) -> Digest | None:
        """Publish what ``fill`` writes as a segment, whole or not at all."""
        check_format(self.layout)
        with staging_directory(self.layout) as staged, SegmentWriter(staged) as writer:
            fill(writer)
            if not writer.n_events:
                return None
            # Read after the batch, which may have taken long, so that the heads are current.
            heads, lamport = self.heads()
            with writing(self.layout.staging):
                digest = writer.seal(heads, lamport)
            destination = self.layout.segment(digest)
            if not publish_directory(staged, destination):
                for finding in verify_segment(destination):
                    raise DamagedError(finding)
            return digest

    def verify(self) -> Iterator[Finding]:
        """Check store.json and every byte of the log.

        Yields:
            Everything that does not follow the format. What is in ``store/.tmp/`` is not a finding.
        """
        return verify_log(self.layout)
