"""Where the payloads of traces are, in ascending order of ids, from one pass over the log.

An export needs the place of each first recording and the redactions, and nothing else of the fold
in :mod:`tunixrt.traces.state`. Each recording is a record of fixed size whose bytes sort by id and
then by place in the log. Records are sorted in runs; all runs but a single one are in a temporary
file, so that memory does not grow with the log.
"""

from __future__ import annotations

import heapq
import itertools
import os
import tempfile
from binascii import unhexlify
from hashlib import sha256
from struct import Struct
from typing import IO, TYPE_CHECKING, Final, Protocol, Self, TypeVar

import msgspec

from tunixrt.log.digests import from_raw, raw_of
from tunixrt.log.segment.events import NULL, RECORDED, REDACTED, decode_envelope, recorded_by_all
from tunixrt.log.segment.reader import checked_envelope, part_lines
from tunixrt.traces.conversation import CONVERSATION_VERSION
from tunixrt.traces.payloads import OpenParts, not_recorded, read_payload, redacted_since
from tunixrt.traces.spill import SpillError
from tunixrt.traces.state import TraceState
from tunixrt.traces.state_table import Location

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

    from tunixrt.log.digests import Digest
    from tunixrt.log.eventlog import EventLog

#: Id, place in the log, part, offset and length of the payload, length of the envelope, flags.
_RECORD: Final = Struct(">32sQIQIHB")
_RUN: Final = 200_000
_READ_AT_ONCE: Final = 2_000

_KEPT: Final = 1
_CONVERSATION: Final = 2
_TOOLS_FLAG: Final = 4

#: The envelope of a recording without a time; all other lines are decoded.
_BEGINS: Final = b'{"payload":"sha256:'
_ENDS: Final = b'","type":"trace.recorded"}'
_AT: Final = len(_BEGINS)
_UNTIL: Final = _AT + 64
_PLAIN: Final = _UNTIL + len(_ENDS)

_CONVERSATION_ENDS: Final = f'"trace_version":"{CONVERSATION_VERSION}"}}'.encode()
_TOOLS: Final = b',"tools":['


class _Member(Protocol):
    @property
    def trace(self) -> Digest: ...


M = TypeVar("M", bound=_Member)


class Recorded(msgspec.Struct, frozen=True, gc=False):
    """The first recording of a trace: where its payload is."""

    raw: bytes
    place: int
    part: int
    offset: int
    length: int
    envelope_length: int
    flags: int

    @property
    def is_conversation(self) -> bool:
        """Return whether it is of schema 1.1."""
        return bool(self.flags & _CONVERSATION)

    @property
    def may_have_tools(self) -> bool:
        """Return whether it may be a conversation that offers tools; False is certain."""
        return bool(self.flags & _TOOLS_FLAG)


