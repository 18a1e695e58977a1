"""GSM8K records: ``{"question", "answer"}``, where the lines of the answer are the steps.

The text after ``#### `` on the last line is the final answer. Blank lines are dropped and counted.
Calculator annotations such as ``<<48/2=24>>`` are part of the text unless the caller strips them.
Other columns are metadata. A record that fits schema 1.0 is a trace of it; one without steps, or
with longer texts, is a conversation of one turn.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tunixrt.traces.conversation import Role
from tunixrt.traces.importers.draft import Draft
from tunixrt.traces.importers.reading import Read, as_object, metadata
from tunixrt.traces.schema import TRACE_VERSION, Trace, TraceStep
from tunixrt.traces.violations import (
    MAX_STEPS,
    STEP_TEXTS,
    TraceError,
    describe,
    missing,
    wrong,
)
from tunixrt.words import quoted, suggestion

if TYPE_CHECKING:
    from collections.abc import Sequence

_FIELDS: Final = ("question", "answer")
_STEP: Final = next(limit for limit in STEP_TEXTS if limit.name == "content")
_MAX_TEXT: Final = 50_000
_MARK: Final = "#### "
_ANSWER_EXPECTED: Final = f"text whose last line is {quoted(_MARK)} and the final answer"
_ANNOTATION: Final = re.compile(r"<<[^<>\n]*>>")

#: The type of every step: the source does not distinguish types.
STEP_TYPE: Final = "reason"
#: What the metadata of a record without a source calls it.
SOURCE: Final = "gsm8k"


def read_gsm8k(value: object, *, strip_calculator: bool = False) -> Read:
    """Return the record as a trace.

    Args:
        value: The decoded record.
        strip_calculator: Whether to cut ``<<48/2=24>>`` out of the steps.

    Raises:
        TraceError: The value is not such a record, or breaks a limit of a trace.
    """
    record = as_object(value, "an object with question and answer")
    question, answer = _text(record, "question", "text"), _text(record, "answer", _ANSWER_EXPECTED)
    lines = answer.replace("\r\n", "\n").split("\n")
    if strip_calculator:
        lines = [_ANNOTATION.sub("", line) for line in lines]
    written = [line for line in lines if line.strip()]
    steps, final = _parts(written)
    meta = {"source": SOURCE, **metadata(record, _FIELDS)}
    read = _read(question, steps, final, meta)
    return msgspec.structs.replace(read, n_blank=len(lines) - len(written))


def _read(question: str, steps: Sequence[str], final: str, meta: dict[str, Any]) -> Read:
    """Return a trace of schema 1.0 if the texts fit it, else a conversation."""
    if (
        1 <= len(steps) <= MAX_STEPS
        and max(map(len, steps)) <= _STEP.most
        and max(len(question), len(final)) <= _MAX_TEXT
    ):
        numbered = tuple(TraceStep(i, STEP_TYPE, content) for i, content in enumerate(steps))
        return Read(Trace(TRACE_VERSION, question, numbered, final, meta))
    draft = Draft()
    draft.add(Role.USER, question, place="question")
    fields = {"reasoning": "\n".join(steps)} if steps else {}
    draft.add(Role.ASSISTANT, final, place="answer", fields=fields)
    return draft.done(meta, final_answer=final)


def _text(record: dict[str, Any], name: str, expected: str) -> str:
    text = record.get(name)
    if isinstance(text, str) and text:
        return text
    if name in record:
        found = "empty" if text == "" else describe(text)
        raise TraceError(wrong(name, expected, found))
    violation = missing(name, expected)
    hint = suggestion(name, [key for key in record if key not in _FIELDS])
    raise TraceError(msgspec.structs.replace(violation, sentence=f"{violation.sentence}{hint}"))


def _parts(written: list[str]) -> tuple[list[str], str]:
    """Return steps and final answer from the lines that are not blank, with limits checked."""
    if not written:
        raise TraceError(wrong("answer", _ANSWER_EXPECTED, "blank"))
    *steps, last = written
    final = last.removeprefix(_MARK).strip()
    if not last.startswith(_MARK) or not final:
        raise TraceError(wrong("answer", _ANSWER_EXPECTED, f"text that ends with {quoted(last)}"))
    if "\n" + _MARK in "\n" + "\n".join(steps):
        raise TraceError(
            wrong("answer", _ANSWER_EXPECTED, f"text with more than one line of {quoted(_MARK)}")
        )
    return steps, final
