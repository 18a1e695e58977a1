r"""Exact numbers with units, read from the text of an answer.

``1,198``, ``$12``, ``-3/4``, ``1 1/2``, ``50%``, ``6.02 × 10^23``, ``120 km/h``, ``3 million``,
``0.(3)``, ``2pi`` and ``twenty-five`` are quantities. Values are exact fractions: ``0.5`` equals
``1/2``, and ``1/3`` does not equal ``0.33``. A percentage is its value: ``50%`` equals ``1/2``.
Arithmetic is not evaluated: ``12 + 3`` and ``2^10`` are text, so a response that only repeats the
question earns nothing. Factors that are not rational (pi, roots) are kept as they are written.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import msgspec

from tunixrt.eval.judge.number_words import read_number_words
from tunixrt.eval.judge.units import Unit, lookup, parse_unit

if TYPE_CHECKING:
    from collections.abc import Sequence

_MAX_CHARACTERS: Final = 400
_MAX_EXPONENT: Final = 400

_DECIMAL: Final = r"(?:\d{1,3}(?:[,'_]\d{3})+|\d+)(?:\.\d*(?:\(\d+\))?)?|\.\d+(?:\(\d+\))?"
_NUMBER: Final = rf"""
    (?P<mixed>\d+)\s+(?:and\s+)?(?P<mixed_top>\d+)\s*/\s*(?P<mixed_bottom>\d+)
  | (?P<top>{_DECIMAL})\s*/\s*(?P<bottom>{_DECIMAL})
  | (?P<mantissa>{_DECIMAL})
    (?:[eE](?P<exponent>[+-]?\d+)|\s*[×x*]\s*10\s*(?:\^|\*\*)\s*[({{]?(?P<power>[+-]?\d+)[)}}]?)?
"""
_POWER_OF_TEN: Final = r"10\s*(?:\^|\*\*)\s*[({]?(?P<bare_power>[+-]?\d+)[)}]?"
_CURRENCY: Final = r"(?P<currency>US\$|[$€£¥₹]|(?:USD|EUR|GBP|JPY|INR|CHF|Rs\.?)(?=\s|\d))?"
_QUANTITY: Final = re.compile(
    rf"(?P<sign>[+-]?)\s*{_CURRENCY}\s*(?P<inner_sign>-?)(?:{_POWER_OF_TEN}|{_NUMBER})(?P<rest>.*)",
    re.VERBOSE | re.DOTALL,
)
_SYMBOL: Final = re.compile(
    r"\s*[×*]?\s*(?P<symbol>pi\b|sqrt\([^()]{1,40}\))\s*(?:/\s*(?P<divisor>\d+))?(?P<rest>.*)",
    re.DOTALL | re.IGNORECASE,
)
_PERCENT: Final = re.compile(r"\s*(?:%|percent\b|per cent\b|pct\b\.?)(?P<rest>.*)", re.DOTALL)
_ATTACHED: Final = {"k": 10**3, "K": 10**3, "M": 10**6, "bn": 10**9, "B": 10**9}
_MULTIPLIERS: Final = {
    "dozen": 12, "hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9,
    "trillion": 10**12,
}  # fmt: skip
_MULTIPLIER: Final = re.compile(
    rf"\s+(?P<word>{'|'.join(_MULTIPLIERS)})s?\b(?:\s+of\b)?(?P<rest>.*)",
    re.DOTALL | re.IGNORECASE,
)
_ATTACHED_MULTIPLIER: Final = re.compile(r"(?P<word>bn|[kKMB])(?![\w/^])(?P<rest>.*)", re.DOTALL)
_APPROXIMATELY: Final = re.compile(
    r"^(?:≈|~|about|approximately|approx\.?|around|roughly)\s*(?=[-$€£\d.])", re.IGNORECASE
)


class Quantity(msgspec.Struct, frozen=True):
    """An exact number, a factor that is not rational (``pi``) and a unit."""

    value: Fraction
    factor: str = ""
    unit: Unit | None = None
    percent: bool = False


#: Money in dollars and in cents is one value, unlike a distance in metres and in kilometres:
#: `$0.50` is `50 cents`, and no question asks for the conversion.
_HUNDREDTHS: Final = {"cent": frozenset({"dollar", "euro"}), "pence": frozenset({"sterling"})}


def same_money(a: Quantity, b: Quantity) -> bool:
    """Whether one amount is in hundredths of the other's unit, and both are one value."""
    for small, large in ((a, b), (b, a)):
        if small.unit is None or large.unit is None:
            continue
        if large.unit.name in _HUNDREDTHS.get(small.unit.name, ()):
            return small.value / 100 == large.value and small.factor == large.factor
    return False


def money_of_two(parts: Sequence[Quantity | None]) -> Quantity | None:
    """The amount of ``1 dollar and 25 cents``, or None if the parts are not such a pair."""
    whole, rest = parts if len(parts) == 2 else (None, None)
    if whole is None or rest is None:
        return None
    if whole.unit is None or rest.unit is None or whole.factor or rest.factor:
        return None
    if whole.unit.name not in _HUNDREDTHS.get(rest.unit.name, ()) or not 0 <= rest.value < 100:
        return None
    if whole.value < 0 or whole.value.denominator != 1:
        return None
    return Quantity(whole.value + rest.value / 100, unit=whole.unit)


