r"""Labelled pairs (expected answer, response) from grammars; the labels are right by construction.

A family has a kind of value and templates. Of every value drawn, each template of ``answers`` is
filled in twice: with the value (right) and with a near miss of it (wrong), so a judge that accepts
the form without reading the number gains nothing. The templates of ``wrong`` mention the value and
answer with another one, with several, or with none; they are filled in with the value.

``«n»`` and its like are fields; their spelling is made by the value, never by the judge's parser.
Everything follows from a seed, on every version of Python.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from tunixrt.traces.prng import Sha256Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

Fields = dict[str, str]
_FIELD = re.compile("«([a-zA-Z_0-9]+)»")


class Pair(NamedTuple):
    """An expected answer and a response, and whether the response is right."""

    family: str
    expected: str
    response: str
    correct: bool


class Value(NamedTuple):
    """An expected answer and the fields that spell it."""

    expected: str
    fields: Fields


class Kind(NamedTuple):
    """Draws a value and a near miss of it; ``other`` fields are of neither."""

    draw: Callable[[Sha256Stream], tuple[Value, Value]]


class Family(NamedTuple):
    """Templates for one kind of value; ``run_on`` wants a judge that stops at a new question."""

    name: str
    kind: Kind
    answers: Sequence[str]
    wrong: Sequence[str] = ()
    n_values: int = 2
    run_on: bool = False


def pairs(
    families: Sequence[Family], words: Mapping[str, Sequence[str]], seed: str
) -> Iterator[Pair]:
    """The pairs of the families, each once."""
    seen: set[tuple[str, str]] = set()
    for family in families:
        for pair in _of_family(family, words, Sha256Stream(f"{seed}, {family.name}")):
            if (pair.expected, pair.response) not in seen:
                seen.add((pair.expected, pair.response))
                yield pair


def _of_family(
    family: Family, words: Mapping[str, Sequence[str]], stream: Sha256Stream
) -> Iterator[Pair]:
    for _ in range(family.n_values):
        for template in family.answers:
            value, miss = family.kind.draw(stream)
            chosen = {word: pick(stream, options) for word, options in words.items()}
            yield Pair(family.name, value.expected, fill(template, chosen | value.fields), True)
            yield Pair(family.name, value.expected, fill(template, chosen | miss.fields), False)
        for template in family.wrong:
            value, _ = family.kind.draw(stream)
            chosen = {word: pick(stream, options) for word, options in words.items()}
            yield Pair(family.name, value.expected, fill(template, chosen | value.fields), False)


def fill(template: str, fields: Mapping[str, str]) -> str:
    return _FIELD.sub(lambda match: fields[match[1]], template)


def pick(stream: Sha256Stream, options: Sequence[str]) -> str:
    return options[stream.below(len(options))]


# --- whole numbers ---------------------------------------------------------------------------

_ONES = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
]  # fmt: skip
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]


def in_words(n: int) -> str:
    """The English name of a number below 100."""
    if n < 20:
        return _ONES[n]
    tens, ones = divmod(n, 10)
    return _TENS[tens - 2] + (f"-{_ONES[ones]}" if ones else "")


def grouped(n: int, sign: str) -> str:
    return f"{n:,}".replace(",", sign)


def indian(n: int) -> str:
    head, tail = divmod(n, 1000)
    groups: list[str] = []
    while head >= 100:
        head, part = divmod(head, 100)
        groups.insert(0, f"{part:02}")
    return ",".join([str(head), *groups, f"{tail:03}"]) if n >= 1000 else str(n)


def _whole_fields(n: int, other: int, stream: Sha256Stream, *, signed: str = "") -> Fields:
    """Spellings of ``n``; ``o`` is another number, ``a + b = n``."""
    a = 1 + stream.below(max(n - 1, 1))
    cents = f"{n % 100:02}"
    fields = {
        "n": f"{signed}{n}", "o": f"{signed}{other}", "p": str(n + other), "a": str(a),
        "b": str(n - a), "square": str(n * n), "cube": str(n**3), "double": str(2 * n),
        "comma": f"{n:,}", "space": grouped(n, " "), "thin": grouped(n, "\u2009"),
        "nbsp": grouped(n, "\u00a0"), "narrow": grouped(n, "\u202f"), "apostrophe": grouped(n, "'"),
        "raised": grouped(n, "’"), "underscore": grouped(n, "_"), "dots": grouped(n, "."),
        "brace": grouped(n, "{,}"), "bang": grouped(n, r"\!,"), "after": grouped(n, r",\!"),
        "small": grouped(n, r"\,"), "braced_small": grouped(n, r"{\,}"), "tilde": grouped(n, "~"),
        "indian": indian(n), "ospace": grouped(other, " "), "cc": cents, "m": str(n), "nn": cents,
        "word": in_words(n) if n < 100 else str(n), "minus": f"−{n}", "nextn": str(n + 1),
        "power": str(2**n) if n < 40 else "1", "below": str(n - 1),
    }  # fmt: skip
    fields["Word"] = fields["word"].capitalize()
    return fields


def near(n: int, stream: Sha256Stream) -> int:
    """Off by one, by a factor of ten, or with two digits changed over; always positive."""
    digits = str(n)
    swapped = int(digits[:-2] + digits[-1] + digits[-2]) if len(digits) > 1 else n + 2
    found = (n + 1, n - 1, n * 10, swapped, n + 10)[stream.below(5)]
    return found if found > 0 and found != n and len(str(found)) >= len(digits) else n + 1


def whole(low: int, high: int, *, before: str = "", behind: str = "", signed: str = "") -> Kind:
    """Whole numbers from ``low`` to ``high``, with what is written around the expected one."""

    def draw(stream: Sha256Stream) -> tuple[Value, Value]:
        n = low + stream.below(high - low + 1)
        miss = near(n, stream)
        if high < 100:
            miss = miss if miss < 100 else n - 1 if n > 2 else n + 1
        other = low + stream.below(high - low + 1)
        while other in (n, miss):
            other += 1
        expected = f"{before}{signed}{n}{behind}"
        return tuple(  # type: ignore[return-value]
            Value(expected, _whole_fields(number, other, stream, signed=signed))
            for number in (n, miss)
        )

    return Kind(draw)


# --- other kinds -----------------------------------------------------------------------------


def _fraction_fields(top: int, bottom: int) -> Fields:
    whole_part, rest = divmod(top, bottom)
    value = Fraction(top, bottom)
    return {
        "t": str(top), "u": str(bottom), "t3": str(3 * top), "u3": str(3 * bottom),
        "decimal": f"{float(value):.6f}".rstrip("0"), "w": str(whole_part), "r": str(rest),
        "percent": f"{float(value * 100):.6f}".rstrip("0").rstrip("."),
    }  # fmt: skip


def fraction(*, mixed: bool = False) -> Kind:
    """Fractions with a finite decimal; mixed ones are above 1 and written as such."""

    def draw(stream: Sha256Stream) -> tuple[Value, Value]:
        bottom = (4, 5, 8, 20)[stream.below(4)]
        top = 1 + stream.below(bottom - 1)
        while Fraction(top, bottom).denominator != bottom:
            top = 1 + stream.below(bottom - 1)
        if mixed:
            top += bottom * (1 + stream.below(9))
        miss = top + bottom if mixed else bottom + top
        expected = f"{top // bottom} {top % bottom}/{bottom}" if mixed else f"{top}/{bottom}"
        return (
            Value(expected, _fraction_fields(top, bottom)),
            Value(expected, _fraction_fields(miss, bottom)),
        )

    return Kind(draw)


def _clock_fields(hour: int, minute: int, half: str) -> Fields:
    other = {"am": "pm", "pm": "am"}[half]
    return {
        "h": str(hour), "hh": f"{hour:02}", "mm": f"{minute:02}", "low": half, "up": half.upper(),
        "dotted": f"{half[0]}.{half[1]}.", "other": other, "Other": other.upper(),
        "other_dotted": f"{other[0]}.{other[1]}.", "Dotted": f"{half[0]}.{half[1]}.".upper(),
    }  # fmt: skip


def clock(*, full: bool = False) -> Kind:
    """Times of day, ``3:30 pm`` or ``8:00 AM``."""

    def draw(stream: Sha256Stream) -> tuple[Value, Value]:
        hour = 1 + stream.below(11)
        minute = 0 if full else 5 * (1 + stream.below(11))
        half = ("am", "pm")[stream.below(2)]
        shown = (half, half.upper(), f"{half[0]}.{half[1]}.")[stream.below(3)]
        expected = f"{hour}:{minute:02} {shown}"
        missed = (hour + 1, minute) if full or stream.below(2) else (hour, (minute + 5) % 60)
        return (
            Value(expected, _clock_fields(hour, minute, half)),
            Value(expected, _clock_fields(*missed, half)),
        )

    return Kind(draw)


def money(sign: str, *, whole_too: bool = False) -> Kind:
    """Amounts with cents, ``$0.50``; with ``whole_too`` of more than one unit, ``$1.25``."""

    def draw(stream: Sha256Stream) -> tuple[Value, Value]:
        cents = 5 * (1 + stream.below(18)) + (100 * (1 + stream.below(8)) if whole_too else 0)
        expected = f"{sign}{cents // 100}.{cents % 100:02}"
        fields = [
            {
                "c": str(n), "amount": f"{n // 100}.{n % 100:02}", "cc": f"{n % 100:02}",
                "whole": str(n // 100), "rest": str(n % 100),
            }
            for n in (cents, cents + (1, 10, 5)[stream.below(3)])
        ]  # fmt: skip
        return Value(expected, fields[0]), Value(expected, fields[1])

    return Kind(draw)


_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def scientific() -> Kind:
    """Large whole numbers of two digits and zeros."""

    def draw(stream: Sha256Stream) -> tuple[Value, Value]:
        mantissa = 11 + stream.below(88)
        while mantissa % 10 == 0:
            mantissa += 1
        exponent = 4 + stream.below(6)
        expected = str(mantissa * 10 ** (exponent - 1))
        made = [(mantissa, exponent), (mantissa, exponent + 1 - 2 * stream.below(2))]
        fields = [
            {"f": f"{m // 10}.{m % 10}", "e": str(e), "raised": str(e).translate(_RAISED)}
            for m, e in made
        ]
        return Value(expected, fields[0]), Value(expected, fields[1])

    return Kind(draw)


def word(options: Sequence[str]) -> Kind:
    """One word of a list; the near miss is another one."""

    def draw(stream: Sha256Stream) -> tuple[Value, Value]:
        at = stream.below(len(options))
        others = [option for option in options if option != options[at]]
        miss = others[stream.below(len(others))]
        third = next(option for option in others if option != miss)
        return (
            Value(options[at], {"x": options[at], "y": third, "low": options[at].lower()}),
            Value(options[at], {"x": miss, "y": third, "low": miss.lower()}),
        )

    return Kind(draw)


def two(shape: str) -> Kind:
    """Two numbers in a shape, ``(3, 4)``; the near miss changes one of them."""

    def draw(stream: Sha256Stream) -> tuple[Value, Value]:
        a, b = 2 + stream.below(20), 23 + stream.below(20)
        expected = fill(shape, {"a": str(a), "b": str(b)})
        miss = (a, b + 1) if stream.below(2) else (a + 1, b)
        return (
            Value(expected, {"a": str(a), "b": str(b)}),
            Value(expected, {"a": str(miss[0]), "b": str(miss[1])}),
        )

    return Kind(draw)


def pairs_of_units(units: Mapping[str, tuple[Sequence[str], Sequence[str]]]) -> Kind:
    """Amounts of a unit; ``alias`` is another name of it, ``alien`` another unit."""

    def draw(stream: Sha256Stream) -> tuple[Value, Value]:
        unit = pick(stream, sorted(units))
        same, different = units[unit]
        n = 2 + stream.below(80)
        fields = {"unit": unit, "alias": pick(stream, same), "alien": pick(stream, different)}
        expected = f"{n} {unit}"
        return (
            Value(expected, fields | {"n": str(n), "o": str(n + 7)}),
            Value(expected, fields | {"n": str(near(n, stream)), "o": str(n + 7)}),
        )

    return Kind(draw)
