"""One event: an envelope with what happened, and a payload that it names by digest.

An envelope is small and never changes; a payload may be redacted. The layers above
define what a type means.
"""

from __future__ import annotations

import re
from binascii import unhexlify
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from tunixrt.errors import BadInputError
from tunixrt.log.canonical import encode
from tunixrt.log.digests import Digest, from_raw, is_digest

if TYPE_CHECKING:
    from collections.abc import Sequence

RECORDED = "trace.recorded"
REDACTED = "trace.redacted"

NULL = b"null"
"""The payload line of an event that has none, or whose payload has been redacted."""

MAX_PAYLOAD_BYTES = 32 * 1024 * 1024
"""The largest canonical payload, in bytes."""

_TYPE = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{1,9})?Z", re.ASCII)


class EventError(BadInputError):
    """An event that does not fit the format."""


class Envelope(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False
):
    """What happened, without the content.

    Attributes:
        type: A past-tense fact such as ``trace.recorded``: lower-case words joined by dots.
        payload: The SHA-256 of the payload; for ``trace.recorded`` that is the trace id.
        trace: The trace that the event is about, for other events than its recording.
        recorded_at: RFC 3339 in UTC, ending in Z; only where it was given.
    """

    type: str
    payload: Digest | None = None
    trace: Digest | None = None
    recorded_at: str | None = None


class StoredEvent(msgspec.Struct, frozen=True, gc=False):
    """An event as it was read from a sealed segment.

    Attributes:
        envelope: Its envelope.
        payload: The bytes of its payload (canonical JSON), or None if redacted or absent.
        segment: The segment that holds it.
        position: Its place in the segment, counted from 0.
        part: The name of the part file.
        line: The line of the envelope in the part, counted from 1; the payload is on the next.
        offset: Where the payload line begins in the part, in bytes.
        length: The length of the payload line without its line feed, in bytes.
    """

    envelope: Envelope
    payload: bytes | None
    segment: Digest
    position: int
    part: str
    line: int
    offset: int
    length: int


decode_envelope = msgspec.json.Decoder(Envelope).decode

# An envelope holds text under ASCII keys and nothing else, so msgspec's bytes are RFC 8785's.
encode_envelope = msgspec.json.Encoder(order="sorted").encode


_RECORDING_BEGINS = b'{"payload":"'
_RECORDING_ENDS = b'","type":"trace.recorded"}'
_DIGEST_BEGINS = b"sha256:"
_N_BEFORE_HEX = len(_RECORDING_BEGINS) + len(_DIGEST_BEGINS)
_N_BEFORE_END = _N_BEFORE_HEX + 64


def recording_line(trace: Digest) -> bytes:
    """Return the envelope of a recording without a time: nearly every line of a log is one."""
    return b"%b%b%b" % (_RECORDING_BEGINS, trace.encode(), _RECORDING_ENDS)


def recorded_by(line: bytes) -> Digest | None:
    """Return the trace of such a line; None for any other line, also for one with a bad digest."""
    try:
        trace = from_raw(unhexlify(line[_N_BEFORE_HEX:_N_BEFORE_END]))
    except ValueError:
        return None
    return trace if recording_line(trace) == line else None


def recorded_by_all(lines: Sequence[bytes]) -> bytes | None:
    """Return the traces of such lines, 32 bytes each; None if one line is of another kind.

    The same answer as `recorded_by` for each line, in a few operations for all of them.
    """
    digits = [line[_N_BEFORE_HEX:_N_BEFORE_END] for line in lines]
    between = b"%b\n%b%b" % (_RECORDING_ENDS, _RECORDING_BEGINS, _DIGEST_BEGINS)
    expected = (between.join([b"", *digits, b""])).removeprefix(_RECORDING_ENDS + b"\n")
    found = b"".join([line + b"\n" for line in lines])
    if found + _RECORDING_BEGINS + _DIGEST_BEGINS != expected:
        return None
    whole = b"".join(digits)
    try:
        raw = unhexlify(whole)
    except ValueError:
        return None
    # Upper-case digits are read alike, and are not canonical.
    same = raw.hex().encode() == whole and len(raw) == 32 * len(lines)
    return raw if same else None


def envelope_problem(envelope: Envelope) -> str | None:
    """Return a sentence about what is wrong with the fields of an envelope, or None."""
    if not _is_type(envelope.type):
        return f"The event type {encode(envelope.type).decode()} is not lower-case words and dots."
    if envelope.payload is not None and not is_digest(envelope.payload):
        return "The field `payload` is not a digest."
    if envelope.trace is not None and not is_digest(envelope.trace):
        return "The field `trace` is not a digest."
    if envelope.recorded_at is not None and not is_time(envelope.recorded_at):
        return "The field `recorded_at` is not a time in UTC such as 2026-01-31T12:00:00Z."
    return None


@lru_cache(maxsize=256)
def _is_type(text: str) -> bool:
    return len(text) <= 64 and _TYPE.fullmatch(text) is not None


@lru_cache(maxsize=256)
def is_time(text: str) -> bool:
    """Return whether a text is an RFC 3339 time in UTC, with Z and at most nanoseconds."""
    match = _TIME.fullmatch(text)
    if match is None:
        return False
    try:
        datetime.fromisoformat(match[1] + "Z")
    except ValueError:
        return False
    return True
