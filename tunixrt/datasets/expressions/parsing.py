"""Reads the text of an expression; a fault is shown with a caret under its place.

The grammar (``docs/selection.md`` explains it)::

    expression  = conjunction, {"or", conjunction}
    conjunction = negation, {"and", negation}
    negation    = "not", negation | "(", expression, ")" | comparison
    comparison  = field, ("exists" | "missing")
                | field, ["not"], "in", "(", literal, {",", literal}, ")"
                | field, ["not"], ("contains" | "startswith" | "endswith"), operand
                | field, ("=" | "==" | "!=" | "<" | "<=" | ">" | ">="), operand
                | literal, ("=" | "==" | "!=" | "<" | "<=" | ">" | ">="), field
    operand     = literal | field
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final, TypeVar

from tunixrt.datasets.expressions.fields import FIELDS, LABEL, META, SCORE, Kind
from tunixrt.datasets.expressions.nodes import (
    ORDERS,
    TEXT_OPERATORS,
    Exists,
    Expression,
    Field,
    Literal,
    comparison,
    conjunction,
    disjunction,
    literal_text,
    membership,
    mirrored,
    negation,
)
from tunixrt.datasets.expressions.scanning import ExpressionError, Token, TokenKind, scan
from tunixrt.words import near, quoted

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_MAX_DEPTH: Final = 100
_WORDS: Final = ("in", *TEXT_OPERATORS)
_SYMBOLS: Final = {"=": "=", "==": "=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_CONSTANTS: Final[dict[str, Literal]] = {"true": True, "false": False, "null": None}
_OPERATORS: Final = (
    "an operator (= != < <= > >=, in, contains, startswith, endswith, exists, missing)"
)


def parse_expression(text: str) -> Expression:
    """Return the tree of an expression, in normal form.

    Raises:
        ExpressionError: The text is not an expression, or compares what cannot be equal.
    """
    parser = _Parser(text)
    return parser.whole(parser.expression)


def parse_field(text: str) -> Field:
    """Return the field that a text names, such as ``meta.source``.

    Raises:
        ExpressionError: It does not name a field.
    """
    parser = _Parser(text)
    return parser.whole(parser.field)


class _Parser:
    """Reads tokens from left to right; one method per rule of the grammar."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = scan(text)
        self._next = 0
        self._depth = 0

    def whole(self, rule: Callable[[], T]) -> T:
        """Apply a rule that must reach the end of the text."""
        found = rule()
        if self._token.kind is not TokenKind.END:
            raise self._fault(f"Expected `and`, `or` or the end, but found {self._token.shown}.")
        return found

    # --- rules -----------------------------------------------------------------------------------

    def expression(self) -> Expression:
        parts = [self._conjunction()]
        while self._accept("or"):
            parts.append(self._conjunction())
        return disjunction(parts)

    def field(self) -> Field:
        token = self._token
        if token.kind is not TokenKind.WORDS:
            raise self._fault(f"Expected a field such as meta.source, but found {token.shown}.")
        self._next += 1
        return self._checked_field(token)

    def _conjunction(self) -> Expression:
        parts = [self._negation()]
        while self._accept("and"):
            parts.append(self._negation())
        return conjunction(parts)

    def _negation(self) -> Expression:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise self._fault(f"The expression is nested more than {_MAX_DEPTH} levels deep.")
        if self._accept("not"):
            found = negation(self._negation())
        elif self._accept("("):
            found = self.expression()
            self._expect(")")
        else:
            found = self._comparison()
        self._depth -= 1
        return found

    def _comparison(self) -> Expression:
        if self._is_literal():
            return self._literal_first()
        field = self.field()
        if self._accept("exists"):
            return Exists(field)
        if self._accept("missing"):
            return negation(Exists(field))
        negated = self._accept("not")
        found = self._relation(field, negated=negated)
        return negation(found) if negated else found

    def _relation(self, field: Field, *, negated: bool) -> Expression:
        token = self._token
        if self._accept("in"):
            return self._membership(field)
        for operator in TEXT_OPERATORS:
            if self._accept(operator):
                return self._compared(field, operator, token)
        if negated:
            raise self._fault(
                f"Expected in, contains, startswith or endswith after `not`, but found "
                f"{token.shown}."
            )
        if self._accept("!="):
            return negation(self._compared(field, "=", token))
        for symbol, operator in _SYMBOLS.items():
            if self._accept(symbol):
                return self._compared(field, operator, token)
        raise self._fault(f"Expected {_OPERATORS} after {field}, but found {token.shown}.")

    def _membership(self, field: Field) -> Expression:
        if not self._accept("("):
            raise self._fault(
                f'Expected values in parentheses after `in`, such as ("a", "b"), but found '
                f"{self._token.shown}."
            )
        values = [self._member(field)]
        while self._accept(","):
            values.append(self._member(field))
        self._expect(")")
        return membership(field, values)

    def _member(self, field: Field) -> Literal:
        token, value = self._token, self._literal()
        self._check_types(field, "=", value, token)
        return value

    def _compared(self, field: Field, operator: str, at: Token) -> Expression:
        token = self._token
        operand: Field | Literal
        if self._is_literal():
            operand = self._literal()
        elif token.kind is TokenKind.WORDS and token.words[0] in FIELDS:
            operand = self.field()
        elif token.kind is TokenKind.WORDS:
            raise self._fault(
                f"{token.shown} is not a field; text is written in quotes: "
                f"{literal_text(token.text)}."
            )
        else:
            raise self._fault(f"Expected a value after {at.shown}, but found {token.shown}.")
        self._check_types(field, operator, operand, token)
        return comparison(field, operator, operand)

    def _literal_first(self) -> Expression:
        token, value, at = self._token, self._literal(), self._token
        negated = self._accept("!=")
        operator = "=" if negated else _SYMBOLS.get(at.text, "")
        if not negated and not self._accept(operator and at.text):
            hint = '; the field comes first: prompt contains "km"' if at.text in _WORDS else ""
            raise self._fault(
                f"Expected a comparison after {token.shown}, but found {at.shown}{hint}."
            )
        field = self.field()
        self._check_types(field, operator, value, token)
        found = mirrored(value, operator, field)
        return negation(found) if negated else found

    # --- tokens ----------------------------------------------------------------------------------

    @property
    def _token(self) -> Token:
        return self._tokens[self._next]

    def _accept(self, text: str) -> bool:
        """Take the next token if it is this keyword or symbol."""
        found = self._token.is_word(text) or self._token.is_symbol(text)
        self._next += found
        return found

    def _expect(self, symbol: str) -> None:
        if not self._accept(symbol):
            raise self._fault(f"Expected {symbol!r}, but found {self._token.shown}.")

    def _is_literal(self) -> bool:
        token = self._token
        return token.kind in {TokenKind.TEXT, TokenKind.NUMBER} or (
            token.kind is TokenKind.WORDS and len(token.words) == 1 and token.text in _CONSTANTS
        )

    def _literal(self) -> Literal:
        token = self._token
        if not self._is_literal():
            hint = ""
            if token.kind is TokenKind.WORDS:
                hint = f" Text is written in quotes: {literal_text(token.text)}."
            raise self._fault(
                f"Expected text in quotes or a number, but found {token.shown}.{hint}"
            )
        self._next += 1
        return _CONSTANTS[token.text] if token.kind is TokenKind.WORDS else token.value

    def _fault(self, sentence: str, token: Token | None = None) -> ExpressionError:
        return ExpressionError(sentence, self._text, (token or self._token).place)

    # --- what is named and compared --------------------------------------------------------------

    def _checked_field(self, token: Token) -> Field:
        name, *path = token.words
        if name not in FIELDS:
            raise self._fault(_unknown_field(token), token)
        if FIELDS[name].read is not None and path:
            raise self._fault(f"The field {name} has no parts, but {token.shown} names one.", token)
        if FIELDS[name].read is None and not path:
            example = {META: "meta.source", LABEL: "label.quality"}.get(name, "score.baseline")
            raise self._fault(f"{name} needs a name after it, such as {example}.", token)
        if name in {LABEL, SCORE} and len(path) > 1:
            whole = literal_text(".".join(path))
            raise self._fault(
                f"A {name} has one name; where it holds a dot, it is quoted: {name}.{whole}.", token
            )
        return Field(name, tuple(path))

    def _check_types(
        self, field: Field, operator: str, operand: Field | Literal, token: Token
    ) -> None:
        """Refuse a comparison that is false for every trace."""
        kind = FIELDS[field.name].kind
        if isinstance(operand, Field):
            other = FIELDS[operand.name].kind
            if Kind.ANY not in {kind, other} and kind is not other:
                raise self._fault(
                    f"{field} is {kind}, and {operand} is {other}: they never match.", token
                )
            found: Kind | None = other
        else:
            found = _kind_of(operand)
            if operator in ORDERS[1:] and found is None:
                raise self._fault(f"{token.shown} has no order: expected a number or text.", token)
        if operator in TEXT_OPERATORS:
            if kind is Kind.NUMBER:
                raise self._fault(
                    f"{field} is a number; `{operator}` is for text and lists.", token
                )
            needs_text = operator != "contains" or kind is Kind.TEXT
            if needs_text and found not in {Kind.TEXT, Kind.ANY}:
                raise self._fault(
                    f"Expected text after `{operator}`, but found {token.shown}.", token
                )
        elif kind is not Kind.ANY and found not in {kind, Kind.ANY}:
            hint = ": write it without quotes" if kind is Kind.NUMBER and token.is_numeric else ""
            quotes = ": write it in quotes" if kind is Kind.TEXT and found is Kind.NUMBER else ""
            raise self._fault(
                f"{field} is {kind}, but is compared with {token.shown}{hint}{quotes}.", token
            )
        self._check_id(field, operator, operand, token)

    def _check_id(
        self, field: Field, operator: str, operand: Field | Literal, token: Token
    ) -> None:
        if field.name == "id" and isinstance(operand, str) and operator in {"=", "startswith"}:
            begins = "sha256:"[: len(operand)]
            if not operand.startswith(begins):
                raise self._fault(
                    f'An id begins with "sha256:", but this is {token.shown}: write '
                    f'id startswith "sha256:5d1f0c" for the ids with these digits.',
                    token,
                )


def _kind_of(literal: Literal) -> Kind | None:
    match literal:
        case str():
            return Kind.TEXT
        case Decimal():
            return Kind.NUMBER
        case _:
            return None


def _unknown_field(token: Token) -> str:
    sentence = f"The field {quoted(token.text)} does not exist."
    meant = near(token.words[0], FIELDS)
    if meant:
        did_you_mean = f"Did you mean {' or '.join(map(quoted, meant))}?"
        return f"{sentence} {did_you_mean} A key of the metadata is written {META}.{token.text}."
    return (
        f"{sentence} A key of the metadata is written {META}.{token.text}; the fields are "
        f"{', '.join(FIELDS)}."
    )
