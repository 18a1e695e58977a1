"""Expressions and traces for property tests, and a slow evaluator that shares no code with ours."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from tests.making.traces import trace
from tunixrt.datasets.expressions.fields import Subject
from tunixrt.datasets.expressions.nodes import (
    And,
    Compare,
    Exists,
    Expression,
    Field,
    In,
    Not,
    Or,
    comparison,
    conjunction,
    disjunction,
    membership,
    negation,
)
from tunixrt.traces.schema import any_trace_of, payload_of, trace_id
from tunixrt.traces.state import TraceState

if TYPE_CHECKING:
    from tunixrt.traces.schema import AnyTrace

KEYS = ("a", "b", "a key", "ä.ö", "and")
WORDS = ("", "x", "xy", "km", 'a "quoted"\n', "\U0001f600", "2026-01-01")
NUMBERS = ("0", "1", "-1", "2.5", "0.1", "0.30000000000000004", "0.3", "9007199254740991", "1e22",
           "1e-7", "0.1000000000000000055511151231257827021181583404541015625")  # fmt: skip
TEXT_FIELDS = ("prompt", "final_answer", "trace_version", "reasoning", "text", "recorded_at")
COUNTS = ("n_steps", "n_turns", "n_messages", "n_tool_calls", "n_chars", "prompt_chars",
          "reasoning_chars", "answer_chars")  # fmt: skip


def subject(content: AnyTrace | None = None, **state: Any) -> Subject:
    """A trace as expressions see it."""
    content = trace() if content is None else content
    known: dict[str, Any] = {"id": trace_id(payload_of(content)), "labels": {}, "scores": {}}
    return Subject(TraceState(**(known | state)), content)


def conversation(**meta: Any) -> AnyTrace:
    return any_trace_of(
        {
            "trace_version": "1.1",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "How far is 3 miles?"},
                {"role": "assistant", "reasoning": "one\ntwo", "content": "",
                 "tool_calls": [{"id": "c1", "name": "multiply", "arguments": {"a": 3}}]},
                {"role": "tool", "tool_call_id": "c1", "content": "4.827"},
                {"role": "assistant", "content": "About 4.8 km."},
            ],
            "meta": meta,
        }
    )  # fmt: skip


# --- strategies ----------------------------------------------------------------------------------

_texts = st.sampled_from(WORDS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
_decimals = st.sampled_from(NUMBERS).map(Decimal) | st.decimals(
    allow_nan=False, allow_infinity=False, min_value=-1000, max_value=1000
)
_any_literals = st.one_of(_texts, _decimals, st.booleans(), st.none())
_paths = st.lists(st.sampled_from(KEYS), min_size=1, max_size=2).map(tuple)
_meta = st.builds(Field, st.just("meta"), _paths)
_text_fields = st.builds(Field, st.sampled_from(TEXT_FIELDS)) | st.builds(
    Field, st.just("label"), st.sampled_from(KEYS).map(lambda key: (key,))
)
_number_fields = st.builds(Field, st.sampled_from(COUNTS)) | st.builds(
    Field, st.just("score"), st.sampled_from(KEYS).map(lambda key: (key,))
)
_orders = st.sampled_from(["<", "<=", ">", ">="])
_text_operators = st.sampled_from(["contains", "startswith", "endswith"])
_leaves = st.one_of(
    st.builds(comparison, _meta, st.just("="), _any_literals | _meta),
    st.builds(comparison, _meta, _orders, _texts | _decimals | _meta | _number_fields),
    st.builds(comparison, _meta, st.just("contains"), _any_literals | _meta),
    st.builds(comparison, _meta, _text_operators, _texts | _text_fields),
    st.builds(comparison, _text_fields, st.just("=") | _orders, _texts | _text_fields | _meta),
    st.builds(comparison, _text_fields, _text_operators, _texts | _meta),
    st.builds(comparison, _number_fields, st.just("=") | _orders, _decimals | _number_fields),
    st.builds(membership, _meta, st.lists(_any_literals, min_size=1, max_size=3)),
    st.builds(membership, _number_fields, st.lists(_decimals, min_size=1, max_size=3)),
    st.builds(Exists, _meta | _text_fields | _number_fields),
)
expressions: st.SearchStrategy[Expression] = st.recursive(
    _leaves,
    lambda inner: st.one_of(
        inner.map(negation),
        st.lists(inner, min_size=1, max_size=3).map(conjunction),
        st.lists(inner, min_size=1, max_size=3).map(disjunction),
    ),
    max_leaves=6,
)

_values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.sampled_from(WORDS),
        st.sampled_from(NUMBERS).map(json.loads).filter(lambda n: abs(n) < 2**53 or n == 1e22),
        st.booleans(),
        st.none(),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner),
    max_leaves=4,
)
_metas = st.dictionaries(st.sampled_from(KEYS), _values, max_size=4)
_written = st.sampled_from([word for word in WORDS if word])
subjects = st.builds(
    subject,
    st.builds(
        lambda meta, prompt, answer: trace(prompt, final_answer=answer, meta=meta),
        _metas, _written, _written,
    )
    | _metas.map(lambda meta: conversation(**meta)),
    labels=st.dictionaries(st.sampled_from(KEYS), _written),
    scores=st.dictionaries(st.sampled_from(KEYS), st.sampled_from([0.0, 1.0, 2.5, 0.1])),
    recorded_at=st.none() | st.just("2026-01-01T00:00:00Z"),
)  # fmt: skip


# --- the slow evaluator --------------------------------------------------------------------------


class Absent:
    """What a trace does not have."""


def holds(expression: Expression, of: Subject) -> bool:
    """Whether a trace matches, by the words of docs/selection.md and on JSON texts."""
    match expression:
        case And(operands=operands):
            return all(holds(operand, of) for operand in operands)
        case Or(operands=operands):
            return any(holds(operand, of) for operand in operands)
        case Not(operand=operand):
            return not holds(operand, of)
        case Exists(field=field):
            return value_of(field, of) is not Absent
        case In(field=field, values=values):
            return any(related("=", value_of(field, of), v) for v in values)
        case Compare(field=field, operator=operator, operand=Field() as other):
            return related(operator, value_of(field, of), value_of(other, of))
        case Compare(field=field, operator=operator, operand=operand):
            assert not isinstance(operand, Field)
            return related(operator, value_of(field, of), operand)


def value_of(field: Field, of: Subject) -> Any:
    """The value of a field, its numbers as decimals."""
    content, state = of.trace, of.state
    flat = of.flat
    steps = [step.content for step in sorted(flat.steps, key=lambda step: step.i)]
    messages = getattr(content, "messages", None)
    if field.name == "meta":
        value: Any = exact(content.meta)
        for key in field.path:
            if isinstance(value, dict):
                value = value.get(key, Absent)
            elif isinstance(value, list) and key.isdigit() and int(key) < len(value):
                value = value[int(key)]
            else:
                return Absent
        return value
    if field.name in {"label", "score"}:
        return exact({"label": state.labels, "score": state.scores}[field.name]).get(
            field.path[0], Absent
        )
    if messages is None:
        texts = [flat.prompt, *steps, flat.final_answer]
    else:
        texts = [t for m in messages for t in (m.thought, m.content) if t]
    known: dict[str, Any] = {
        "id": str(state.id),
        "trace_version": content.trace_version,
        "prompt": flat.prompt,
        "final_answer": flat.final_answer,
        "reasoning": "\n".join(steps),
        "text": "\n".join(texts),
        "recorded_at": Absent if state.recorded_at is None else state.recorded_at,
        "n_steps": len(steps),
        "n_turns": 1 if messages is None else sum(m.role == "assistant" for m in messages),
        "n_messages": 2 if messages is None else len(messages),
        "n_tool_calls": 0 if messages is None else sum(len(m.calls) for m in messages),
        "n_chars": len("".join(texts)),
        "prompt_chars": len(flat.prompt),
        "reasoning_chars": len("".join(steps)),
        "answer_chars": len(flat.final_answer),
    }
    value = known[field.name]
    return Decimal(value) if isinstance(value, int) else value


def exact(value: Any) -> Any:
    """A JSON value whose numbers are the decimals that its text has."""
    return json.loads(json.dumps(value), parse_int=Decimal, parse_float=Decimal)


def related(operator: str, a: Any, b: Any) -> bool:
    if a is Absent or b is Absent:
        return False
    match operator:
        case "=":
            return type(a) is type(b) and bool(a == b)
        case "contains" if isinstance(a, list):
            return any(related("=", item, b) for item in a)
        case "contains":
            return isinstance(a, str) and isinstance(b, str) and b in a
        case "startswith":
            return isinstance(a, str) and isinstance(b, str) and a[: len(b)] == b
        case "endswith":
            return (
                isinstance(a, str)
                and isinstance(b, str)
                and a[len(a) - len(b) :] == b
                and len(a) >= len(b)
            )
    if type(a) is not type(b) or not isinstance(a, str | Decimal):
        return False
    points: tuple[Any, Any] = ([*map(ord, a)], [*map(ord, b)]) if isinstance(a, str) else (a, b)
    below, same = points[0] < points[1], points[0] == points[1]
    answers = {"<": below, "<=": below or same, ">": not below and not same, ">=": not below}
    return bool(answers[operator])
