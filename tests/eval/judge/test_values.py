from __future__ import annotations

from fractions import Fraction

import pytest

from tunixrt.eval.judge.values import parse_alternatives, parse_item, parse_listing, words


@pytest.mark.parametrize(
    ("text", "n"),
    [
        ("0.5 or 50%", 2),
        ("0.5 (50%)", 2),
        ("1/2 (= 0.5)", 2),
        ("x = 2 or x = 3", 2),
        ("a, or b", 2),
        ("120 (in total)", 1),
        ("Paris", 1),
        ("0.(3)", 1),
        ("or", 1),
    ],
)
def test_alternatives(text: str, n: int) -> None:
    assert len(parse_alternatives(text)) == n


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("2, 3 and 5", ["2", "3", "5"]),
        ("2, 3, and 5", ["2", "3", "5"]),
        ("2;3", ["2", "3"]),
        ("8 & 9", ["8", "9"]),
        ("1,198", ["1,198"]),
        ("1,198, 2,000", ["1,198", "2,000"]),
        ("(1,198)", ["1", "198"]),
        ("(3, -4)", ["3", "-4"]),
        ("(5)", ["5"]),
        ("1 and 1/2", ["1 and 1/2"]),
        ("6 hours 30 minutes", ["6 hours", "30 minutes"]),
        ("6 hours 30 apples", ["6 hours 30 apples"]),
        ("(1, 2), (3, 4)", ["(1", "2)", "(3", "4)"]),
    ],
)
def test_lists(text: str, items: list[str]) -> None:
    assert [item.shown for item in parse_listing(text).items] == items


def test_only_braces_make_a_set() -> None:
    assert not parse_listing("{1, 2}").ordered
    assert parse_listing("(1, 2)").ordered
    assert parse_listing("1, 2").ordered


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("x = 3", "x", 3),
        ("3 = x", "x", 3),
        ("f(2) = 7", "f(2)", 7),
        ("x_1 = 4", "x_1", 4),
        ("15 + 27 = 42", "", 42),
        ("x = 6/2 = 3", "x", 3),
        ("≈ 3", "", 3),
        ("= 5", "", None),
        ("x = ", "", None),
        ("a = b", "a", None),
        ("x <= 3", "", None),
        ("total = 5", "", 5),
    ],
)
def test_named_values(text: str, name: str, value: int | None) -> None:
    item = parse_item(text)
    assert item.name == name
    assert (item.quantity.value if item.quantity else None) == (
        None if value is None else Fraction(value)
    )


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("The Pacific  Ocean.", "pacific ocean"),
        ("(B)", "b"),
        ("b)", "b"),
        ("option B", "b"),
        ("Austria-Hungary", "austria hungary"),
        ("2 * x + 1", "2*x+1"),
        ("2 × x", "2*x"),
        ('"Hamlet"', "hamlet"),
        ("Straße", "strasse"),
    ],
)
def test_words_in_normal_form(text: str, normal: str) -> None:
    assert words(text) == normal
