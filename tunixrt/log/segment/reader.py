"""Reads a sealed segment, with one part in memory at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from tunixrt.log.digests import Digest, from_hex
from tunixrt.log.findings import Finding
from tunixrt.log.segment.events import (
    MAX_PAYLOAD_BYTES,
    NULL,
    RECORDED,
    Envelope,
    StoredEvent,
    decode_envelope,
    envelope_problem,
    recorded_by,
    recorded_by_all,
)
from tunixrt.log.segment.header import (
    HEADER_NAME,
    DamagedError,
    PartHeader,
    SegmentHeader,
    place_of,
    read_header,
)
from tunixrt.log.stored import open_stored

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

MAX_PART_FILE_BYTES = MAX_PAYLOAD_BYTES + 64 * 1024
"""The largest part: one event with the largest payload and its envelope. Checked before a part is
read, so that a damaged file cannot fill the memory."""


_CONFLICT = b"<<<<<<<"  # no line of a part begins so


def read_segment(directory: Path, header: SegmentHeader | None = None) -> Iterator[StoredEvent]:
    """Yield the events of a sealed segment in their order.

    The header is checked against the name; of the parts, the shape is checked and no digest
    (``verify_segment`` checks those).

    Args:
        directory: ``store/log/<2 hex>/<64 hex>``.
        header: Its header, where that has been read; it never changes.

    Raises:
        DamagedError: If the header or the shape of a part is damaged.
    """
    if header is None:
        header = read_header(directory / HEADER_NAME)
    segment = from_hex(directory.name)
    position = 0
    for part in header.parts:
        yield from read_part(directory, part, segment, position)
        position += part.n_events


class Recordings(NamedTuple):
    """The recordings of a part that holds nothing else.

    ``traces`` has the ids, 32 bytes each; ``payloads`` the payload lines, in the same order, and
    ``n_envelope_bytes`` how long each line before one is, with its line feed.
    """

    traces: bytes
    payloads: list[bytes]
    n_envelope_bytes: int


def read_recordings(directory: Path, part: PartHeader) -> Recordings | None:
    """Return the recordings of a part; None if it holds other events, or recordings with times.

    Nearly every part of a large log is of this kind, and an object per event is most of the time
    that reading it takes.

    Raises:
        DamagedError: If the shape of the part is damaged.
    """
    lines, finding = read_lines(directory / part.name, part.n_events)
    if finding is not None:
        raise DamagedError(finding)
    traces = recorded_by_all(lines[::2]) if lines else None
    return None if traces is None else Recordings(traces, lines[1::2], len(lines[0]) + 1)


def read_events_of(
    directory: Path, header: SegmentHeader, *event_types: str
) -> Iterator[StoredEvent]:
    """Yield the events of some types, in their order.

    Parts that hold no such event are read as bytes and not parsed; faults in them are not found.

    Args:
        directory: ``store/log/<2 hex>/<64 hex>``.
        header: Its header.
        event_types: The types.

    Raises:
        DamagedError: If the shape of a part that holds such events is damaged.
    """
    # As in every canonical envelope of these types.
    markers = [b'"type":"%b"' % event_type.encode() for event_type in event_types]
    segment = from_hex(directory.name)
    position = 0
    for part in header.parts:
        if _may_hold(directory / part.name, markers):
            for event in read_part(directory, part, segment, position):
                if event.envelope.type in event_types:
                    yield event
        position += part.n_events


def _may_hold(path: Path, markers: Sequence[bytes]) -> bool:
    try:
        with open_stored(path) as file:
            data = file.read(MAX_PART_FILE_BYTES + 1)
        return any(marker in data for marker in markers)
    except OSError:
        return True  # reading the part reports what is wrong


def read_part(
    directory: Path, part: PartHeader, segment: Digest, position: int
) -> Iterator[StoredEvent]:
    """Yield the events of one part; the first is at this position of its segment.

    Raises:
        DamagedError: If the shape of the part is damaged.
    """
    path = directory / part.name
    lines = part_lines(directory, part)
    name = part.name
    offset = 0
    for index in range(0, 2 * part.n_events, 2):
        line, body = lines[index], lines[index + 1]
        trace = recorded_by(line)
        if trace is not None:
            envelope = Envelope(RECORDED, trace)
        else:
            envelope = checked_envelope(line, path, index + 1)
        offset += len(line) + 1
        yield StoredEvent(
            envelope,
            None if body == NULL else body,
            segment,
            position + index // 2,
            name,
            index + 1,
            offset,
            len(body),
        )
        offset += len(body) + 1


def part_lines(directory: Path, part: PartHeader) -> list[bytes]:
    """Return the lines of a part without line feeds: an envelope, its payload, and so on.

    Raises:
        DamagedError: If the shape of the part is damaged.
    """
    lines, finding = read_lines(directory / part.name, part.n_events)
    if finding is not None:
        raise DamagedError(finding)
    return lines


def checked_envelope(line: bytes, path: Path, number: int) -> Envelope:
    """Return the envelope of a line of a part.

    Raises:
        DamagedError: If it is not one.
    """
    try:
        envelope = decode_envelope(line)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise DamagedError(bad_envelope(place_of(path, path.parent), number, error)) from None
    problem = envelope_problem(envelope)
    if problem is not None:
        raise DamagedError(Finding(place_of(path, path.parent), problem, line=number))
    return envelope


def read_lines(path: Path, n_events: int) -> tuple[list[bytes], Finding | None]:
    """Return the lines of a part, without line feeds.

    Returns:
        The lines, as far as there are any, and what is wrong with their number, if anything.
    """
    try:
        with open_stored(path) as file:
            data = file.read(MAX_PART_FILE_BYTES + 1)
    except OSError as error:
        problem = f"The part cannot be read: {error.strerror}."
        return [], Finding(place_of(path, path.parent), problem)
    if len(data) > MAX_PART_FILE_BYTES:
        return [], Finding(
            place_of(path, path.parent),
            f"The part is larger than any part may be, {MAX_PART_FILE_BYTES} bytes.",
        )
    foreign = _foreign(path, data)
    if foreign is not None:
        return [], foreign
    lines = data.split(b"\n")
    rest = lines.pop()
    if rest:
        lines.append(rest)
        problem = "The last line does not end in a line feed."
        return lines, Finding(place_of(path, path.parent), problem, line=len(lines))
    if len(lines) != 2 * n_events:
        return lines, Finding(
            place_of(path, path.parent),
            "The number of lines is not the one in the header.",
            expected=f"{2 * n_events} lines",
            found=f"{len(lines)} lines",
        )
    return lines, None


def _foreign(path: Path, data: bytes) -> Finding | None:
    """Return a finding for what another tool has put into a part."""
    if b"\r" in data:  # canonical JSON has none: in text it is escaped
        return Finding(
            place_of(path, path.parent),
            "There is a carriage return. In every line, it means that a tool has converted the "
            "line ends: `.gitattributes` must set `-text` for this file.",
            line=data.count(b"\n", 0, data.index(b"\r")) + 1,
        )
    if data.startswith(_CONFLICT) or b"\n" + _CONFLICT in data:
        return Finding(
            place_of(path, path.parent),
            "Git has left a merge conflict here, at a payload that one side has redacted: "
            "`tunixrt trace redact --sweep` joins the two sides.",
            line=1 + (b"\n" + data).partition(b"\n" + _CONFLICT)[0].count(b"\n"),
        )
    return None


def bad_envelope(place: str, line: int, error: Exception) -> Finding:
    """Return the finding for a line that cannot be read as an envelope."""
    return Finding(place, f"This is not the envelope of an event: {error}.", line=line)
