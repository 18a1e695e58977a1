from __future__ import annotations

from fractions import Fraction

import pytest

from tunixrt.eval.judge.markup import plain
from tunixrt.eval.judge.number_words import read_number_words
from tunixrt.eval.judge.quantities import Quantity, parse_quantity
from tunixrt.eval.judge.units import Unit, known_unit, parse_unit, singular, units_agree


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("42", 42),
        ("1,234,567.5", Fraction(2469135, 2)),
        ("1'198", 1198),
        ("1_198", 1198),
        ("-3/4", Fraction(-3, 4)),
        ("- 12", -12),
        ("1.5/2", Fraction(3, 4)),
        ("1 and 1/2", Fraction(3, 2)),
        ("-1 1/2", Fraction(-3, 2)),
        ("0.(3)", Fraction(1, 3)),
        ("0.1(6)", Fraction(1, 6)),
        ("6.02e23", 602 * 10**21),
        ("5 x 10^3", 5000),
        ("5*10**3", 5000),
        ("10^(-2)", Fraction(1, 100)),
        ("12k", 12_000),
        ("2 hundred thousand", 200_000),
        ("half", Fraction(1, 2)),
        ("a quarter", Fraction(1, 4)),
        ("two thirds", Fraction(2, 3)),
        ("three fourths", Fraction(3, 4)),
        ("one hundred and five", 105),
        ("two million three hundred thousand and one", 2_300_001),
        ("minus five", -5),
        ("twenty-one percent", Fraction(21, 100)),
        ("about 7", 7),
        ("50% of the class", Fraction(1, 2)),
    ],
)
def test_exact_values(text: str, value: Fraction | int) -> None:
    quantity = parse_quantity(text)
    assert quantity is not None
    assert quantity.value == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "12 + 3",
        "2^10",
        "3x",
        "3 n",
        "7th",
        "1/0",
        "1 1/0",
        "2pi/0",
        "pi/0",
        "08:30",
        "1e999",
        "10^999",
        "5e-999",
        "1,23",
        "12,3456",
        "50% of 80",
        "50%x",
        "50% = 1/2",
        "1.2.3",
        "5 - 3",
        "quarter",
        "third",
        "twenty thirty",
        "two three",
        "one hundred and",
        "12 " + "word " * 7,
        "1" * 401,
        "$5 km",
        "$5 3",
        "m^2",
    ],
)
def test_what_is_not_one_quantity(text: str) -> None:
    assert parse_quantity(text) is None


@pytest.mark.parametrize(
    ("text", "factor"),
    [
        ("2pi", "pi"),
        ("pi", "pi"),
        ("-pi/2", "pi"),
        ("3 sqrt(2)", "sqrt(2)"),
        ("5*pi/6", "pi"),
        ("7", ""),
    ],
)
def test_factors_that_are_not_rational(text: str, factor: str) -> None:
    quantity = parse_quantity(text)
    assert quantity is not None
    assert quantity.factor == factor


def test_pi_over_two_keeps_its_half() -> None:
    assert parse_quantity("pi/2") == Quantity(Fraction(1, 2), "pi")
    assert parse_quantity("-3pi/4") == Quantity(Fraction(-3, 4), "pi")


@pytest.mark.parametrize(
    ("text", "name", "known"),
    [
        ("120 km", "kilometre", True),
        ("120km", "kilometre", True),
        ("60 km per hour", "kilometre/hour", True),
        ("60 mph", "mile/hour", True),
        ("36 square metres", "metre^2", True),
        ("36 m^2", "metre^2", True),
        ("5 metres squared", "metre^2", True),
        ("8 cubic cm", "centimetre^3", True),
        ("20 degrees Celsius", "degree celsius", True),
        ("$12", "dollar", True),
        ("US$12", "dollar", True),
        ("USD 12", "dollar", True),
        ("$12 dollars", "dollar", True),
        ("$12 per hour", "dollar/hour", True),
        ("$12 more", "dollar", True),
        ("$3 million", "dollar", True),
        ("-$4", "dollar", True),
        ("12 apples", "apple", False),
        ("12 red apples", "red apple", False),
        ("12 in total", "", False),
        ("5 Mb", "mb", False),
        ("7 o'clock", "o'clock", False),
    ],
)
def test_units(text: str, name: str, known: bool) -> None:
    quantity = parse_quantity(text)
    assert quantity is not None
    assert quantity.unit == Unit(name, known)


