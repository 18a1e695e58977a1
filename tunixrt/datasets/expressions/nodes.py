"""The tree of an expression, and its canonical text.

Trees are made by the functions of this module, which bring them into one normal form: nested
conjunctions are flattened, operands are sorted and named once, double negations disappear. Two
spellings that differ in that alone are one tree.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

#: A value that is written in an expression.
Literal = str | bool | Decimal | None

#: The operators between two values; ``!=``, ``not in`` and ``missing`` are negations.
ORDERS: Final = ("=", "<", "<=", ">", ">=")
TEXT_OPERATORS: Final = ("contains", "startswith", "endswith")

_MIRRORED: Final = {"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_PLAIN_KEY: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*", re.ASCII)
#: Digits beyond which a number is written with an exponent.
_PLAIN_DIGITS: Final = 30


class Field(msgspec.Struct, frozen=True):
    """What is looked at: a name of the table of fields, and the keys that follow it."""

    name: str
    path: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ".".join((self.name, *map(_key, self.path)))


class Compare(msgspec.Struct, frozen=True):
    """A field compared with a literal or another field."""

    field: Field
    operator: str
    operand: Field | Literal


class In(msgspec.Struct, frozen=True):
    """Whether a field has one of several values."""

    field: Field
    values: tuple[Literal, ...]


class Exists(msgspec.Struct, frozen=True):
    """Whether a trace has a field, whatever its value."""

    field: Field


class Not(msgspec.Struct, frozen=True):
    """The negation of an expression."""

    operand: Expression


class And(msgspec.Struct, frozen=True):
    """A conjunction of two or more expressions that are not conjunctions."""

    operands: tuple[Expression, ...]


class Or(msgspec.Struct, frozen=True):
    """A disjunction of two or more expressions that are not disjunctions."""

    operands: tuple[Expression, ...]


Expression = Compare | In | Exists | Not | And | Or


def conjunction(parts: Iterable[Expression]) -> Expression:
    """Return ``a and b and ...`` in normal form; of one part, the part."""
    operands = _normal(
        operand
        for part in parts
        for operand in (part.operands if isinstance(part, And) else [part])
    )
    return operands[0] if len(operands) == 1 else And(operands)


def disjunction(parts: Iterable[Expression]) -> Expression:
    """Return ``a or b or ...`` in normal form; of one part, the part."""
    operands = _normal(
        operand for part in parts for operand in (part.operands if isinstance(part, Or) else [part])
    )
    return operands[0] if len(operands) == 1 else Or(operands)


def negation(part: Expression) -> Expression:
    """Return ``not a``; the negation of a negation is what was negated."""
    return part.operand if isinstance(part, Not) else Not(part)


def comparison(field: Field, operator: str, operand: Field | Literal) -> Expression:
    """Return a comparison; of two fields, the one that sorts first is on the left."""
    if operator in _MIRRORED and isinstance(operand, Field) and str(operand) < str(field):
        field, operator, operand = operand, _MIRRORED[operator], field
    if isinstance(operand, Decimal):
        operand = plain_number(operand)
    return Compare(field, operator, operand)


def mirrored(literal: Literal, operator: str, field: Field) -> Expression:
    """Return a comparison whose literal was on the left: ``60 < n_steps`` is ``n_steps > 60``."""
    return comparison(field, _MIRRORED[operator], literal)


def membership(field: Field, values: Iterable[Literal]) -> Expression:
    """Return ``field in (...)``, the values sorted and named once; of one value, ``=``."""
    plain = (plain_number(v) if isinstance(v, Decimal) else v for v in values)
    by_text = {literal_text(value): value for value in plain}
    if len(by_text) == 1:
        return comparison(field, "=", next(iter(by_text.values())))
    return In(field, tuple(by_text[text] for text in sorted(by_text)))


def parts_of(expression: Expression) -> tuple[Expression, ...]:
    """Return the operands of a conjunction; of anything else, the expression alone."""
    return expression.operands if isinstance(expression, And) else (expression,)


def fields_of(expression: Expression) -> dict[Field, None]:
    """Return the fields of an expression, each once, in the order of its text."""
    match expression:
        case Compare(field=field, operand=Field() as other):
            return {field: None, other: None}
        case Compare(field=field) | In(field=field) | Exists(field=field):
            return {field: None}
        case Not(operand=operand):
            return fields_of(operand)
        case And(operands=operands) | Or(operands=operands):
            return {field: None for operand in operands for field in fields_of(operand)}


def expression_text(expression: Expression) -> str:
    """Return the canonical text; parsing it gives the same tree."""
    match expression:
        case Or(operands=operands):
            return " or ".join(map(expression_text, operands))
        case And(operands=operands):
            return " and ".join(_within(operand, Or) for operand in operands)
        case Not(operand=operand):
            return _negation_text(operand)
        case _:
            return _leaf_text(expression)


def _negation_text(operand: Expression) -> str:
    match operand:
        case Exists(field=field):
            return f"{field} missing"
        case In(field=field):
            return f"{field} not in {_values_text(operand)}"
        case Compare(field=field, operator="="):
            return f"{field} != {_operand_text(operand.operand)}"
        case Compare(field=field, operator=operator) if operator in TEXT_OPERATORS:
            return f"{field} not {operator} {_operand_text(operand.operand)}"
        case _:
            return f"not {_within(operand, Or, And)}"


def _leaf_text(leaf: Compare | In | Exists) -> str:
    match leaf:
        case Exists(field=field):
            return f"{field} exists"
        case In(field=field):
            return f"{field} in {_values_text(leaf)}"
        case Compare(field=field, operator=operator, operand=operand):
            return f"{field} {operator} {_operand_text(operand)}"


def literal_text(value: Literal) -> str:
    """Return a literal as an expression writes it."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case Decimal():
            return _number_text(value)
        case str():
            return json.dumps(value, ensure_ascii=False)


def plain_number(number: Decimal) -> Decimal:
    """Return the normal form of a number: no trailing zeros, no minus zero."""
    sign, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)
    while len(digits) > 1 and digits[-1] == 0:
        digits, exponent = digits[:-1], exponent + 1
    return Decimal(0) if digits == (0,) else Decimal((sign, digits, exponent))


def _number_text(number: Decimal) -> str:
    sign, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)
    if abs(exponent) + len(digits) > _PLAIN_DIGITS:
        return f"{'-' * sign}{''.join(map(str, digits))}e{exponent}"
    return f"{number:f}"


def _normal(operands: Iterable[Expression]) -> tuple[Expression, ...]:
    by_text = {expression_text(operand): operand for operand in operands}
    return tuple(by_text[text] for text in sorted(by_text))


def _within(operand: Expression, *looser: type) -> str:
    text = expression_text(operand)
    return f"({text})" if isinstance(operand, looser) else text


def _values_text(inner: In) -> str:
    return f"({', '.join(map(literal_text, inner.values))})"


def _operand_text(operand: Field | Literal) -> str:
    return str(operand) if isinstance(operand, Field) else literal_text(operand)


def _key(key: str) -> str:
    return key if _PLAIN_KEY.fullmatch(key) else json.dumps(key, ensure_ascii=False)
