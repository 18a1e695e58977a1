"""The exact, slow half of canonical JSON: RFC 8785 written out in Python, and a strict parser.

``tunixrt.log.canonical`` uses it only where msgspec does not follow RFC 8785: numbers
that are not small integers, key orders beyond the Basic Multilingual Plane, duplicate keys, and
the sentence about what is wrong with a document.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from typing import TYPE_CHECKING, NoReturn, TypeAlias

import msgspec

from tunixrt.errors import BadInputError
from tunixrt.words import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"

MAX_DEPTH = 128
"""Arrays and objects nested deeper than this are refused, in every process alike: the depth that a
JSON library survives depends on the caller's stack, and acceptance must not."""

MAX_INTEGER = 2**53 - 1
"""The largest integer that every JSON reader keeps exactly (RFC 7493, section 2.2)."""

_MAX_SHOWN = 21

_STRING_OR_BRACKET = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[{\]}]', re.DOTALL)
_ENCODE_STRING = msgspec.json.Encoder().encode


class CanonicalError(BadInputError):
    """A value that has no canonical JSON form, or bytes that are not acceptable JSON.

    Attributes:
        reason: A sentence with what was found and what is expected.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def number(value: float) -> str:
    """Write a double as ECMAScript does (RFC 8785, section 3.2.2.3; ECMA-262, Number::toString).

    Python's ``repr`` gives the same shortest digits; only the layout around them differs.
    """
    if not math.isfinite(value):
        raise CanonicalError(
            f"The number {value} has no JSON form: use a finite number, or null or text instead."
        )
    if value == 0:
        return "0"  # also for -0.0
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    # `point` is the position of the decimal point, counted from the first significant digit.
    point = len(whole.lstrip("0")) if whole != "0" else len(digits) - len(fraction)
    point += int(exponent or 0)
    digits = digits.rstrip("0")
    return sign + _place_point(digits, point)


def _place_point(digits: str, point: int) -> str:
    n_digits = len(digits)
    if n_digits <= point <= 21:
        return digits + "0" * (point - n_digits)
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return "0." + "0" * -point + digits
    head = digits if n_digits == 1 else f"{digits[0]}.{digits[1:]}"
    return f"{head}e{point - 1:+d}"


def write(value: object) -> bytes:
    """Write a JSON value by RFC 8785, without any shortcut.

    Raises:
        CanonicalError: If the value has no canonical form.
    """
    return b"".join(_pieces(value, 1))


def _pieces(value: object, depth: int) -> Iterator[bytes]:
    match value:
        case None:
            yield b"null"
        case bool():
            yield b"true" if value else b"false"
        case str():
            yield _string(value)
        case int():
            yield _integer(value)
        case float():
            yield number(value).encode()
        case list() | tuple():
            _check_depth(depth)
            yield b"["
            for index, item in enumerate(value):
                if index:
                    yield b","
                yield from _pieces(item, depth + 1)
            yield b"]"
        case dict():
            _check_depth(depth)
            yield from _object(value, depth)
        case _:
            raise CanonicalError(
                f"A value of type {type(value).__name__} has no JSON form: use null, true, false, "
                "numbers, text, lists and objects."
            )


def _object(value: dict[object, object], depth: int) -> Iterator[bytes]:
    keys: list[str] = []
    for key in value:
        if not isinstance(key, str):
            raise CanonicalError(f"The key {key!r} is not text: keys of JSON objects are text.")
        _string(key)  # refuses lone surrogates before the sort meets them
        keys.append(key)
    yield b"{"
    # RFC 8785, section 3.2.3: keys are sorted by their UTF-16 code units.
    for index, key in enumerate(sorted(keys, key=lambda key: key.encode("utf-16-be"))):
        if index:
            yield b","
        yield _string(key) + b":"
        yield from _pieces(value[key], depth + 1)
    yield b"}"


def _string(text: str) -> bytes:
    try:
        return _ENCODE_STRING(text)
    except UnicodeEncodeError as error:
        raise CanonicalError(
            f"The text {_shown(text)} holds the lone surrogate "
            f"U+{ord(text[error.start]):04X} at character {error.start + 1}: surrogates are valid "
            "only in pairs."
        ) from None


def _integer(value: int) -> bytes:
    if abs(value) > MAX_INTEGER:
        raise_integer(str(value) if abs(value) < 10**30 else f"with {value.bit_length()} bits")
    return b"%d" % value


def raise_integer(shown: str) -> NoReturn:
    """Refuse an integer that JSON readers do not keep exactly.

    Raises:
        CanonicalError: Always.
    """
    raise CanonicalError(
        f"The integer {shown} is beyond 2^53 - 1, and other JSON readers would change it: "
        "write it as text, or as a floating point number such as 1e16."
    )


def _check_depth(depth: int) -> None:
    if depth > MAX_DEPTH:
        raise_depth()


def raise_depth() -> NoReturn:
    """Refuse nesting beyond MAX_DEPTH.

    Raises:
        CanonicalError: Always.
    """
    raise CanonicalError(
        f"Lists and objects are nested more than {MAX_DEPTH} deep: flatten the value."
    )


def check_nesting(data: bytes) -> None:
    """Refuse a JSON text that is nested too deep, without parsing it.

    Raises:
        CanonicalError: If arrays and objects are nested deeper than MAX_DEPTH.
    """
    depth = 0
    for token in _STRING_OR_BRACKET.finditer(data):
        first = data[token.start()]
        if first in b"[{":
            depth += 1
            _check_depth(depth)
        elif first in b"]}":
            depth -= 1


def parse(data: bytes, *, stored: bool = False) -> JsonValue:
    """Return the value of one JSON text, parsed strictly.

    Args:
        data: One JSON text, UTF-8.
        stored: Whether integers beyond MAX_INTEGER are the canonical form of a double, as they are
            in bytes that ``number`` wrote; in an input file, one is meant as an integer.

    Raises:
        CanonicalError: If the bytes are not one JSON text that keeps its meaning in every reader.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise CanonicalError(
            f"Byte {error.start + 1} (0x{data[error.start]:02x}) is not valid UTF-8: "
            "save the text as UTF-8."
        ) from None
    check_nesting(data)
    try:
        value: JsonValue = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_constant,
            parse_int=_stored_integer if stored else _written_integer,
            parse_float=_float,
        )
    except json.JSONDecodeError as error:
        raise CanonicalError(_syntax(text, error)) from None
    write(value)  # refuses lone surrogates, which the standard library lets through
    return value


