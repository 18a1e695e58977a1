"""Puts one seeded error into one step of a trace, for training and testing verifiers.

The error is a pure function of (trace, kind, seed). The answer stays, and so do the steps after the
error; the export format ``stepwise`` lists the first as right up to the error and as wrong from
there on. What is wrong is the text: a changed digit in a product with 0, or two swapped steps that
do not depend on each other, may leave a true sentence. An operator is not replaced by one that
gives the same result of the two numbers beside it, such as ``2*2`` for ``2+2``.
"""

from __future__ import annotations

import itertools
import re
from enum import StrEnum
from fractions import Fraction
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec import structs

from tunixrt.errors import BadInputError
from tunixrt.traces.prng import Sha256Stream
from tunixrt.traces.schema import Trace, in_order, payload_of, trace_id
from tunixrt.traces.views import flat_view
from tunixrt.words import did_you_mean, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tunixrt.traces.conversation import Conversation
    from tunixrt.traces.schema import AnyTrace, TraceStep

#: The metadata of a perturbed trace: the id of the original, the index of the step, the kind.
PERTURBED_FROM: Final = "perturbed_from"
PERTURBED_STEP: Final = "perturbed_step"
PERTURBATION: Final = "perturbation"

#: ``meta.source`` of perturbed traces, so that a dataset of the original source has none of them.
SOURCE: Final = "perturbed"

#: The operators by meaning, in ASCII and as typography has them.
_ASCII: Final = "+-*/"
_TYPOGRAPHIC: Final = "+−×÷"

_ENUMERATOR: Final = re.compile(
    r"^[ \t]*(?:step[ \t]+)?[0-9]+[.):](?=\s)", re.ASCII | re.IGNORECASE | re.MULTILINE
)
_DIGIT: Final = re.compile(r"[0-9]")
_OPERATOR: Final = re.compile(r"(?<=[0-9)])( ?)([-+*/−×÷])( ?)(?=\$?[0-9(])")
#: Numbers beside an operator, cut to a length that takes no time to compute with.
_N_LEFT: Final = 64
_LEFT: Final = re.compile(r"[0-9][0-9,]*(?:\.[0-9]+)?$")
_RIGHT: Final = re.compile(r"\$?([0-9][0-9,]{0,40}(?:\.[0-9]{1,20})?)")


class Perturbation(StrEnum):
    """What is done to a step."""

    DIGIT = "digit"
    OPERATOR = "operator"
    SWAP = "swap"


class PerturbError(BadInputError):
    """Traces that cannot be perturbed with these arguments."""


class Perturbed(NamedTuple):
    """A trace with an error.

    ``step`` is the index ``i`` of the wrong step, the first of two swapped ones; of a conversation,
    the index of the line in the flat view.
    """

    trace: AnyTrace
    step: int


class _Edit(NamedTuple):
    """A place in a step, and the texts of its length that may replace it."""

    at: int
    choices: str


def parse_perturbation(text: str) -> Perturbation:
    """Return the kind of this name.

    Raises:
        PerturbError: It does not exist; the message lists the kinds.
    """
    try:
        return Perturbation(text)
    except ValueError:
        hint = did_you_mean(text, [*Perturbation])
        raise PerturbError(f"There is no kind of perturbation {quoted(text)}. {hint}") from None


def perturb(trace: AnyTrace, kind: Perturbation, seed: int) -> Perturbed | None:
    """Return the trace with one error, and where; None if nothing in it can be changed this way.

    A step is drawn uniformly from those that can be changed, then a place in it, then a change. The
    steps of a conversation are the lines of its reasoning; lines of one message are swapped.
    ``meta`` names the original, the step and the kind; `SOURCE` replaces the source.

    Args:
        trace: A trace of either schema.
        kind: The kind of error.
        seed: Decides among the possible errors; a whole number.

    Raises:
        TraceError: With its metadata the payload would be above 32 MiB.
    """
    original = trace_id(payload_of(trace))
    stream = Sha256Stream(f"{SOURCE} {kind} {seed} {original}")
    steps = in_order(flat_view(trace).steps)
    places = list(_swappable(trace, steps) if kind is Perturbation.SWAP else _editable(steps, kind))
    if not places:
        return None
    at = places[stream.below(len(places))]
    step = steps[at]
    if kind is Perturbation.SWAP:
        other = steps[at + 1]
        new = {at: structs.replace(other, i=step.i), at + 1: structs.replace(step, i=other.i)}
    else:
        edits = list(_edits(step.content, kind))
        edit = edits[stream.below(len(edits))]
        chosen = edit.choices[stream.below(len(edit.choices))]
        text = f"{step.content[: edit.at]}{chosen}{step.content[edit.at + 1 :]}"
        new = {at: structs.replace(step, content=text)}
    facts = {
        "source": SOURCE,
        PERTURBED_FROM: original,
        PERTURBED_STEP: step.i,
        PERTURBATION: str(kind),
    }
    changed = _with_steps(trace, new)
    return Perturbed(structs.replace(changed, meta={**trace.meta, **facts}), step.i)


