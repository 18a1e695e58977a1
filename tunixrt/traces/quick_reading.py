"""Reads a line as a trace in one pass, if the strict reader is certain to agree.

The strict reader decodes a line to plain values, proves that nothing was lost, and checks
the values field by field. Here the typed decoder checks the fields as it reads, and the
proof is made on bytes. Whatever cannot be proved cheaply is left to the strict reader, and so is
every fault: it has the messages. A property test checks the two against each other.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tunixrt.log.canonical import CanonicalError
from tunixrt.traces.conversation import Conversation, is_sound, without_defaults
from tunixrt.traces.schema import (
    MAX_PAYLOAD_BYTES,
    Trace,
    canonical_conversation,
    canonical_trace,
    trace_id,
)
from tunixrt.traces.views import n_steps_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tunixrt.log.digests import Digest
    from tunixrt.traces.schema import AnyTrace, TraceStep

    QuickAnswer = tuple[bytes, Digest, int]
    QuickReader = Callable[[bytes], QuickAnswer | None]

_decode = msgspec.json.Decoder(Trace).decode
_decode_conversation = msgspec.json.Decoder(Conversation).decode
_MESSAGES: Final = b'"messages"'
_N_FIRST: Final = 128
_META_KEY: Final = re.compile(rb'"meta"[ \t\r\n]*:')


def quick_trace(line: bytes) -> tuple[AnyTrace, bytes] | None:
    """Return the trace of a line and its canonical payload; None if the strict reader must."""
    # The first bytes tell most conversations: a search through every line takes a tenth of the time
    # that reading a trace takes, and a decoder that fails takes a tenth of reading a conversation.
    if line.find(_MESSAGES, 0, _N_FIRST) >= 0:
        return _quick_conversation(line)
    try:
        trace = _decode(line)
        payload = canonical_trace(trace)
    except (msgspec.MsgspecError, CanonicalError, ValueError, RecursionError):
        return _quick_conversation(line) if _MESSAGES in line else None
    if not _ascend(trace.steps) or len(payload) > MAX_PAYLOAD_BYTES:
        return None
    # A duplicate key is read once. A line that equals its payload byte for byte has no such key; in
    # another order, or with blanks, it has as many quotation marks.
    if payload != line and not _has_the_quotes_of(line, payload, trace.meta):
        return None
    return trace, payload


def _quick_conversation(line: bytes) -> tuple[Conversation, bytes] | None:
    try:
        read = _decode_conversation(line)
        conversation = without_defaults(read)
        payload = canonical_conversation(conversation)
    except (msgspec.MsgspecError, CanonicalError, ValueError, RecursionError):
        return None
    if not is_sound(read) or len(payload) > MAX_PAYLOAD_BYTES:
        return None
    if payload != line:
        n_omitted = sum(message.train is True for message in read.messages)
        if not _has_the_quotes_of(line, payload, read.meta, n_omitted):
            return None
    return conversation, payload


def quick_answer(line: bytes) -> QuickAnswer | None:
    """Return the payload of `quick_trace`, the id of the trace and the number of its steps."""
    found = quick_trace(line)
    if found is None:
        return None
    trace, payload = found
    n_steps = len(trace.steps) if isinstance(trace, Trace) else n_steps_of(trace)
    return payload, trace_id(payload), n_steps


def _ascend(steps: tuple[TraceStep, ...]) -> bool:
    """Return whether the indices ascend, and so are unique."""
    before = -1
    for step in steps:
        if step.i <= before:
            return False
        before = step.i
    return True


def _has_the_quotes_of(
    line: bytes, payload: bytes, meta: dict[str, Any], n_omitted: int = 0
) -> bool:
    """Return whether line and payload have as many quotation marks, so that no key is double.

    A duplicate key loses at least its own two; every other mark is kept, escaped or not, unless it
    was written as an escape of six characters, or belongs to one of ``n_omitted`` keys that the
    payload leaves out.
    """
    n_quotes = payload.count(b'"') + 2 * n_omitted
    if not meta:
        if not _META_KEY.search(line):
            n_quotes -= 2  # the payload has `"meta":{}`, and the line does not
        elif len(_META_KEY.findall(payload)) > 1:
            return False  # the key of the line may be one in the arguments of a tool call
    return line.count(b'"') == n_quotes and b"\\u0022" not in line