def _syntax(text: str, error: json.JSONDecodeError) -> str:
    if not text.strip(" \t\r\n"):
        return "The text is empty: expected a JSON value."
    if text.startswith("\ufeff"):
        return "The text begins with a byte order mark: save it as UTF-8 without one."
    where = f"column {error.colno}" if error.lineno == 1 else f"line {error.lineno} of the value"
    found = "the end of the text" if error.pos >= len(text) else _shown(text[error.pos :])
    return f"This is not JSON at {where}: {error.msg.rstrip('.')}, and found {found}."


def _shown(text: str) -> str:
    return quoted(text, at_most=_MAX_SHOWN)


def _unique(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    value = dict(pairs)
    if len(value) != len(pairs):
        ((key, _),) = Counter(key for key, _ in pairs).most_common(1)
        raise CanonicalError(
            f"The key {_shown(key)} occurs twice in one object: keep one of the two."
        )
    return value


def _constant(name: str) -> NoReturn:
    raise CanonicalError(f"{name} is not a JSON number: use a finite number, null or text.")


def _written_integer(digits: str) -> int:
    # The length is checked first: Python refuses to convert thousands of digits.
    if len(digits) > 17 or abs(int(digits)) > MAX_INTEGER:
        raise_integer(digits if len(digits) <= 30 else f"{digits[:20]}... ({len(digits)} digits)")
    return int(digits)


def _stored_integer(digits: str) -> int | float:
    if len(digits) <= 17 and abs(int(digits)) <= MAX_INTEGER:
        return int(digits)
    return _float(digits)


def _float(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise CanonicalError(
            f"The number {digits[:30]} is too large for a double, which ends near 1.8e308."
        )
    return value
