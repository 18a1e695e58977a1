"""Reports what is wrong with a record that should be a trace, in one sentence.

This is the slow path: it runs only after a record has been refused, and it walks the record
field by field to find the first thing to fix. The fast path is the typed decoder in
:mod:`tunixrt.traces.schema`; a property test checks the two against each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tunixrt.errors import BadInputError
from tunixrt.words import did_you_mean, quoted, suggestion

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# Callers that also need the sentences of this module import the helpers from here.
__all__ = ["did_you_mean", "quoted", "suggestion"]


class Violation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One fault of a record.

    ``field`` is a path such as ``steps[2].content``, or None for the whole record.
    """

    field: str | None
    expected: str
    found: str
    sentence: str


class TraceError(BadInputError):
    """A record that is not a trace."""

    def __init__(self, violation: Violation) -> None:
        super().__init__(violation.sentence)
        self.violation = violation


class TextLimit(msgspec.Struct, frozen=True):
    """A text field and its maximal number of characters."""

    name: str
    most: int

    @property
    def expected(self) -> str:
        """The expected content of the field, in words."""
        return f"text of 1 to {self.most:,} characters"


STEP_FIELDS = ("i", "type", "content")
TRACE_FIELDS = ("trace_version", "prompt", "steps", "final_answer", "meta")
MAX_STEPS = 1_000
MAX_INDEX = 2**53 - 1

_TRACE_TEXTS = (
    TextLimit("trace_version", 64),
    TextLimit("prompt", 50_000),
    TextLimit("final_answer", 50_000),
)
STEP_TEXTS = (TextLimit("type", 64), TextLimit("content", 20_000))
_STEPS_EXPECTED = f"a list of 1 to {MAX_STEPS:,} steps"
_INDEX_EXPECTED = "a whole number from 0 upwards, without a decimal point"


def describe(value: object) -> str:
    """Return what a JSON value is, in words."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"the number {value}"
        case str():
            return f"the text {quoted(value)}"
        case list() | tuple():
            return f"a list of {len(value)}"
        case _:
            return "an object"


def violations(value: object) -> Iterator[Violation]:
    """Yield every reason why a decoded JSON value is not a trace."""
    if not isinstance(value, dict):
        yield wrong_kind(value, "an object with the fields of a trace")
        return
    yield from unknown_fields(value, TRACE_FIELDS, "a trace")
    for limit in _TRACE_TEXTS:
        yield from text_violations(value, limit)
    yield from _steps_violations(value)
    meta = value.get("meta")
    if meta is not None and not isinstance(meta, dict):
        yield wrong("meta", "an object, or absent", describe(meta))


def wrong_kind(value: object, expected: str) -> Violation:
    """Return the violation of a record that is another kind of JSON value."""
    found = describe(value)
    return Violation(None, expected, found, f"The record should be {expected}, but is {found}.")


def wrong(field: str, expected: str, found: str) -> Violation:
    """Return the violation of a field with a wrong value."""
    return Violation(
        field, expected, found, f"The field {quoted(field)} should be {expected}, but is {found}."
    )


def missing(field: str, expected: str) -> Violation:
    """Return the violation of a missing field."""
    return Violation(
        field,
        expected,
        "nothing",
        f"The field {quoted(field)} is missing; it should be {expected}.",
    )


def unknown_fields(
    value: dict[str, object], known: Sequence[str], what: str, prefix: str = ""
) -> Iterator[Violation]:
    """Yield every field that the schema does not know, with the nearest known name."""
    for name in value:
        if name not in known:
            yield Violation(
                prefix + name,
                f"one of {', '.join(known)}",
                quoted(name),
                f"The field {quoted(prefix + name)} is not part of {what}. "
                f"{did_you_mean(name, known)}",
            )


def text_violations(
    value: dict[str, object], limit: TextLimit, prefix: str = ""
) -> Iterator[Violation]:
    """Yield what is wrong with a text field: missing, not text, empty, or too long."""
    field = prefix + limit.name
    if limit.name not in value:
        yield missing(field, limit.expected)
        return
    text = value[limit.name]
    if not isinstance(text, str):
        yield wrong(field, limit.expected, describe(text))
    elif not text:
        yield wrong(field, limit.expected, "empty")
    elif len(text) > limit.most:
        yield wrong(field, limit.expected, f"text of {len(text):,} characters")


def _steps_violations(value: dict[str, object]) -> Iterator[Violation]:
    if "steps" not in value:
        yield missing("steps", _STEPS_EXPECTED)
        return
    steps = value["steps"]
    if not isinstance(steps, list | tuple):
        yield wrong("steps", _STEPS_EXPECTED, describe(steps))
        return
    if not 1 <= len(steps) <= MAX_STEPS:
        yield wrong("steps", _STEPS_EXPECTED, f"a list of {len(steps):,}" if steps else "empty")
    seen: dict[int, int] = {}
    for position, step in enumerate(steps):
        yield from _step_violations(position, step, seen)


def _step_violations(position: int, step: object, seen: dict[int, int]) -> Iterator[Violation]:
    prefix = f"steps[{position}]"
    if not isinstance(step, dict):
        yield wrong(prefix, "an object with i, type and content", describe(step))
        return
    yield from unknown_fields(step, STEP_FIELDS, "a step", f"{prefix}.")
    yield from _index_violations(prefix, position, step, seen)
    for limit in STEP_TEXTS:
        yield from text_violations(step, limit, f"{prefix}.")


def _index_violations(
    prefix: str, position: int, step: dict[str, object], seen: dict[int, int]
) -> Iterator[Violation]:
    if "i" not in step:
        yield missing(f"{prefix}.i", _INDEX_EXPECTED)
        return
    index = step["i"]
    # A bool is an int in Python, and not in JSON.
    if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index <= MAX_INDEX:
        yield wrong(f"{prefix}.i", _INDEX_EXPECTED, describe(index))
        return
    first = seen.setdefault(index, position)
    if first != position:
        yield wrong(
            f"{prefix}.i",
            "a number that no other step has",
            f"{index}, which steps[{first}] has too",
        )
