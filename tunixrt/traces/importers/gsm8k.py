"""GSM8K records: ``{"question", "answer"}``, where the lines of the answer are the steps.

The text after ``#### `` on the last line is the final answer. Blank lines are dropped and counted.
Calculator annotations such as ``<<48/2=24>>`` are part of the text unless the caller strips them.
"""

from __future__ import annotations

import re
from typing import Final

from tunixrt.traces.schema import TRACE_VERSION, Trace, TraceStep
from tunixrt.traces.violations import (
    MAX_STEPS,
    STEP_TEXTS,
    TextLimit,
    TraceError,
    Violation,
    describe,
    missing,
    text_violations,
    unknown_fields,
    wrong,
    wrong_kind,
)
from tunixrt.words import quoted

_FIELDS: Final = ("question", "answer")
_QUESTION: Final = TextLimit("question", 50_000)
_STEP: Final = next(limit for limit in STEP_TEXTS if limit.name == "content")
_MAX_FINAL: Final = 50_000
_MARK: Final = "#### "
_ANSWER_EXPECTED: Final = (
    f"text whose last line is {quoted(_MARK)} and the final answer, after at least one other line"
)
_ANNOTATION: Final = re.compile(r"<<[^<>\n]*>>")

#: The type of every step: the source does not distinguish types.
STEP_TYPE: Final = "reason"


def read_gsm8k(
    value: object, *, source: str = "gsm8k", strip_calculator: bool = False
) -> tuple[Trace, int]:
    """Return the record as a trace, and how many blank lines of its answer were dropped.

    Args:
        value: The decoded record.
        source: Becomes ``meta.source``.
        strip_calculator: Whether to cut ``<<48/2=24>>`` out of the steps.

    Raises:
        TraceError: The value is not such a record, or breaks a limit of a trace.
    """
    question, answer = _texts(value)
    lines = answer.replace("\r\n", "\n").split("\n")
    if strip_calculator:
        lines = [_ANNOTATION.sub("", line) for line in lines]
    written = [line for line in lines if line.strip()]
    steps, final = _parts(written)
    trace = Trace(
        trace_version=TRACE_VERSION,
        prompt=question,
        steps=tuple(TraceStep(i, STEP_TYPE, content) for i, content in enumerate(steps)),
        final_answer=final,
        meta={"source": source},
    )
    return trace, len(lines) - len(written)


def _texts(value: object) -> tuple[str, str]:
    if isinstance(value, dict) and len(value) == len(_FIELDS):
        match value:
            case {"question": str() as question, "answer": str() as answer}:
                if 1 <= len(question) <= _QUESTION.most:
                    return question, answer
    raise TraceError(_why_not(value))


def _why_not(value: object) -> Violation:
    """Return why a record does not have a question and an answer."""
    if not isinstance(value, dict):
        return wrong_kind(value, "an object with question and answer")
    for violation in unknown_fields(value, _FIELDS, "a GSM8K record"):
        return violation
    for violation in text_violations(value, _QUESTION):
        return violation
    if "answer" not in value:
        return missing("answer", _ANSWER_EXPECTED)
    return wrong("answer", _ANSWER_EXPECTED, describe(value["answer"]))


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
    if not 1 <= len(steps) <= MAX_STEPS:
        raise TraceError(
            wrong("answer", f"1 to {MAX_STEPS:,} lines of steps", f"text with {len(steps):,}")
        )
    longest = max(steps, key=len)
    if len(longest) > _STEP.most:
        raise TraceError(
            wrong(
                "answer",
                f"lines of at most {_STEP.most:,} characters",
                f"text with {len(longest):,} characters in step {steps.index(longest) + 1}",
            )
        )
    if len(final) > _MAX_FINAL:
        raise TraceError(
            wrong(
                "answer",
                f"text with a final answer of at most {_MAX_FINAL:,} characters",
                f"text with one of {len(final):,}",
            )
        )
    return steps, final
