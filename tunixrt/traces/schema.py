"""The reasoning trace: schema 1.0 with its limits, and payload and id of both schemas.

`Trace` is schema 1.0; a conversation (:mod:`tunixrt.traces.conversation`) is schema 1.1, and
`AnyTrace` is either of them.

A trace id is the SHA-256 of the canonical payload: RFC 8785 JSON of all fields, the steps in the
order of ``i``, an absent ``meta`` as ``{}``. It depends on nothing else, so the same trace has the
same id in every store. Lengths are counted in Unicode code points; text is not normalised.
"""

from __future__ import annotations

import contextlib
from typing import Annotated, Any

import msgspec

from tunixrt.log.canonical import MAX_INTEGER, CanonicalError, decode_canonical, encode
from tunixrt.log.digests import Digest, digest_bytes
from tunixrt.traces.conversation import (
    CONVERSATION_VERSION,
    Conversation,
    conversation_of,
    is_conversation,
)
from tunixrt.traces.violations import TraceError, Violation, violations

TRACE_VERSION = "1.0"

#: A canonical payload above this is rejected: it could not be stored as one event.
MAX_PAYLOAD_BYTES = 32 * 1024 * 1024

_Text64 = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
_Text20k = Annotated[str, msgspec.Meta(min_length=1, max_length=20_000)]
_Text50k = Annotated[str, msgspec.Meta(min_length=1, max_length=50_000)]
_Index = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]


