"""Session traces of the Hugging Face Hub: a ``session`` line, then a ``message`` line per turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tunixrt.log.canonical import CanonicalError, decode
from tunixrt.traces.importers.draft import Draft
from tunixrt.traces.importers.lines import Chunk
from tunixrt.traces.importers.messages import add_message
from tunixrt.traces.importers.reading import as_object
from tunixrt.traces.violations import TraceError, Violation, describe, missing, wrong

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tunixrt.traces.importers.reading import Read

_HEADER: Final = b'"session"'


def whole_sessions(chunks: Iterable[Chunk]) -> Iterator[Chunk]:
    """Yield the lines of each session as one record, numbered by its header.

    A file is one session; in a file with several, one after the other, each has its header.

    Args:
        chunks: The lines, or the rows, of a file.
    """
    begun, lines, found = 1, list[bytes](), dict[int, str]()
    for first, records, faults in chunks:
        for line, raw in enumerate(records, first):
            if not raw.strip(b" \t\r"):
                continue
            if lines and _is_header(raw):
                yield Chunk(begun, [b"\n".join(lines)], found)
                lines, found = [], {}
            if not lines:
                begun = line
            if line in faults:
                found = {begun: faults[line]}
            # In an array a line may be written over several; within a text JSON escapes line feeds.
            lines.append(raw.replace(b"\n", b" "))
    if lines:
        yield Chunk(begun, [b"\n".join(lines)], found)


def _is_header(raw: bytes) -> bool:
    if _HEADER not in raw:
        return False
    try:
        value = decode(raw)
    except CanonicalError:
        return False
    return isinstance(value, dict) and value.get("type") == "session"


def read_session(raw: bytes) -> Read:
    """Return the conversation of the lines of a session.

    The fields of the header, without ``type``, are metadata.

    Raises:
        TraceError: A line is not JSON, the first is not a header, or another is not a message.
    """
    header, *lines = raw.split(b"\n")
    meta = _header(_decoded(header, "The header"))
    draft = Draft()
    for position, line in enumerate(lines, start=1):
        place = f"line {position} after the header"
        envelope = as_object(_decoded(line, place), "an object with type and message")
        if envelope.get("type") != "message":
            raise TraceError(wrong("type", '"message"', describe(envelope.get("type"))))
        message = envelope.get("message")
        if message is None:
            raise TraceError(missing("message", "an object with role and content"))
        add_message(draft, _with_envelope(message, envelope), place)
    return draft.done(meta)


def _decoded(line: bytes, place: str) -> object:
    try:
        return decode(line)
    except CanonicalError as error:
        found = f"{place[0].upper()}{place[1:]}: {error.reason}"
        raise TraceError(Violation(None, "JSON", found, found)) from error


def _header(value: object) -> dict[str, Any]:
    header = as_object(value, "the header of a session, an object with type and harness")
    if header.get("type") != "session":
        found = "missing" if header.get("type") is None else describe(header["type"])
        raise TraceError(wrong("type", 'the text "session" on the first line', found))
    for name in ("harness", "id"):
        if header.get(name) is None:
            raise TraceError(missing(name, f"the {name} of the session"))
    return {key: item for key, item in header.items() if key != "type" and item is not None}


def _with_envelope(message: object, envelope: dict[str, Any]) -> object:
    """Return a message with what its envelope has beside it, such as a time."""
    if not isinstance(message, dict):
        return message
    beside = {
        key: item
        for key, item in envelope.items()
        if key not in {"type", "message"} and item is not None and key not in message
    }
    return {**message, **beside}
