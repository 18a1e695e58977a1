"""Matches traces with a recipe, and explains why none matched.

While nothing has matched, keys and values are collected for the explanation; the first match ends
that.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tunixrt.datasets.expressions.evaluation import predicate
from tunixrt.datasets.expressions.fields import LABEL, META, MISSING, SCORE, reader_of
from tunixrt.datasets.expressions.nodes import (
    Compare,
    Exists,
    In,
    expression_text,
    fields_of,
    parts_of,
)
from tunixrt.log.canonical import encode
from tunixrt.words import quoted, suggestion

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tunixrt.datasets.expressions.fields import Subject
    from tunixrt.datasets.expressions.nodes import Expression, Field

#: A filter on ``label.NAME`` matches a label; any other key is one of ``meta``.
LABEL_PREFIX: Final = f"{LABEL}."

#: How many keys and values are kept for the message that lists possible ones.
_REMEMBERED: Final = 20


class Part(NamedTuple):
    """One of the conditions that a trace must meet together.

    Attributes:
        text: As the user wrote it, or in canonical form.
        test: Whether a trace meets it.
        needed: The fields without which no trace can meet it, with their readers.
        wanted: The one text that it asks for, to suggest another; None otherwise.
    """

    text: str
    test: Callable[[Subject], bool]
    needed: dict[str, Callable[[Subject], Any]]
    wanted: str | None = None


class Matcher:
    """Tells which traces meet every condition of a recipe."""

    def __init__(self, filters: Mapping[str, str], expression: Expression | None) -> None:
        self._parts = [_filter_part(key, wanted) for key, wanted in filters.items()]
        if expression is not None:
            self._parts += [_part(operand) for operand in parts_of(expression)]
        self._test = _all_of([part.test for part in self._parts])
        self._filters = filters
        self._found = not self._parts
        self._keys: Counter[str] = Counter()
        self._values: dict[str, Counter[str]] = {
            name: Counter() for part in self._parts for name in part.needed
        }
        self._met: set[str] = set()
        self.n_traces = 0

    def matches(self, subject: Subject) -> bool:
        """Return whether a trace meets every condition."""
        self.n_traces += 1
        if self._found:
            return self._test(subject)
        self._found = self._look(subject)
        return self._found

    def _look(self, subject: Subject) -> bool:
        """Match a trace, and remember what it has."""
        state = subject.state
        for key in (
            *subject.trace.meta,
            *(LABEL_PREFIX + label for label in state.labels),
            *(f"{SCORE}.{scorer}" for scorer in state.scores),
        ):
            _remember(self._keys, key)
        for part in self._parts:
            for name, read in part.needed.items():
                value = read(subject)
                if value is not MISSING:
                    _remember(self._values[name], _as_text(value))
        met = {part.text for part in self._parts if part.test(subject)}
        self._met |= met
        return all(part.text in met for part in self._parts)

    def explain(self) -> str:
        """Return why nothing matched."""
        if not self.n_traces:
            return "There are no traces to select from: import some first."
        for name, values in self._values.items():
            if not values:
                return self._about_key(name)
        for part in self._parts:
            if part.text not in self._met:
                return self._about_part(part)
        together = " and ".join(part.text for part in self._parts)
        return f"No trace matches {together} together, though some match each of them alone."

    def _about_key(self, name: str) -> str:
        """Return what there is instead of a key that no trace has."""
        known = sorted(self._keys)
        listed = (
            f"{suggestion(name.removeprefix(f'{META}.'), known)} The keys are {', '.join(known)}."
            if known
            else " No trace has any metadata."
        )
        if name.startswith(f"{SCORE}."):
            return f"No trace has the score {quoted(name)}: `tunixrt trace score` records it."
        what = "label" if name.startswith(LABEL_PREFIX) else "metadata key"
        return f"No trace has the {what} {quoted(name)}.{listed}{self._hint()}"

    def _about_part(self, part: Part) -> str:
        values = next((self._values[name] for name in part.needed), Counter[str]())
        if len(part.needed) != 1:
            return f"No trace matches {part.text}.{self._hint()}"
        (name,) = part.needed
        known = sorted(values)
        shown = ", ".join(map(quoted, known))
        meant = "" if part.wanted is None else suggestion(part.wanted, known)
        return (
            f"No trace matches {part.text}: the values of {quoted(name)} are "
            f"{shown}{', and more' * (len(known) >= _REMEMBERED)}.{meant}{self._hint()}"
        )

    def _hint(self) -> str:
        """Return how to write an expression, where a filter looks like one."""
        for key, wanted in self._filters.items():
            if wanted.startswith(('"', "'")) or " and " in wanted or " or " in wanted:
                field = key if key.startswith(LABEL_PREFIX) else f"{META}.{key}"
                return (
                    f" {key}=... was read as KEY=VALUE, whose value is all that follows; an "
                    f'expression names the field and quotes text: {field} = "..." and ...'
                )
        return ""


def _all_of(tests: Sequence[Callable[[Subject], bool]]) -> Callable[[Subject], bool]:
    if len(tests) == 1:
        return tests[0]
    return lambda subject: all(test(subject) for test in tests)


def _as_text(value: object) -> str:
    """Return a value as filters compare it: text as it is, anything else as canonical JSON."""
    return value if isinstance(value, str) else encode(value).decode()


def _filter_part(key: str, wanted: str) -> Part:
    if key.startswith(LABEL_PREFIX):
        label = key.removeprefix(LABEL_PREFIX)

        def read(subject: Subject) -> Any:
            return subject.state.labels.get(label, MISSING)
    else:

        def read(subject: Subject) -> Any:
            return subject.trace.meta.get(key, MISSING)

    def test(subject: Subject) -> bool:
        value = read(subject)
        if value.__class__ is str:
            return bool(value == wanted)
        return value is not MISSING and _as_text(value) == wanted

    return Part(f"{key}={wanted}", test, {key: read}, wanted)


def _part(expression: Expression) -> Part:
    wanted = None
    if isinstance(expression, Compare) and isinstance(expression.operand, str):
        wanted = expression.operand
    needed = {str(field): reader_of(field) for field in _needed(expression)}
    text = expression_text(expression)
    return Part(text, predicate(expression), needed, wanted)


def _needed(expression: Expression) -> list[Field]:
    """Return the fields of free names without which an expression is false of every trace."""
    if not isinstance(expression, Compare | In | Exists):
        return []  # a negation is true without the field; of alternatives, no field is needed
    return [field for field in fields_of(expression) if field.name in {META, LABEL, SCORE}]


def _remember(counter: Counter[str], text: str) -> None:
    if text in counter or len(counter) < _REMEMBERED:
        counter[text] += 1