class TraceStep(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One step: its index (unique in the trace), its type, its text."""

    i: _Index
    type: _Text64
    content: _Text20k


class Trace(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A prompt, the steps that reason about it, the final answer, and free metadata."""

    trace_version: _Text64
    prompt: _Text50k
    steps: Annotated[tuple[TraceStep, ...], msgspec.Meta(min_length=1, max_length=1_000)]
    final_answer: _Text50k
    meta: dict[str, Any] = msgspec.field(default_factory=dict)


AnyTrace = Trace | Conversation

_DECODER = msgspec.json.Decoder(Trace)
_CONVERSATION_DECODER = msgspec.json.Decoder(Conversation)
#: The end of the canonical payload of a conversation; its keys are sorted.
_CONVERSATION_END = f'"trace_version":"{CONVERSATION_VERSION}"}}'.encode()
_encode = msgspec.json.Encoder(order="sorted").encode
_TEXT = frozenset({str})


def any_trace_of(value: object) -> AnyTrace:
    """Return the trace or the conversation of a decoded JSON value, checked.

    Raises:
        TraceError: The value is neither; the message names the field, what was expected and what
            was found.
    """
    if isinstance(value, dict) and is_conversation(value):
        return conversation_of(value)
    return trace_of(value)


def trace_of(value: object) -> Trace:
    """Return the trace of schema 1.0 of a decoded JSON value, checked.

    ``meta`` may be absent or null; both mean no metadata.

    Raises:
        TraceError: The value is not a trace; the message names the field, what was expected
            and what was found.
    """
    if isinstance(value, dict) and value.get("meta", ...) is None:
        value = {key: item for key, item in value.items() if key != "meta"}
    try:
        trace = msgspec.convert(value, Trace)
    except msgspec.ValidationError as error:
        raise TraceError(_why_not(value, str(error))) from error
    if len({step.i for step in trace.steps}) != len(trace.steps):
        raise TraceError(_why_not(value, "two steps have one index"))
    return trace


def _why_not(value: object, otherwise: str) -> Violation:
    """Return the first fault of a record, in the order of the schema.

    ``otherwise`` is for values that no JSON text holds (keys that are not text).
    """
    other = Violation(None, "a trace", otherwise, f"The record is not a trace: {otherwise}.")
    return next(violations(value), other)


def payload_of(trace: AnyTrace) -> bytes:
    """Return the canonical payload: the bytes that are stored, whose digest is the trace id.

    Raises:
        TraceError: The payload is above 32 MiB.
        CanonicalError: It holds a value without a canonical JSON form.
    """
    if isinstance(trace, Conversation):
        payload = canonical_conversation(trace)
    else:
        indices = [step.i for step in trace.steps]
        if indices != sorted(indices):
            trace = msgspec.structs.replace(trace, steps=in_order(trace.steps))
        payload = canonical_trace(trace)
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise TraceError(
            Violation(
                field=None,
                expected=f"a canonical payload of at most {MAX_PAYLOAD_BYTES:,} bytes (32 MiB)",
                found=f"{len(payload):,} bytes",
                sentence=(
                    f"The trace has a canonical payload of {len(payload):,} bytes; at most "
                    f"{MAX_PAYLOAD_BYTES:,} bytes (32 MiB) can be stored."
                ),
            )
        )
    return payload


def canonical_trace(trace: Trace) -> bytes:
    """Return the canonical JSON of a trace, its steps in their given order.

    Raises:
        CanonicalError: It holds something that canonical JSON cannot say.
    """
    return encode_around(trace.meta, trace)


def canonical_conversation(conversation: Conversation) -> bytes:
    """Return the canonical JSON of a conversation.

    Raises:
        CanonicalError: It holds something that canonical JSON cannot say.
    """
    # Tools and the arguments of their calls hold free-form values, as metadata does.
    if conversation.offered_tools:
        return encode(conversation)
    for message in conversation.messages:  # a loop takes half the time of any()
        if message.calls:
            return encode(conversation)
    return encode_around(conversation.meta, conversation)


def encode_around(meta: dict[str, Any], value: object) -> bytes:
    """Return the canonical JSON of a value in which only ``meta`` is free-form.

    Args:
        meta: The part that may hold any numbers, and keys in any script.
        value: What holds it; its other numbers are small integers, its other keys ASCII.

    Raises:
        CanonicalError: It holds something that canonical JSON cannot say.
    """
    # If it holds only text, msgspec's bytes are RFC 8785's; ASCII keys have only one order.
    if not _has_only_text(meta):
        return encode(value)
    try:
        data = _encode(value)
    except ValueError:
        return encode(value)  # the exact writer has the message
    return data if len(meta) < 2 or data.isascii() else encode(value)


def _has_only_text(meta: dict[str, Any]) -> bool:
    return _TEXT.issuperset(map(type, meta.values()))


def in_order(steps: tuple[TraceStep, ...]) -> tuple[TraceStep, ...]:
    """Return the steps sorted by their index ``i``."""
    return tuple(sorted(steps, key=lambda step: step.i))


def trace_id(payload: bytes) -> Digest:
    """Return the id of the trace with this canonical payload."""
    return digest_bytes(payload)


def parse_payload(payload: bytes) -> AnyTrace:
    """Return the trace or the conversation of a stored canonical payload.

    Raises:
        TraceError: The bytes are not the payload of either.
    """
    try:
        if payload.endswith(_CONVERSATION_END):
            # Schema 1.0 takes any text as its version, this one too.
            with contextlib.suppress(msgspec.ValidationError):
                return _parse_conversation(payload)
        trace = _DECODER.decode(payload)
        if not _has_only_text(trace.meta) and _has_wide_integer(trace.meta):
            return msgspec.convert(decode_canonical(payload), Trace)
    except (msgspec.MsgspecError, UnicodeDecodeError, CanonicalError) as error:
        raise TraceError(
            Violation(
                field=None,
                expected="the canonical payload of a trace",
                found=str(error),
                sentence=f"A stored payload is not that of a trace: {error}.",
            )
        ) from error
    return trace


def _parse_conversation(payload: bytes) -> AnyTrace:
    conversation = _CONVERSATION_DECODER.decode(payload)
    free = [conversation.meta, *conversation.offered_tools]
    for message in conversation.messages:
        free += [call.arguments for call in message.calls]
    if not all(map(_has_only_text, free)) and any(map(_has_wide_integer, free)):
        return msgspec.convert(decode_canonical(payload), Conversation)
    return conversation


def _has_wide_integer(value: object) -> bool:
    """Return whether a value holds an integer that must be the canonical form of a double."""
    match value:
        case int():
            return abs(value) > MAX_INTEGER
        case dict():
            return any(_has_wide_integer(item) for item in value.values())
        case list():
            return any(map(_has_wide_integer, value))
        case _:
            return False
