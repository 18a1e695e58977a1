"""Reads a line as a trace in one pass, if the strict reader is certain to agree.

The strict reader decodes a line to plain values, proves that nothing was lost, and checks
the values field by field. Here the typed decoder checks the fields as it reads, and the
proof is made on bytes. Whatever cannot be proved cheaply is left to the strict reader, and so is
every fault: it has the messages. A property test checks the two against each other.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

from tunixrt.log.canonical import CanonicalError
from tunixrt.traces.schema import MAX_PAYLOAD_BYTES, Trace, canonical_trace, trace_id

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tunixrt.log.digests import Digest
    from tunixrt.traces.schema import TraceStep

    QuickAnswer = tuple[bytes, Digest, int]
    QuickReader = Callable[[bytes], QuickAnswer | None]

_decode = msgspec.json.Decoder(Trace).decode
_META_KEY: Final = re.compile(rb'"meta"[ \t\r\n]*:')


def quick_trace(line: bytes) -> tuple[Trace, bytes] | None:
    """Return the trace of a line and its canonical payload; None if the strict reader must."""
    try:
        trace = _decode(line)
        payload = canonical_trace(trace)
    except (msgspec.MsgspecError, CanonicalError, ValueError, RecursionError):
        return None
    if not _ascend(trace.steps) or len(payload) > MAX_PAYLOAD_BYTES:
        return None
    # A duplicate key is read once. A line that equals its payload byte for byte has no such key; in
    # another order, or with blanks, it has as many quotation marks.
    if payload != line and not _has_the_quotes_of(line, payload, trace):
        return None
    return trace, payload


def quick_answer(line: bytes) -> QuickAnswer | None:
    """Return the payload of `quick_trace`, the id of the trace and the number of its steps."""
    found = quick_trace(line)
    if found is None:
        return None
    trace, payload = found
    return payload, trace_id(payload), len(trace.steps)


def quick_batch(lines: Sequence[bytes], read: QuickReader) -> list[QuickAnswer] | None:
    """Return the answers of a quick reader for lines; None if one needs the strict reader."""
    answers: list[QuickAnswer] = []
    for line in lines:
        answer = read(line)
        if answer is None:
            return None
        answers.append(answer)
    return answers


def _ascend(steps: tuple[TraceStep, ...]) -> bool:
    """Return whether the indices ascend, and so are unique."""
    before = -1
    for step in steps:
        if step.i <= before:
            return False
        before = step.i
    return True


def _has_the_quotes_of(line: bytes, payload: bytes, trace: Trace) -> bool:
    """Return whether line and payload have as many quotation marks, so that no key is double.

    A duplicate key loses at least its own two; every other mark is kept, escaped or not, unless it
    was written as an escape of six characters.
    """
    n_quotes = payload.count(b'"')
    if not trace.meta and not _META_KEY.search(line):
        n_quotes -= 2  # the payload has `"meta":{}`, and the line does not
    return line.count(b'"') == n_quotes and b"\\u0022" not in line
