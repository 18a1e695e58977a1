"""The rows of the export format ``trace``, written and read back without loss.

A row of a trace of schema 1.0 is ``{"id", "prompts", "trace_steps", "trace_step_types",
"trace_step_indices", "final_answer", "metadata"}``; the first version had neither types nor
indices, and is also read. A row of a conversation is ``{"id", "messages", "tools", "final_answer",
"metadata"}``, without ``tools`` and ``final_answer`` where the conversation has none. The metadata,
which a file has as JSON text, holds the version of the trace, the time of its first recording where
one was given, and ``meta``. A key of ``meta`` with one of these two names, also after a ``meta.``
prefix, gets another ``meta.`` prefix.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tunixrt.log.canonical import CanonicalError, JsonValue, decode
from tunixrt.log.digests import is_digest
from tunixrt.log.exact_json import parse
from tunixrt.log.segment.events import is_time
from tunixrt.traces.conversation import CONVERSATION_VERSION, Conversation, conversation_of
from tunixrt.traces.schema import TRACE_VERSION, in_order, payload_of, trace_id, trace_of
from tunixrt.traces.violations import (
    MAX_STEPS,
    STEP_TEXTS,
    TextLimit,
    TraceError,
    describe,
    missing,
    text_violations,
    unknown_fields,
    wrong,
    wrong_kind,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunixrt.log.digests import Digest
    from tunixrt.traces.schema import AnyTrace, Trace
    from tunixrt.traces.violations import Violation

_OWN: Final = ("trace_version", "recorded_at")
_PREFIX: Final = "meta."
_FIELDS: Final = (
    "id",
    "prompts",
    "trace_steps",
    "trace_step_types",
    "trace_step_indices",
    "final_answer",
    "metadata",
    "split",
)
_CONTENTS: Final[tuple[str, ...]] = ("messages", "tools", "final_answer")
_CONVERSATION_FIELDS: Final = ("id", *_CONTENTS, "metadata", "split")
_PROMPT: Final = TextLimit("prompts", 50_000)
_ANSWER: Final = TextLimit("final_answer", 50_000)
_LONGEST_STEP: Final = next(limit.most for limit in STEP_TEXTS if limit.name == "content")
_STEPS_EXPECTED: Final = f"a list of 1 to {MAX_STEPS:,} texts"
_TIME_EXPECTED: Final = "a time in UTC as RFC 3339 writes it, or absent"

#: The type of the steps of a row without types.
STEP_TYPE: Final = "reason"


def trace_row(trace: AnyTrace, identity: Digest, recorded_at: str | None) -> dict[str, Any]:
    """Return a trace or a conversation as a row."""
    metadata: dict[str, Any] = {"trace_version": trace.trace_version}
    if recorded_at is not None:
        metadata["recorded_at"] = recorded_at
    for key, value in trace.meta.items():
        metadata[f"{_PREFIX}{key}" if _is_reserved(key) else key] = value
    if isinstance(trace, Conversation):
        return {"id": identity, **_contents_of(trace), "metadata": metadata}
    steps = in_order(trace.steps)
    return {
        "id": identity,
        "prompts": trace.prompt,
        "trace_steps": [step.content for step in steps],
        "trace_step_types": [step.type for step in steps],
        "trace_step_indices": [step.i for step in steps],
        "final_answer": trace.final_answer,
        "metadata": metadata,
    }


def _contents_of(conversation: Conversation) -> dict[str, Any]:
    whole = msgspec.to_builtins(conversation)
    for message in whole["messages"]:
        if "tool_calls" in message:
            message["tool_calls"] = list(message["tool_calls"])
    return {
        name: whole[name] if isinstance(whole[name], str) else list(whole[name])
        for name in _CONTENTS
        if name in whole
    }


def is_row(value: object) -> bool:
    """Return whether a JSON value is meant as a row."""
    if not isinstance(value, dict):
        return False
    if "messages" not in value:
        return "prompts" in value and "trace_steps" in value
    metadata = value.get("metadata")
    return isinstance(metadata, dict | str) and "trace_version" in metadata


def read_row(raw: bytes) -> tuple[AnyTrace, str | None]:
    """Return the trace of a row, and the time of its first recording if the row states one.

    A row with an id that is a digest must be the trace of that id, unless it is of the first
    version. So an exported trace is imported unchanged, and an edited one is not mistaken for it.
    The split of a row is not part of a trace.

    Raises:
        TraceError: It is not a row, or not that of its id.
        CanonicalError: It is not unambiguous JSON.
    """
    value, wide = _decoded(raw)
    if not isinstance(value, dict):
        raise TraceError(wrong_kind(value, "an object with the fields of an exported trace"))
    row: dict[str, Any] = dict(value)
    if isinstance(row.get("metadata"), str):  # JSON text; an object in rows of earlier versions
        row["metadata"], wide_too = _decoded(row["metadata"].encode())
        wide = wide or wide_too
    is_conversation = "messages" in row
    for violation in (_conversation_violations if is_conversation else _violations)(row):
        raise TraceError(violation)
    trace = conversation_of(_plain_conversation(row)) if is_conversation else _trace_of(row)
    is_proven = _check_identity(row, trace)
    if wide is not None and not is_proven:
        raise wide
    recorded_at = row.get("metadata", {}).get("recorded_at")
    return trace, recorded_at


def _decoded(raw: bytes) -> tuple[JsonValue, CanonicalError | None]:
    """Return a value, and why it is not unambiguous JSON, if it can be read all the same.

    An exported double such as 1e16 has the digits of an integer that input may not hold.
    """
    try:
        return decode(raw), None
    except CanonicalError as error:
        return parse(raw, stored=True), error


def _is_reserved(key: str) -> bool:
    while key.startswith(_PREFIX):
        key = key.removeprefix(_PREFIX)
    return key in _OWN


def _trace_of(row: dict[str, Any]) -> Trace:
    try:
        return trace_of(_plain(row))
    except TraceError as error:  # of a type or an index: the row has these in separate lists
        found = error.violation

        def renamed(text: str) -> str:
            text = re.sub(r"steps\[(\d+)\]\.type", r"trace_step_types[\1]", text)
            return re.sub(r"steps\[(\d+)\](\.i)?", r"trace_step_indices[\1]", text)

        raise TraceError(
            msgspec.structs.replace(
                found,
                field=found.field and renamed(found.field),
                sentence=renamed(found.sentence),
            )
        ) from None


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    contents = row["trace_steps"]
    types = row.get("trace_step_types", [STEP_TYPE] * len(contents))
    indices = row.get("trace_step_indices", range(len(contents)))
    return {
        "trace_version": row.get("metadata", {}).get("trace_version", TRACE_VERSION),
        "prompt": row["prompts"],
        "steps": [
            {"i": i, "type": kind, "content": content}
            for i, kind, content in zip(indices, types, contents, strict=True)
        ],
        "final_answer": row["final_answer"],
        "meta": _meta(row),
    }


def _plain_conversation(row: dict[str, Any]) -> dict[str, Any]:
    contents = {name: row[name] for name in _CONTENTS if name in row}
    return {"trace_version": CONVERSATION_VERSION, **contents, "meta": _meta(row)}


def _meta(row: dict[str, Any]) -> dict[str, Any]:
    return {
        key.removeprefix(_PREFIX) if _is_reserved(key) else key: item
        for key, item in row.get("metadata", {}).items()
        if key not in _OWN
    }


def _check_identity(row: dict[str, Any], trace: AnyTrace) -> bool:
    """Return whether the id proves the trace; a row of the first version proves nothing."""
    stated = row.get("id")
    is_whole = "trace_step_types" in row or "messages" in row
    if not is_whole or not isinstance(stated, str) or not is_digest(stated):
        return False
    found = trace_id(payload_of(trace))
    if found != stated:
        violation = wrong("id", f"the digest of the trace, {found}", describe(stated))
        sentence = (
            f"The row is not the trace that its id names: the id should be {found}, but is "
            f"{stated}. If the row was edited, remove the id to import it as another trace."
        )
        raise TraceError(msgspec.structs.replace(violation, sentence=sentence))
    return True


def _violations(row: dict[str, Any]) -> Iterator[Violation]:
    yield from unknown_fields(row, _FIELDS, "an exported trace")
    yield from text_violations(row, _PROMPT)
    yield from _steps_violations(row)
    yield from text_violations(row, _ANSWER)
    yield from _metadata_violations(row)


def _conversation_violations(row: dict[str, Any]) -> Iterator[Violation]:
    yield from unknown_fields(row, _CONVERSATION_FIELDS, "an exported conversation")
    yield from _metadata_violations(row)
    version = row.get("metadata", {}).get("trace_version", CONVERSATION_VERSION)
    if version != CONVERSATION_VERSION:
        expected = f'"{CONVERSATION_VERSION}", as the row has messages'
        yield wrong("metadata.trace_version", expected, describe(version))


def _metadata_violations(row: dict[str, Any]) -> Iterator[Violation]:
    metadata = row.get("metadata", {})
    if not isinstance(metadata, dict):
        yield wrong("metadata", "an object, or absent", describe(metadata))
        return
    if "trace_version" in metadata:
        yield from text_violations(metadata, TextLimit("trace_version", 64), "metadata.")
    time = metadata.get("recorded_at")
    if "recorded_at" in metadata and not (isinstance(time, str) and is_time(time)):
        yield wrong("metadata.recorded_at", _TIME_EXPECTED, describe(time))


def _steps_violations(row: dict[str, Any]) -> Iterator[Violation]:
    if "trace_steps" not in row:
        yield missing("trace_steps", _STEPS_EXPECTED)
        return
    contents = row["trace_steps"]
    if not isinstance(contents, list) or not 1 <= len(contents) <= MAX_STEPS:
        found = describe(contents) if contents != [] else "empty"
        yield wrong("trace_steps", _STEPS_EXPECTED, found)
        return
    for position, content in enumerate(contents):
        name = f"trace_steps[{position}]"
        yield from text_violations({name: content}, TextLimit(name, _LONGEST_STEP))
    for name in ("trace_step_types", "trace_step_indices"):
        beside = row.get(name)
        if name in row and not (isinstance(beside, list) and len(beside) == len(contents)):
            expected = f"a list of {len(contents)}, one of each step"
            yield wrong(name, expected, describe(beside))