@pytest.mark.parametrize("text", ["", "per hour", "km/", "3", "a-"])
def test_what_is_not_a_unit(text: str) -> None:
    assert parse_unit(text) is None
    assert not known_unit(text)


@pytest.mark.parametrize(
    ("plural", "one"),
    [
        ("apples", "apple"),
        ("boxes", "box"),
        ("matches", "match"),
        ("potatoes", "potato"),
        ("berries", "berry"),
        ("ties", "tie"),
        ("glasses", "glass"),
        ("glass", "glass"),
        ("bus", "bus"),
        ("people", "person"),
        ("is", "is"),
    ],
)
def test_singulars(plural: str, one: str) -> None:
    assert singular(plural) == one


def test_units_agree_when_nothing_contradicts() -> None:
    km, apple = Unit("kilometre", known=True), Unit("apple", known=False)
    red_apple, nothing = Unit("red apple", known=False), Unit("", known=False)
    assert units_agree(km, None)
    assert units_agree(None, km)
    assert units_agree(km, nothing)
    assert units_agree(nothing, apple)
    assert units_agree(apple, red_apple)
    assert units_agree(red_apple, apple)
    assert not units_agree(km, apple)
    assert not units_agree(km, Unit("metre", known=True))
    assert not units_agree(Unit("pear", known=False), apple)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  42. ", "42"),
        ("“42”", "42"),
        ("'42'", "42"),
        ("**42**", "42"),
        ("`42`", "42"),
        ("42**", "42"),
        ("a **b** c", "a b c"),
        ("1½", "1 1/2"),
        ("½", "1/2"),
        ("m²", "m^2"),
        ("10⁻³", "10^-3"),
        ("−5", "-5"),
        ("minus 5", "-5"),
        ("1\u202f198", "1198"),
        (r"1\,198", "1198"),
        (r"1{,}198 \text{ km}", "1198  km".replace("  ", " ")),
        (r"\(42\)", "42"),
        (r"\[42\]", "42"),
        ("$42$", "42"),
        ("$$42$$", "42"),
        ("$5 and $6", "$5 and $6"),
        (r"\$12", "$12"),
        (r"50\%", "50%"),
        (r"\frac{3}{4}", "3/4"),
        (r"\frac34", "3/4"),
        (r"2\frac{1}{2}", "2 1/2"),
        (r"\frac{x+1}{2}", "(x+1)/2"),
        (r"\frac{\sqrt{2}}{2}", "(sqrt(2))/2"),
        (r"\boxed{\text{five}}", "five"),
        (r"6.02 \times 10^{23}", "6.02 ×10^23"),
        (r"90^\circ", "90°"),
        (r"90^{\circ}", "90°"),
        (r"0.\overline{3}", "0.(3)"),
        (r"\{2, 3\}", "{2, 3}"),
        ("{2, 3}", "{2, 3}"),
        (r"\unknown 5", r"\unknown 5"),
        (r"\text{" * 9 + "5" + "}" * 9, r"\text5"),
        ("√2", "sqrt(2)"),
        ("2√(x)", "2sqrt(x)"),
        ("４２", "42"),
        ("# 42", "42"),
        ("- 42", "- 42"),
        ("> 42", "> 42"),
    ],
)
def test_markup_is_not_part_of_an_answer(text: str, expected: str) -> None:
    assert plain(text) == expected


def test_number_words_leave_what_follows() -> None:
    assert read_number_words("twenty-five apples") == (Fraction(25), " apples")
    assert read_number_words("half an hour") == (Fraction(1, 2), " an hour")
    assert read_number_words("apples") is None
