"""Evaluates expressions: a tree becomes one function of a trace.

Logic has two values. A comparison is false where the trace lacks the field, and where the two
values are of different types; ``!=`` and the other negations are then true. Numbers are compared
as the decimals that their JSON texts are, so ``meta.x = 0.1`` matches the number 0.1, although no
double is a tenth. Text is ordered by code points.
"""

from __future__ import annotations

import operator
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from tunixrt.datasets.expressions.fields import MISSING, reader_of
from tunixrt.datasets.expressions.nodes import And, Compare, Exists, Field, In, Not, Or
from tunixrt.log.canonical import encode

if TYPE_CHECKING:
    from collections.abc import Callable

    from tunixrt.datasets.expressions.fields import Subject
    from tunixrt.datasets.expressions.nodes import Expression, Literal


# Not bool, which is a subclass of int.
_NUMBERS: Final = frozenset({int, float})
_ORDER: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def predicate(expression: Expression) -> Callable[[Subject], bool]:
    """Return the function that says whether a trace matches an expression."""
    match expression:
        case And(operands=operands):
            tests = [predicate(operand) for operand in operands]
            return lambda subject: all(test(subject) for test in tests)
        case Or(operands=operands):
            tests = [predicate(operand) for operand in operands]
            return lambda subject: any(test(subject) for test in tests)
        case Not(operand=operand):
            negated = predicate(operand)
            return lambda subject: not negated(subject)
        case _:
            return _leaf(expression)


def _leaf(leaf: Compare | In | Exists) -> Callable[[Subject], bool]:
    match leaf:
        case Exists(field=field):
            read = reader_of(field)
            return lambda subject: read(subject) is not MISSING
        case In(field=field, values=values):
            read, accepts = reader_of(field), _any_of(values)
            return lambda subject: accepts(read(subject))
        case Compare(field=field, operator=name, operand=Field() as other):
            left, right, holds = reader_of(field), reader_of(other), _relation(name)
            return lambda subject: holds(left(subject), right(subject))
        case Compare(field=field, operator=name, operand=operand):
            assert not isinstance(operand, Field)
            read, accepts = reader_of(field), _accepting(name, operand)
            return lambda subject: accepts(read(subject))


# --- a value and a literal -----------------------------------------------------------------------


def _accepting(name: str, literal: Literal) -> Callable[[Any], bool]:
    """Return the function that compares a value with a literal."""
    if name == "=":
        return _equal_to(literal)
    if name == "contains":
        return _containing(literal)
    if isinstance(literal, Decimal):
        return _ordered(name, literal)
    assert isinstance(literal, str)
    if name == "startswith":
        return lambda value: isinstance(value, str) and value.startswith(literal)
    if name == "endswith":
        return lambda value: isinstance(value, str) and value.endswith(literal)
    compare = _ORDER[name]
    return lambda value: isinstance(value, str) and compare(value, literal)


def _equal_to(literal: Literal) -> Callable[[Any], bool]:
    match literal:
        case str():
            return lambda value: bool(value == literal)
        case Decimal():
            double, sign = _nearest(literal)
            if sign:
                return lambda _: False  # no number of JSON is written so
            return lambda value: value.__class__ in _NUMBERS and value == double
        case _:  # true, false and null are one object each
            return lambda value: value is literal


def _any_of(literals: tuple[Literal, ...]) -> Callable[[Any], bool]:
    texts = frozenset(literal for literal in literals if isinstance(literal, str))
    others = [_equal_to(literal) for literal in literals if not isinstance(literal, str)]
    return lambda value: (
        value in texts if isinstance(value, str) else any(equal(value) for equal in others)
    )


def _containing(literal: Literal) -> Callable[[Any], bool]:
    equal = _equal_to(literal)

    def accepts(value: Any) -> bool:
        if isinstance(value, str):
            return isinstance(literal, str) and literal in value
        return isinstance(value, list) and any(equal(item) for item in value)

    return accepts


def _ordered(name: str, literal: Decimal) -> Callable[[Any], bool]:
    """Return the comparison of a number with a decimal, exact and as fast as that of doubles.

    Rounding to doubles keeps the order: numbers on different sides of the double that is nearest to
    the literal are on different sides of the literal. Only for that double itself does it matter on
    which side of the literal its own decimal is.
    """
    double, sign = _nearest(literal)
    is_below, may_be_equal = name.startswith("<"), name.endswith("=")
    includes = (sign < 0 if is_below else sign > 0) or (sign == 0 and may_be_equal)
    compare = _ORDER[name[0] + "=" * includes]
    return lambda value: value.__class__ in _NUMBERS and compare(value, double)


def _nearest(literal: Decimal) -> tuple[float, int]:
    """Return the nearest double, and how its shortest decimal compares with the literal."""
    double = float(literal)
    decimal = Decimal(repr(double))
    return double, (decimal > literal) - (decimal < literal)


# --- two values ----------------------------------------------------------------------------------


def _relation(name: str) -> Callable[[Any, Any], bool]:
    match name:
        case "=":
            return _are_equal
        case "contains":
            return _contains
        case "startswith":
            return lambda a, b: _are_texts(a, b) and a.startswith(b)
        case "endswith":
            return lambda a, b: _are_texts(a, b) and a.endswith(b)
        case _:
            compare = _ORDER[name]
            return lambda a, b: (_are_texts(a, b) or _are_numbers(a, b)) and compare(a, b)


def _are_texts(a: object, b: object) -> bool:
    return isinstance(a, str) and isinstance(b, str)


def _are_numbers(a: object, b: object) -> bool:
    return a.__class__ in _NUMBERS and b.__class__ in _NUMBERS


def _are_equal(a: Any, b: Any) -> bool:
    if a is MISSING or b is MISSING:
        return False
    if _are_texts(a, b) or _are_numbers(a, b):
        return bool(a == b)
    return encode(a) == encode(b)


def _contains(a: Any, b: Any) -> bool:
    if isinstance(a, str):
        return isinstance(b, str) and b in a
    return isinstance(a, list) and any(_are_equal(item, b) for item in a)
