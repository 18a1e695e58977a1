"""Splits the text of an expression into tokens, and shows where a fault is."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from enum import Enum, auto
from typing import Final

import msgspec

from tunixrt.datasets.expressions.nodes import Literal, plain_number
from tunixrt.errors import BadInputError
from tunixrt.words import quoted

#: How much of a long expression is shown on each side of a fault.
_SHOWN: Final = 60
#: Beyond these, no double and no exact integer of JSON has an equal.
_MAX_DIGITS: Final = 400
_MAX_EXPONENT: Final = 400

_BLANK: Final = re.compile(r"[ \t\r\n]*")
_WORD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*", re.ASCII)
_KEY: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*", re.ASCII)
_NUMBER: Final = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_SYMBOL: Final = re.compile(r"==|!=|<=|>=|[=<>(),]")
_TEXT: Final = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'", re.DOTALL)
_ESCAPE: Final = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPED: Final = {
    '"': '"', "'": "'", "\\": "\\", "/": "/",
    "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t",
}  # fmt: skip


class ExpressionError(BadInputError):
    """A text that is not an expression.

    Attributes:
        expression: The text.
        place: Where the fault is, in characters from 0.
    """

    def __init__(self, sentence: str, expression: str, place: int) -> None:
        super().__init__(f"{sentence}\n{_shown(expression, place)}")
        self.expression = expression
        self.place = place


class TokenKind(Enum):
    """What a token is."""

    WORDS = auto()
    TEXT = auto()
    NUMBER = auto()
    SYMBOL = auto()
    END = auto()


class Token(msgspec.Struct, frozen=True):
    """A piece of an expression.

    Attributes:
        kind: What it is.
        text: As it is written.
        place: Where it begins, in characters from 0.
        value: Of a text or a number.
        words: Of a keyword or a field, its parts between the dots.
    """

    kind: TokenKind
    text: str
    place: int
    value: Literal = None
    words: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """The token in a sentence."""
        if self.kind is TokenKind.END:
            return "the end"
        return f"the text {quoted(str(self.value))}" if self.kind is TokenKind.TEXT else self.text

    @property
    def is_numeric(self) -> bool:
        """Whether it is a text that would be a number without its quotes."""
        return isinstance(self.value, str) and _NUMBER.fullmatch(self.value) is not None

    def is_word(self, word: str) -> bool:
        """Return whether it is this keyword."""
        return self.kind is TokenKind.WORDS and self.text == word

    def is_symbol(self, symbol: str) -> bool:
        """Return whether it is this symbol."""
        return self.kind is TokenKind.SYMBOL and self.text == symbol


def scan(text: str) -> list[Token]:
    """Return the tokens of an expression; the last one is its end.

    Raises:
        ExpressionError: A character begins no token.
    """
    tokens: list[Token] = []
    place = _after_blanks(text, 0)
    while place < len(text):
        token, end = _token(text, place)
        tokens.append(token)
        place = _after_blanks(text, end)
    tokens.append(Token(TokenKind.END, "", len(text)))
    return tokens


def _token(text: str, place: int) -> tuple[Token, int]:
    if match := _WORD.match(text, place):
        words, end = _words(text, match)
        return Token(TokenKind.WORDS, text[place:end], place, words=words), end
    if match := _NUMBER.match(text, place):
        value = _number(text, match)
        return Token(TokenKind.NUMBER, match[0], place, value), match.end()
    if match := _TEXT.match(text, place):
        return Token(TokenKind.TEXT, match[0], place, _unquoted(text, match)), match.end()
    if match := _SYMBOL.match(text, place):
        return Token(TokenKind.SYMBOL, match[0], place), match.end()
    if text[place] in "\"'":
        raise ExpressionError("The text that begins here has no closing quote.", text, place)
    raise ExpressionError(f"{quoted(text[place])} begins nothing that is known.", text, place)


def _words(text: str, first: re.Match[str]) -> tuple[tuple[str, ...], int]:
    """Return the parts of a field: after a dot, a key that may be in quotes."""
    words, end = [first[0]], first.end()
    while text[end : end + 1] == ".":
        if match := _KEY.match(text, end + 1):
            words.append(match[0])
        elif match := _TEXT.match(text, end + 1):
            words.append(_unquoted(text, match))
        else:
            sentence = 'Expected a key after the dot; an unusual one is quoted: meta."a key".'
            raise ExpressionError(sentence, text, end + 1)
        end = match.end()
    return tuple(words), end


def _number(text: str, match: re.Match[str]) -> Decimal:
    following = _KEY.match(text, match.end())
    if following is not None:
        sentence = f"{quoted(match[0] + following[0])} is not a number; text is written in quotes."
        raise ExpressionError(sentence, text, match.start())
    mantissa, _, exponent = match[0].lower().partition("e")
    if len(mantissa) > _MAX_DIGITS or len(exponent) > 5 or abs(int(exponent or 0)) > _MAX_EXPONENT:
        raise ExpressionError("The number is too long to be one of JSON.", text, match.start())
    number = plain_number(Decimal(match[0]))
    if math.isinf(float(number)):
        raise ExpressionError("No number of JSON is so large.", text, match.start())
    return number


def _unquoted(text: str, match: re.Match[str]) -> str:
    def replaced(escape: re.Match[str]) -> str:
        code = escape[1]
        if len(code) == 5:
            return chr(int(code[1:], 16))
        if code not in _ESCAPED:
            sentence = (
                f"The escape {quoted(escape[0])} does not exist; a backslash is written twice."
            )
            raise ExpressionError(sentence, text, match.start() + 1 + escape.start())
        return _ESCAPED[code]

    plain = _ESCAPE.sub(replaced, match[0][1:-1])
    # Two escapes of surrogates are one character, as in JSON.
    joined = plain.encode("utf-16-le", "surrogatepass")
    try:
        return joined.decode("utf-16-le")
    except UnicodeDecodeError:
        sentence = "The text holds half of a surrogate pair."
        raise ExpressionError(sentence, text, match.start()) from None


def _after_blanks(text: str, place: int) -> int:
    blanks = _BLANK.match(text, place)
    assert blanks is not None
    return blanks.end()


def _shown(expression: str, place: int) -> str:
    """Return the part of an expression around a fault, and a caret below the fault."""
    begin, end = max(0, place - _SHOWN), place + _SHOWN
    before = _visible(expression[begin:place])
    after = _visible(expression[place:end])
    lead = "..." if begin else ""
    trail = "..." if end < len(expression) else ""
    return f"  {lead}{before}{after}{trail}\n  {' ' * (len(lead) + len(before))}^"


def _visible(text: str) -> str:
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
