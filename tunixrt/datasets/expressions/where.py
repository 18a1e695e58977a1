"""What follows ``--where``: expressions, and the filters ``KEY=VALUE`` on metadata and labels."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import msgspec

from tunixrt.datasets.expressions.fields import FIELDS, LABEL
from tunixrt.datasets.expressions.nodes import (
    Compare,
    Expression,
    Field,
    Literal,
    conjunction,
    expression_text,
    parts_of,
)
from tunixrt.datasets.expressions.parsing import parse_expression
from tunixrt.errors import BadInputError
from tunixrt.log.canonical import encode
from tunixrt.words import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable

# An equals sign without blanks around it, after a key that no expression could begin with.
_FILTER: Final = re.compile(r"([^\s=<>!\"'()]+)=(?![=\s])(.*)", re.DOTALL)


class FilterError(BadInputError):
    """Two filters ask for two values of one key."""


class Where(msgspec.Struct, frozen=True):
    """What traces must match: every filter, and the expression if there is one.

    ``filters`` maps a key of ``meta``, or ``label.NAME``, to the text of its value.
    """

    filters: dict[str, str]
    expression: Expression | None = None

    @property
    def is_empty(self) -> bool:
        """Whether every trace matches."""
        return not self.filters and self.expression is None

    @property
    def text(self) -> str | None:
        """The canonical text of the expression."""
        return None if self.expression is None else expression_text(self.expression)


def parse_where(given: Mapping[str, str] | Iterable[str] | str | None) -> Where:
    """Return what texts after ``--where`` ask for, all of them together.

    Args:
        given: Texts, each an expression or ``KEY=VALUE``; or a mapping of filters.

    Raises:
        ExpressionError: A text is neither.
        FilterError: Two filters ask for two values of one key.
    """
    if given is None or isinstance(given, Mapping):
        return Where(dict(given or {}))
    filters: dict[str, str] = {}
    expressions: list[Expression] = []
    for text in (given,) if isinstance(given, str) else given:
        pair = _filter(text)
        if pair is None:
            expressions.append(parse_expression(text))
            continue
        key, value = pair
        if filters.get(key, value) != value:
            raise FilterError(
                f"The filters give {key} two values, {filters[key]!r} and {value!r}: no trace has "
                f"both. Either value is meta.{key} in ({quoted(filters[key])}, {quoted(value)})."
            )
        filters[key] = value
    return Where(filters, conjunction(expressions) if expressions else None)


def equal_metadata(where: Where) -> dict[str, str]:
    """Return the metadata that a match must have, as the texts by which an index knows them."""
    equal = {k: v for k, v in where.filters.items() if not k.startswith(f"{LABEL}.")}
    for part in () if where.expression is None else parts_of(where.expression):
        match part:
            case Compare(field=Field(name="meta", path=(key,)), operator="=", operand=operand):
                if not isinstance(operand, Field):
                    equal[key] = _indexed(operand)
    return equal


def _indexed(literal: Literal) -> str:
    """Return the text of a value: text as it is, anything else as canonical JSON."""
    if isinstance(literal, str):
        return literal
    value = float(literal) if isinstance(literal, Decimal) else literal
    return encode(value).decode()


def _filter(text: str) -> tuple[str, str] | None:
    """Return key and value of ``KEY=VALUE``; None for what is meant as an expression.

    A field keeps its meaning: ``n_steps=5`` is an expression, and so is ``label.x="a"``.
    """
    match = _FILTER.fullmatch(text)
    if match is None:
        return None
    first = match[1].partition(".")[0]
    is_label = first == LABEL and not match[2].startswith(('"', "'"))
    return (match[1], match[2]) if first not in FIELDS or is_label else None
