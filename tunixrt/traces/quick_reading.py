"""Reading a line as a trace in one go, where that is sure to be what the strict reader says.

The strict reader decodes a line to plain values, proves that nothing was lost on the way, and
checks the values field by field. Here the typed decoder checks the fields as it reads, and the
proof is made on bytes. Whatever cannot be proved cheaply is left to the strict reader, and so is
everything that is wrong: it has the sentences. A property test holds the two to the same answer.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

from tunixrt.log.canonical import CanonicalError
from tunixrt.traces.schema import MAX_PAYLOAD_BYTES, Trace, canonical_trace, trace_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunixrt.log.digests import Digest
    from tunixrt.traces.schema import TraceStep

    QuickAnswer = tuple[bytes, Digest, int]

_decode = msgspec.json.Decoder(Trace).decode
_META_KEY: Final = re.compile(rb'"meta"[ \t\r\n]*:')


def quick_trace(line: bytes) -> tuple[Trace, bytes] | None:
    """The trace of a line and its canonical payload; None where only the strict reader can say."""
    try:
        trace = _decode(line)
        payload = canonical_trace(trace)
    except (msgspec.MsgspecError, CanonicalError, ValueError, RecursionError):
        return None
    if not _ascend(trace.steps) or len(payload) > MAX_PAYLOAD_BYTES:
        return None
    # A key that stands twice is read once. A line that says what its payload says, byte for byte,
    # has no such key; in another order, or with blanks, it has as many quotation marks.
    if payload != line and not _has_the_quotes_of(line, payload, trace):
        return None
    return trace, payload


def quick_batch(lines: Sequence[bytes]) -> list[QuickAnswer] | None:
    """What `quick_trace` says of all of these lines; None where it leaves one to the strict reader.

    Returns:
        Of each line the payload, the id of the trace and the number of its steps.
    """
    answers: list[QuickAnswer] = []
    for line in lines:
        found = quick_trace(line)
        if found is None:
            return None
        trace, payload = found
        answers.append((payload, trace_id(payload), len(trace.steps)))
    return answers


def _ascend(steps: tuple[TraceStep, ...]) -> bool:
    """Whether the indices are in order, and so none of them is there twice."""
    before = -1
    for step in steps:
        if step.i <= before:
            return False
        before = step.i
    return True


def _has_the_quotes_of(line: bytes, payload: bytes, trace: Trace) -> bool:
    """Whether the line has as many quotation marks as the payload, so that no key stands twice.

    One that is read once loses at least its own two; every other one stays one, escaped or not,
    unless it was written as an escape of six characters.
    """
    n_quotes = payload.count(b'"')
    if not trace.meta and not _META_KEY.search(line):
        n_quotes -= 2  # the payload says `"meta":{}`, and the line does not
    return line.count(b'"') == n_quotes and b"\\u0022" not in line