class Recordings:
    """The first recordings of a set of segments by id, and what is redacted.

    Attributes:
        forgotten: the ids of all redacted traces, also of those that later segments redact.
        has_conversations: whether any recording is of schema 1.1.
    """

    def __init__(self, log: EventLog, segments: Collection[Digest]) -> None:
        """Read the log once.

        Raises:
            DamagedError: a segment is damaged or missing.
            SpillError: the temporary file cannot be written.
        """
        self._log = log
        self._parts: list[tuple[Digest, str]] = []
        self._open = OpenParts(log)
        self._run: list[bytes] = []
        self._spilled: list[tuple[int, int]] = []
        self._file: IO[bytes] | None = None
        self.has_conversations = False
        self.forgotten = {raw_of(trace) for trace in redacted_since(log, segments)}
        try:
            place = 0
            for ref in log.selected(segments):
                for part in ref.header.parts:
                    self._parts.append((ref.digest, part.name))
                    self._scan(ref.path / part.name, part_lines(ref.path, part), place)
                    place += part.n_events
                    if len(self._run) >= _RUN:
                        self._spill()
            self._run.sort()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every file."""
        self._open.close()
        if self._file is not None:
            self._file.close()

    def by_id(self) -> Iterator[Recorded]:
        """Yield the recordings in ascending order of ids."""
        last = b""
        for record in self._sorted():
            if record[:32] != last:
                yield Recorded(*_RECORD.unpack(record))
            last = record[:32]

    def of(self, members: Iterable[M]) -> Iterator[tuple[M, Recorded]]:
        """Yield members, which are in ascending order of their traces, with their recordings.

        Raises:
            DamagedError: a member is not recorded, or they are in another order.
        """
        in_order = self._sorted()
        for member in members:
            raw = _raw(member.trace)
            for record in in_order if raw else ():
                # Of several recordings of one trace the first counts: the others come next and
                # are less than the next member.
                if record.startswith(raw):
                    yield member, Recorded(*_RECORD.unpack(record))
                    break
                if record > raw:
                    raise not_recorded(self._log, member.trace)
            else:
                raise not_recorded(self._log, member.trace)

    def read(self, members: Iterable[M]) -> Iterator[tuple[M, Recorded, bytes | None]]:
        """Yield members as `of` does, with their canonical payloads; None for a redacted one.

        Raises:
            DamagedError: as for `of`, or a trace id is not the digest of its payload.
        """
        forgotten, parts, descriptor, pread = self.forgotten, self._parts, self._open.file, os.pread
        for member, found in self.of(members):
            if not found.flags & _KEPT or found.raw in forgotten:
                yield member, found, None
                continue
            payload = pread(descriptor(parts[found.part]), found.length, found.offset)
            if sha256(payload).digest() == found.raw:
                yield member, found, payload
            else:
                yield member, found, self._read_again(found)

    def _read_again(self, found: Recorded) -> bytes | None:
        """Read a payload that is not what it was: redacted meanwhile, or damaged."""
        at = Location(*self._parts[found.part], found.offset, found.length)
        state = TraceState(id=from_raw(found.raw), location=at, kept=True, labels={}, scores={})
        return read_payload(self._log, state)

    def _sorted(self) -> Iterator[bytes]:
        runs = [self._run, *itertools.starmap(self._read_run, self._spilled)]
        return iter(self._run) if len(runs) == 1 else heapq.merge(*runs)

    def recorded_at(self, found: Recorded) -> str | None:
        """Return the time of a recording; None if none was given."""
        if not found.envelope_length:
            return None
        file = self._open.file(self._parts[found.part])
        at = found.offset - found.envelope_length - 1
        return decode_envelope(os.pread(file, found.envelope_length, at)).recorded_at

    def _scan(self, path: Path, lines: list[bytes], place: int) -> None:
        # Nearly every part has nothing but recordings without times, and is known at once.
        traces = recorded_by_all(lines[::2]) if lines else None
        if traces is not None:
            self._scan_plain(traces, lines[1::2], len(lines[0]) + 1, place)
            return
        add, pack, number = self._run.append, _RECORD.pack, len(self._parts) - 1
        offset, first, seen = 0, place, 0
        for line, body in zip(lines[::2], lines[1::2], strict=True):
            size = len(line)
            offset += size + 1
            raw = _plain_recording(line) if size == _PLAIN else None
            length = 0
            if raw is None:
                raw, length = self._unusual(line, path, 2 * (place - first) + 1), size
            if raw is not None:
                flags = _flags(body)
                seen |= flags
                add(pack(raw, place, number, offset, len(body), length, flags))
            place += 1
            offset += len(body) + 1
        self.has_conversations |= bool(seen & _CONVERSATION)

    def _scan_plain(self, traces: bytes, bodies: list[bytes], before: int, place: int) -> None:
        add, pack, number, flags_of = self._run.append, _RECORD.pack, len(self._parts) - 1, _flags
        offset, at, seen = before, 0, 0
        for body in bodies:
            size, flags = len(body), flags_of(body)
            seen |= flags
            add(pack(traces[at : at + 32], place, number, offset, size, 0, flags))
            place += 1
            at += 32
            offset += size + 1 + before
        self.has_conversations |= bool(seen & _CONVERSATION)

    def _unusual(self, line: bytes, path: Path, number: int) -> bytes | None:
        """Return the trace of any other recording; remember a redaction."""
        envelope = checked_envelope(line, path, number)
        if envelope.type == REDACTED and envelope.trace is not None:
            self.forgotten.add(raw_of(envelope.trace))
        if envelope.type != RECORDED:
            return None
        return None if envelope.payload is None else raw_of(envelope.payload)

    def _spill(self) -> None:
        """Write the run to the temporary file, sorted."""
        self._run.sort()
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
            at = self._file.seek(0, os.SEEK_END)
            self._file.write(b"".join(self._run))
            self._file.flush()
        except OSError as error:
            raise SpillError(error) from error
        self._spilled.append((at, len(self._run)))
        self._run.clear()

    def _read_run(self, at: int, n: int) -> Iterator[bytes]:
        assert self._file is not None
        size = _RECORD.size
        for first in range(0, n, _READ_AT_ONCE):
            n_now = min(_READ_AT_ONCE, n - first)
            data = os.pread(self._file.fileno(), n_now * size, at + first * size)
            yield from (data[i : i + size] for i in range(0, len(data), size))


def _raw(trace: Digest) -> bytes:
    """Return the bytes of a digest; none if it is not one."""
    try:
        raw = raw_of(trace)
    except ValueError:
        return b""
    return raw if len(raw) == 32 else b""


def _flags(body: bytes) -> int:
    """Return the flags of a payload line."""
    if body.endswith(_CONVERSATION_ENDS):
        return _KEPT | _CONVERSATION | (_TOOLS_FLAG if _TOOLS in body else 0)
    return 0 if body == NULL else _KEPT


def _plain_recording(line: bytes) -> bytes | None:
    """Return the trace of a line of the usual length; None if it is anything else."""
    if line.startswith(_BEGINS) and line.endswith(_ENDS):
        try:
            return unhexlify(line[_AT:_UNTIL])
        except ValueError:
            pass
    return None