def parse_quantity(text: str) -> Quantity | None:
    """The quantity if the whole text is one, else None.

    Args:
        text: an answer as ``markup.plain`` leaves it.
    """
    text = text.strip()
    if not text or len(text) > _MAX_CHARACTERS:
        return None
    text = _APPROXIMATELY.sub("", text)
    if match := _QUANTITY.fullmatch(text):
        return _from_digits(match)
    sign, bare = (-1, text[1:].lstrip()) if text.startswith("-") else (1, text)
    if (match := _SYMBOL.fullmatch(bare)) and not match["rest"].strip():
        divisor = int(match["divisor"] or 1)
        return Quantity(Fraction(sign, divisor), _factor(match["symbol"])) if divisor else None
    return _from_words(text)


def _from_digits(match: re.Match[str]) -> Quantity | None:
    value = _value(match)
    if value is None:
        return None
    if (match["sign"] == "-") != (match["inner_sign"] == "-"):
        value = -value
    rest = match["rest"]
    factor = ""
    if symbol := _SYMBOL.fullmatch(rest):
        factor, rest = _factor(symbol["symbol"]), symbol["rest"]
        divisor = int(symbol["divisor"] or 1)
        if divisor == 0:
            return None
        value /= divisor
    if percent := _PERCENT.fullmatch(rest):
        return _percentage(value, factor, percent["rest"])
    value, rest = _multiplied(value, rest)
    return _with_unit(value, factor, match["currency"], rest)


def _value(match: re.Match[str]) -> Fraction | None:
    """The unsigned number of a match; None when it divides by zero or is absurdly large."""
    if match["bare_power"] is not None:
        return _power_of_ten(match["bare_power"])
    if match["mixed"] is not None:
        part = _divided(Fraction(match["mixed_top"]), Fraction(match["mixed_bottom"]))
        return None if part is None else int(match["mixed"]) + part
    if match["top"] is not None:
        return _divided(_decimal(match["top"]), _decimal(match["bottom"]))
    value = _decimal(match["mantissa"])
    exponent = match["exponent"] or match["power"]
    if exponent is None:
        return value
    power = _power_of_ten(exponent)
    return None if power is None else value * power


def _decimal(text: str) -> Fraction:
    """A decimal with groups of thousands, and with a repeating part in brackets: ``0.1(6)``."""
    text = re.sub(r"(?<=\d)[,'_](?=\d)", "", text)
    text, _, repeating = text.rstrip(")").partition("(")
    whole, _, places = text.partition(".")
    value = Fraction(int(whole or 0)) + Fraction(int(places or 0), 10 ** len(places))
    if repeating:
        value += Fraction(int(repeating), (10 ** len(repeating) - 1) * 10 ** len(places))
    return value


def _divided(top: Fraction, bottom: Fraction) -> Fraction | None:
    return top / bottom if bottom else None


def _power_of_ten(text: str) -> Fraction | None:
    exponent = int(text)
    return Fraction(10) ** exponent if abs(exponent) <= _MAX_EXPONENT else None


def _percentage(value: Fraction, factor: str, rest: str) -> Quantity | None:
    """``50%`` and ``50% of the students``, but not ``50% of 80``: that is another number."""
    if any(character.isdigit() for character in rest) or re.search(r"[=+*/<>]", rest):
        return None
    if rest.strip(" .") and not rest[0].isspace():
        return None
    return Quantity(value / 100, factor, percent=True)


def _multiplied(value: Fraction, rest: str) -> tuple[Fraction, str]:
    if match := _ATTACHED_MULTIPLIER.fullmatch(rest):
        return value * _ATTACHED[match["word"]], match["rest"]
    while match := _MULTIPLIER.fullmatch(rest):
        value *= _MULTIPLIERS[match["word"].lower()]
        rest = match["rest"]
    return value, rest


def _with_unit(value: Fraction, factor: str, currency: str | None, rest: str) -> Quantity | None:
    money = (
        lookup(currency.removeprefix("US") if "$" in currency else currency) if currency else None
    )
    if not rest.strip(" .,;"):
        return Quantity(value, factor, Unit(money, known=True) if money else None)
    # `3x` and `3rd` are not quantities; `3km` is, because km is a known unit.
    attached = not rest[0].isspace()
    if money:
        return _money(value, factor, money, rest)
    unit = parse_unit(rest)
    if unit is None or (attached and not unit.known):
        return None
    return Quantity(value, factor, unit)


def _money(value: Fraction, factor: str, money: str, rest: str) -> Quantity | None:
    """``$12 per hour``, ``$12 USD``, ``$12 in total``: words after an amount with a sign."""
    unit = parse_unit(re.sub(r"^\s*(?:per|an?|/)\s+", f" {money}/", rest))
    if unit is None:
        return None
    if unit.name.startswith(money):
        return Quantity(value, factor, unit)
    if unit.known:
        return None
    return Quantity(value, factor, Unit(money, known=True))


def _factor(symbol: str) -> str:
    return symbol.lower().replace(" ", "")


def _from_words(text: str) -> Quantity | None:
    """``Twenty-five apples``: number words at the beginning, then a unit or nothing."""
    read = read_number_words(text)
    if read is None:
        return None
    value, rest = read
    if percent := _PERCENT.fullmatch(rest):
        return _percentage(value, "", percent["rest"])
    return _with_unit(value, "", None, rest)
