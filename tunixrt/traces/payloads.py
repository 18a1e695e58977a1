"""Reads the payloads of traces back from the log, each checked against the trace id."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING, Final

from tunixrt.log.digests import digest_bytes
from tunixrt.log.findings import Finding
from tunixrt.log.segment.events import REDACTED
from tunixrt.log.segment.header import DamagedError
from tunixrt.log.segment.reader import MAX_PART_FILE_BYTES
from tunixrt.log.stored import open_descriptor, open_stored
from tunixrt.traces.state import project

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from tunixrt.log.digests import Digest
    from tunixrt.log.eventlog import EventLog
    from tunixrt.traces.state import TraceState
    from tunixrt.traces.state_table import Location


_OPEN_PARTS: Final = 256


def read_payload(log: EventLog, state: TraceState) -> bytes | None:
    """Return the canonical payload of one trace; None if it was redacted or never recorded.

    Raises:
        DamagedError: The trace id is not the digest of the bytes.
    """
    at = state.location
    if at is None or not state.kept or state.redacted:
        return None
    payload = log.read_payload(at.segment, at.part, at.offset, at.length)
    if payload is not None and digest_bytes(payload) != state.id:
        raise _damaged(log, state.id, at.segment, at.part)
    return payload


def read_in_order(
    log: EventLog, states: Iterable[TraceState]
) -> Iterator[tuple[TraceState, bytes]]:
    """Yield the payloads of many traces, in one pass over the parts that hold them.

    Args:
        log: The log.
        states: The traces, whose payloads exist, in the order of their places.

    Raises:
        DamagedError: A trace id is not the digest of its payload.
    """
    segment, part, data = "", "", b""
    for state in states:
        at = state.location
        assert at is not None
        # Not by event: a part is read once, and a payload is a slice of it.
        if at.part != part or at.segment != segment:
            segment, part = at.segment, at.part
            data = _read_part(log, at.segment, part)
        payload = data[at.offset : at.offset + at.length]
        if digest_bytes(payload) != state.id:
            line = data.count(b"\n", 0, at.offset) + 1
            raise _damaged(log, state.id, at.segment, part, line)
        yield state, payload


def _read_part(log: EventLog, segment: Digest, part: str) -> bytes:
    path = log.layout.segment(segment) / part
    try:
        with open_stored(path) as file:
            return file.read(MAX_PART_FILE_BYTES)
    except OSError as error:
        problem = f"The part cannot be read: {error.strerror}."
        raise DamagedError(Finding(log.layout.relative(path), problem)) from None


def redacted_since(log: EventLog, segments: Collection[Digest]) -> set[Digest]:
    """Return the traces that events outside of these segments redact."""
    known = set(segments)
    later = [ref.digest for ref in log.segments() if ref.digest not in known]
    return {
        event.envelope.trace
        for event in (log.events(later) if later else ())
        if event.envelope.type == REDACTED and event.envelope.trace is not None
    }


class MemberPayloads:
    """The payloads of the members of a dataset, located by its snapshot.

    A redacted member has none, even if its payload is still in the log.

    Attributes:
        segments: of the snapshot.
        projection: the state of every trace at the snapshot.
    """

    def __init__(self, log: EventLog, segments: Collection[Digest], parts: OpenParts) -> None:
        """Fold the segments.

        Args:
            log: Where the payloads are.
            segments: Of the snapshot.
            parts: The open files; the caller closes them.
        """
        self._log = log
        self.segments = segments
        self.projection = project(log, segments)
        self._forgotten = redacted_since(log, segments)
        self._parts = parts

    def close(self) -> None:
        """Free the projection."""
        self.projection.close()

    def read(self, traces: Iterable[Digest]) -> Iterator[tuple[TraceState, bytes | None]]:
        """Yield the states of members and their payloads; None for a redacted one.

        Args:
            traces: The members, in ascending order of their ids.

        Raises:
            DamagedError: An id is not the digest of its payload, or the snapshot does not record
                the trace.
        """
        asked, traces = itertools.tee(traces)
        states = self.projection.states_by_id(traces)
        for trace, state in zip(asked, states, strict=True):
            if state is None or state.location is None:
                raise not_recorded(self._log, trace)
            if state.redacted or not state.kept or trace in self._forgotten:
                yield state, None
                continue
            payload = self._parts.read(state.location)
            if digest_bytes(payload) == trace:
                yield state, payload
            else:  # redacted meanwhile, or damaged: this determines which
                yield state, read_payload(self._log, state)


def not_recorded(log: EventLog, trace: Digest) -> DamagedError:
    """Return the error for a member that its snapshot does not record."""
    path = log.layout.relative(log.layout.log)
    problem = (
        "A member of the dataset is not recorded by the segments of its snapshot, or the "
        "members are not in ascending order."
    )
    return DamagedError(Finding(path, problem, expected=trace, found="no event"))


class OpenParts:
    """The parts that were read last, kept open: members are in the log in any order."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._files: dict[tuple[Digest, str], int] = {}

    def close(self) -> None:
        """Close every file."""
        for file in self._files.values():
            os.close(file)
        self._files.clear()

    def read(self, at: Location) -> bytes:
        """Return the bytes at a place, unchecked."""
        return os.pread(self.file((at.segment, at.part)), at.length, at.offset)

    def file(self, part: tuple[Digest, str]) -> int:
        """Return the descriptor of a part, valid until the next call."""
        file = self._files.get(part)
        if file is None:
            if len(self._files) >= _OPEN_PARTS:
                os.close(self._files.pop(next(iter(self._files))))
            file = open_descriptor(self._log.layout.segment(part[0]) / part[1])
            self._files[part] = file
        return file


def _damaged(
    log: EventLog, trace: Digest, segment: Digest, part: str, line: int | None = None
) -> DamagedError:
    path = log.layout.relative(log.layout.segment(segment) / part)
    problem = "The payload is not the one that the trace id is a digest of."
    return DamagedError(Finding(path, problem, line=line, expected=trace))
