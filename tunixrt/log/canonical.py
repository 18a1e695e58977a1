"""Canonical JSON (RFC 8785, JCS): one value, one sequence of bytes.

msgspec does nearly all of the work. Where it is not JCS (floats, keys beyond the Basic
Multilingual Plane) or not strict (duplicate keys, NaN), the value leaves the fast path and
``exact_json`` does it slowly. The test that a value may stay is made on the encoded bytes, never on
the Python value, and errs only towards the slow path.

Two readers, because two kinds of bytes are read:

* ``decode`` reads what people and other programs write. An integer literal beyond 2^53 - 1 is
  refused, since other readers would change it in silence.
* ``decode_canonical`` reads what a store holds. There, ``10000000000000000`` can only be the
  canonical form of the double 1e16, and the bytes are refused unless they are canonical.

Text is not Unicode-normalised: two spellings of one letter are two values.
"""

from __future__ import annotations

import re

import msgspec

from tunixrt.log import exact_json
from tunixrt.log.exact_json import MAX_DEPTH, MAX_INTEGER, CanonicalError, JsonValue

__all__ = [
    "MAX_DEPTH",
    "MAX_INTEGER",
    "CanonicalError",
    "JsonValue",
    "decode",
    "decode_canonical",
    "encode",
    "is_canonical",
]

_encode = msgspec.json.Encoder(order="sorted").encode
_decode = msgspec.json.Decoder().decode

_BELOW_EE = bytes(range(0xEE))
_STRUCTURE = b"{}[]:,"
# What may differ outside of strings. msgspec too writes the shortest digits of a double, and lays
# them out as RFC 8785 says except for whole numbers (1.0, -0.0), exponents, and what is below 1e-6.
_LARGE_INTEGER = re.compile(rb"(?<![0-9.])[0-9]{16}")
_OTHER_NUMBER = re.compile(rb"(?<![0-9.])[0-9]{16}|[0-9]e|\.0(?![0-9])|0\.000000")
# On the way out, null may have been a NaN.
_OTHER_LITERAL = re.compile(_OTHER_NUMBER.pattern + rb"|null")


def encode(value: object) -> bytes:
    """Write a value as canonical JSON, UTF-8, without a trailing newline (RFC 8785).

    Args:
        value: None, booleans, integers, floats, text, lists and tuples of them, dictionaries with
            text keys, and msgspec structs (a struct says itself whether defaults are left out).

    Raises:
        CanonicalError: For NaN, infinities, integers beyond 2^53 - 1, lone surrogates, nesting
            deeper than MAX_DEPTH, and types that JSON does not have.
    """
    try:
        data = _encode(value)
    except (UnicodeEncodeError, RecursionError, TypeError, ValueError):
        return exact_json.write(_builtins(value))
    if _is_exact(data, _OTHER_LITERAL):
        return data
    return exact_json.write(_builtins(value))


def decode(data: bytes) -> JsonValue:
    """Read one JSON text that somebody wrote, strictly.

    Raises:
        CanonicalError: For anything that is not one JSON text in valid UTF-8 or that readers
            understand differently: duplicate keys, NaN and infinities, integers beyond 2^53 - 1,
            numbers beyond a double, lone surrogates, nesting deeper than MAX_DEPTH, and bytes
            after the end. The sentence names the position or the key.
    """
    try:
        value: JsonValue = _decode(data)
        again = _encode(value)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return exact_json.parse(data)
    # A duplicate key loses at least its two quotation marks on the way through msgspec. Every other
    # quotation mark stays one, escaped or not, unless it was written as \u0022.
    if (
        data.count(b'"') == again.count(b'"')
        and b"\\u0022" not in data
        and _is_exact(again, _LARGE_INTEGER)
    ):
        return value
    return exact_json.parse(data)


def decode_canonical(data: bytes) -> JsonValue:
    """Read bytes that must be canonical JSON, such as a payload of a sealed segment.

    Raises:
        CanonicalError: If the bytes are not exactly what ``encode`` writes for their value.
    """
    try:
        value: JsonValue = _decode(data)
        if _encode(value) == data and _is_exact(data, _OTHER_NUMBER):
            return value
    except (msgspec.MsgspecError, ValueError, RecursionError):
        pass  # the exact reader says what is wrong
    value = exact_json.parse(data, stored=True)
    if exact_json.write(value) != data:
        raise CanonicalError("This is JSON, but not in canonical form (RFC 8785).")
    return value


def is_canonical(data: bytes) -> bool:
    """Say whether the bytes are one canonical JSON text (RFC 8785)."""
    try:
        decode_canonical(data)
    except CanonicalError:
        return False
    return True


def _is_exact(data: bytes, inexact: re.Pattern[bytes]) -> bool:
    """Say whether msgspec's bytes are sure to be RFC 8785's.

    Written for speed: this runs once for every record of an import.
    """
    if not data.isascii():
        high = data.translate(None, _BELOW_EE)
        # Sorting by UTF-8 bytes differs from sorting by UTF-16 code units only where a character
        # beyond U+FFFF (lead bytes F0 to F4) meets one of U+E000 to U+FFFF (lead bytes EE, EF).
        beyond = high.translate(None, b"\xee\xef")
        if beyond and len(beyond) != len(high):
            return False
    # In a JSON text a backslash begins an escape of two bytes. Without escaped backslashes and
    # escaped quotation marks, every second piece between quotation marks is outside of strings.
    if b"\\" in data:
        data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    structure = b"".join(data.split(b'"')[::2])
    if structure.count(b"[") + structure.count(b"{") > MAX_DEPTH:
        try:
            exact_json.check_nesting(structure)
        except CanonicalError:
            return False
    literals = structure.translate(None, _STRUCTURE)
    # Fewer than 16 digits in all: no float, no large integer, no other literal.
    if not literals or (len(literals) < 16 and literals.isdigit()):
        return True
    return inexact.search(structure) is None


def _builtins(value: object) -> object:
    try:
        return msgspec.to_builtins(value)
    except RecursionError:
        exact_json.raise_depth()
    except (TypeError, ValueError):
        return value  # the exact writer names the value that does not fit
