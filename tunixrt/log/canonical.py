"""Canonical JSON (RFC 8785, JCS): one value, one sequence of bytes.

msgspec does nearly all of the work. Where it is not JCS (floats, keys beyond the Basic
Multilingual Plane) or not strict (duplicate keys, NaN), the value leaves the fast path and
``exact_json`` does it slowly. The check for the fast path is made on the encoded bytes, never on
the Python value, and errs only towards the slow path.

Several readers, because several kinds of bytes are read:

* ``decode`` reads what people and other programs write. An integer literal beyond 2^53 - 1 is
  refused, since other readers would change it silently.
* ``decode_canonical`` reads what a store holds. There, ``10000000000000000`` can only be the
  canonical form of the double 1e16, and the bytes are refused unless they are canonical.
* ``decode_stored`` reads what tunixrt wrote and need not be canonical any more: lines of metrics
  and predictions that a report or an import reads.

Text is not Unicode-normalised: two spellings of one letter are two values.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NoReturn

import msgspec

from tunixrt.log import exact_json
from tunixrt.log.exact_json import MAX_DEPTH, MAX_INTEGER, CanonicalError, JsonValue

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "MAX_DEPTH",
    "MAX_INTEGER",
    "CanonicalError",
    "JsonValue",
    "are_canonical",
    "decode",
    "decode_canonical",
    "decode_stored",
    "encode",
    "is_canonical",
]

_encoder = msgspec.json.Encoder(order="sorted")
_encode = _encoder.encode
_decode = msgspec.json.Decoder().decode


def _refuse(digits: str) -> NoReturn:
    raise ValueError(digits)


# Of the values that it reads, no number is a float.
_without_floats = msgspec.json.Decoder(float_hook=_refuse)
# One pass over the bytes answers two questions: is a number long, and is the nesting deep?
_ALIKE = bytes.maketrans(b"123456789[", b"000000000{")
_SIXTEEN_DIGITS = b"0" * 16

_BELOW_EE = bytes(range(0xEE))
_STRUCTURE = b"{}[]:,"
# What may differ outside of strings. msgspec too writes the shortest digits of a double, and lays
# them out by RFC 8785 except for whole numbers (1.0, -0.0), exponents, and what is below 1e-6.
_LARGE_INTEGER = re.compile(rb"(?<![0-9.])[0-9]{16}")
_OTHER_NUMBER = re.compile(rb"(?<![0-9.])[0-9]{16}|[0-9]e|\.0(?![0-9])|0\.000000")
# On the way out, null may have been a NaN.
_OTHER_LITERAL = re.compile(_OTHER_NUMBER.pattern + rb"|null")


def encode(value: object) -> bytes:
    """Write a value as canonical JSON, UTF-8, without a trailing newline (RFC 8785).

    Args:
        value: None, booleans, integers, floats, text, lists and tuples of them, dictionaries with
            text keys, and msgspec structs (whose own option decides whether defaults are left
            out).

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
    """Return the value of one JSON text, parsed strictly.

    Raises:
        CanonicalError: For anything that is not one JSON text in valid UTF-8 or that readers
            understand differently: duplicate keys, NaN and infinities, integers beyond 2^53 - 1,
            numbers beyond a double, lone surrogates, nesting deeper than MAX_DEPTH, and bytes
            after the end. The sentence names the position or the key.
    """
    try:
        value, is_plain = _decode_any(data)
        again = _encode(value)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return exact_json.parse(data)
    # A duplicate key loses at least its two quotation marks on the way through msgspec. Every other
    # quotation mark stays one, escaped or not, unless it was written as \u0022.
    if (
        data.count(b'"') == again.count(b'"')
        and b"\\u0022" not in data
        and ((is_plain and _is_plain(again)) or _is_exact(again, _LARGE_INTEGER))
    ):
        return value
    return exact_json.parse(data)


def _decode_any(data: bytes) -> tuple[JsonValue, bool]:
    """Return the value that msgspec decodes, and whether it holds no float."""
    try:
        return _without_floats.decode(data), True
    except msgspec.ValidationError:
        return _decode(data), False


def decode_canonical(data: bytes) -> JsonValue:
    """Read bytes that must be canonical JSON, such as a payload of a sealed segment.

    Raises:
        CanonicalError: If the bytes are not exactly what ``encode`` writes for their value.
    """
    try:
        value, is_plain = _decode_any(data)
        if _encode(value) == data and (
            (is_plain and _is_plain(data)) or _is_exact(data, _OTHER_NUMBER)
        ):
            return value
    except (msgspec.MsgspecError, ValueError, RecursionError):
        pass  # the exact reader reports what is wrong
    value = exact_json.parse(data, stored=True)
    if exact_json.write(value) != data:
        raise CanonicalError("This is JSON, but not in canonical form (RFC 8785).")
    return value


def decode_stored(data: bytes) -> JsonValue:
    """Return the value of JSON that tunixrt wrote, even if another tool reformatted it since.

    As ``decode``, but digits beyond 2^53 - 1 are the canonical form of a double there, too: an
    integer of that size is refused on the way out, so none was meant.

    Raises:
        CanonicalError: For anything else that ``decode`` refuses.
    """
    try:
        return decode(data)
    except CanonicalError:
        return exact_json.parse(data, stored=True)


def is_canonical(data: bytes) -> bool:
    """Return whether the bytes are one canonical JSON text (RFC 8785)."""
    try:
        decode_canonical(data)
    except CanonicalError:
        return False
    return True


def are_canonical(texts: Sequence[bytes]) -> bool:
    """Return whether each of some texts, none with a line feed in it, is canonical JSON (RFC 8785).

    Keep the batch small: one text that is not plain makes it check each one separately. Sixteen at
    a time took half the time of one at a time, on traces of 700 bytes.
    """
    lines = b"\n".join(texts) + b"\n"
    try:
        # However msgspec split the values, each line is what it writes for one.
        if _encoder.encode_lines(_without_floats.decode_lines(lines)) == lines and _is_plain(lines):
            return True
    except (msgspec.MsgspecError, ValueError, RecursionError):
        pass
    return all(map(is_canonical, texts))


def _is_plain(data: bytes) -> bool:
    """Return whether msgspec's bytes without a float are sure to be RFC 8785's.

    Cheaper than ``_is_exact``, because it does not separate text from structure.
    """
    alike = data.translate(_ALIKE)
    return alike.count(b"{") <= MAX_DEPTH and _SIXTEEN_DIGITS not in alike and _sorts_alike(data)


def _sorts_alike(data: bytes) -> bool:
    """Return whether keys in these bytes sort alike as UTF-8 and as UTF-16.

    They differ only where a character beyond U+FFFF (lead bytes F0 to F4) meets one of U+E000 to
    U+FFFF (lead bytes EE, EF).
    """
    if b"\xee" not in data and b"\xef" not in data:
        return True
    high = data.translate(None, _BELOW_EE)
    beyond = high.translate(None, b"\xee\xef")
    return not beyond or len(beyond) == len(high)


def _is_exact(data: bytes, inexact: re.Pattern[bytes]) -> bool:
    """Return whether msgspec's bytes are sure to be RFC 8785's.

    Written for speed: this runs once for every record of an import.
    """
    if not _sorts_alike(data):
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