def _editable(steps: tuple[TraceStep, ...], kind: Perturbation) -> Iterator[int]:
    """Yield the positions of the steps that hold something to change."""
    for at, step in enumerate(steps):
        if next(_edits(step.content, kind), None) is not None:
            yield at


def _swappable(trace: AnyTrace, steps: tuple[TraceStep, ...]) -> Iterator[int]:
    """Yield the positions of the steps whose successor is in the same message and differs."""
    messages = [0] * len(steps) if isinstance(trace, Trace) else _messages_of_lines(trace)
    for at, (step, other) in enumerate(itertools.pairwise(steps)):
        if messages[at] == messages[at + 1] and step.content != other.content:
            yield at


def _messages_of_lines(conversation: Conversation) -> list[int]:
    """Return for every line of reasoning the number of its message."""
    return [
        number
        for number, message in enumerate(conversation.messages)
        for line in message.thought.split("\n")
        if line.strip()
    ]


def _edits(content: str, kind: Perturbation) -> Iterator[_Edit]:
    return _digits(content) if kind is Perturbation.DIGIT else _operators(content)


def _digits(content: str) -> Iterator[_Edit]:
    """Yield the digits of numbers, without those that number a line (``2.``, ``Step 3:``)."""
    numbering = {n for found in _ENUMERATOR.finditer(content) for n in range(*found.span())}
    for found in _DIGIT.finditer(content):
        at = found.start()
        if at in numbering:
            continue
        before, after = content[max(0, at - 1) : at], content[at + 1 : at + 2]
        # "42" does not become "02": people do not write that, so a verifier would learn nothing.
        leads = _DIGIT.match(after) and not (_DIGIT.match(before) or before in {".", ","})
        choices = "123456789" if leads else "0123456789"
        yield _Edit(at, choices.replace(found.group(), ""))


def _operators(content: str) -> Iterator[_Edit]:
    """Yield the operators between two numbers or brackets, with those of another result."""
    symbols = _TYPOGRAPHIC if any(sign in content for sign in _TYPOGRAPHIC[1:]) else _ASCII
    for found in _OPERATOR.finditer(content):
        sign = found.group(2)
        own = max(_ASCII.find(sign), _TYPOGRAPHIC.find(sign))
        left = _LEFT.search(content[max(0, found.start() - _N_LEFT) : found.start()])
        right = _RIGHT.match(content, found.end())
        choices = [n for n in range(len(_ASCII)) if n != own]
        if left and right:
            a, b = _number(left.group()), _number(right.group(1))
            choices = [n for n in choices if _result(n, a, b) != _result(own, a, b)]
        if choices:
            yield _Edit(found.start(2), "".join(symbols[n] for n in choices))


def _number(text: str) -> Fraction:
    return Fraction(text.replace(",", ""))


def _result(operator: int, a: Fraction, b: Fraction) -> Fraction | None:
    """Return the result of an operator by its place in `_ASCII`; None for a division by zero."""
    match _ASCII[operator]:
        case "+":
            return a + b
        case "-":
            return a - b
        case "*":
            return a * b
        case _:
            return a / b if b else None


def _with_steps(trace: AnyTrace, new: Mapping[int, TraceStep]) -> AnyTrace:
    """Return a trace with other steps, or lines of reasoning, at some positions."""
    if isinstance(trace, Trace):
        steps = enumerate(in_order(trace.steps))
        return structs.replace(trace, steps=tuple(new.get(at, step) for at, step in steps))
    positions = itertools.count()

    def line(text: str) -> str:
        step = new.get(next(positions)) if text.strip() else None
        return text if step is None else step.content

    return structs.replace(
        trace,
        messages=tuple(
            structs.replace(message, reasoning="\n".join(map(line, message.thought.split("\n"))))
            if message.thought
            else message
            for message in trace.messages
        ),
    )
