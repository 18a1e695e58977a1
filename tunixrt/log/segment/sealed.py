"""Sealed segments: one import or one writer's batch each, named by the digest of their header.

The names that other layers use; the modules behind them have one task each.
"""

from __future__ import annotations

from tunixrt.log.segment.events import (
    MAX_PAYLOAD_BYTES,
    RECORDED,
    REDACTED,
    Envelope,
    EventError,
    StoredEvent,
)
from tunixrt.log.segment.header import (
    HEADER_NAME,
    SEGMENT_FORMAT,
    DamagedError,
    PartHeader,
    SegmentHeader,
    read_header,
)
from tunixrt.log.segment.reader import read_segment
from tunixrt.log.segment.verifier import verify_segment
from tunixrt.log.segment.writer import MAX_PART_BYTES, SegmentWriter

__all__ = [
    "HEADER_NAME",
    "MAX_PART_BYTES",
    "MAX_PAYLOAD_BYTES",
    "RECORDED",
    "REDACTED",
    "SEGMENT_FORMAT",
    "DamagedError",
    "Envelope",
    "EventError",
    "PartHeader",
    "SegmentHeader",
    "SegmentWriter",
    "StoredEvent",
    "read_header",
    "read_segment",
    "verify_segment",
]
