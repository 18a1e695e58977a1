"""The structure of an answer: alternatives, lists, named values, quantities and words.

``0.5 or 50%`` is two alternatives, ``2, 3 and 5`` a list in its order, ``{2, 3}`` a set,
``x = 3, y = 4`` two named values, ``15 + 27 = 42`` the quantity after the last equals sign.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from tunixrt.eval.judge.algebra import has_variable
from tunixrt.eval.judge.clock import parse_clock
from tunixrt.eval.judge.quantities import Quantity, money_of_two, parse_quantity
from tunixrt.eval.judge.units import FUNCTIONS

_OR: Final = re.compile(r"\s*,?\s+or\s+", re.IGNORECASE)
_BRACKETS: Final = {"(": ")", "[": "]", "{": "}"}
#: A comma between a digit and exactly three digits groups thousands; any other separates.
_SEPARATOR: Final = re.compile(
    r"\s*(?:;|(?<!\d),|,(?!\d{3}(?!\d)))\s*(?:and\s+)?|\s+and\s+|\s*&\s+", re.IGNORECASE
)
_COMMA: Final = re.compile(r"\s*[,;]\s*")
_EQUALS: Final = re.compile(r"(?<![<>!:=])=(?!=)|≈")
_NAME: Final = re.compile(r"[A-Za-zα-ωΑ-Ω](?:_?\{?\w{1,2}\}?)?'?(?:\(\w+\))?")
#: `abs(x)` and the product `xy`.
_NO_NAME: Final = re.compile(rf"(?:{FUNCTIONS})\b|[xyz]{{2,3}}\Z", re.IGNORECASE)
_PARENTHESIS: Final = re.compile(r"(.*\S)\s+\(\s*=?\s*([^()]*)\)")
_ARTICLE: Final = re.compile(r"^(?:the|a|an)\s+")
_OPTION: Final = re.compile(r"^(?:option|choice)\s+(?=\(?[a-z]\)?$)")
_OPERATOR_SPACE: Final = re.compile(r"\s*([-+*/^=<>×÷:()\[\]{}|,])\s*")
_LETTER_HYPHEN: Final = re.compile(r"(?<=[^\W\d_])-(?=[^\W\d_]{2})")
_NOISE: Final = re.compile(r"[\"'`.!;]+(?=\s|$)|(?<!\S)[\"'`]+")
_SPACES: Final = re.compile(r"\s+")
_AMOUNT: Final = re.compile(r"\d[\d.,]{0,30}\s*[^\W\d]{1,20}\.?\s*")
_MAX_ITEMS: Final = 64


class Item(msgspec.Struct, frozen=True):
    """One value: its text in normal form, its name (``x`` in ``x = 3``), its quantity if any."""

    shown: str
    text: str
    name: str = ""
    quantity: Quantity | None = None


class Listing(msgspec.Struct, frozen=True):
    """One or more items; ``ordered`` is false for a set in braces."""

    shown: str
    items: tuple[Item, ...]
    ordered: bool = True


def parse_alternatives(text: str) -> tuple[Listing, ...]:
    """The alternatives that an answer names; ``0.5 (50%)`` names two.

    Args:
        text: an answer as ``markup.plain`` leaves it.
    """
    parts = [part for part in _OR.split(text) if part.strip()]
    return tuple(parse_listing(part) for whole in parts for part in _with_parenthesis(whole))


def _with_parenthesis(text: str) -> tuple[str, ...]:
    match = _PARENTHESIS.fullmatch(text)
    if match and parse_quantity(match[1]) and parse_quantity(match[2]):
        return match[1], match[2]
    return (text,)


def parse_listing(text: str) -> Listing:
    """The items of one alternative."""
    text = text.strip()
    if parse_quantity(text) is not None:
        return Listing(text, (parse_item(text),))
    if compound := _compound(text):
        return Listing(text, compound)
    inner, separator, ordered = text, _SEPARATOR, True
    if len(text) > 2 and _BRACKETS.get(text[0]) == text[-1] and not set(text[1:-1]) & set("()[]{}"):
        inner, separator, ordered = text[1:-1], _COMMA, text[0] != "{"
    parts = [part for part in separator.split(inner, maxsplit=_MAX_ITEMS) if part.strip()]
    if len(parts) < 2:
        return Listing(text, (parse_item(inner),), ordered)
    items = tuple(parse_item(part) for part in parts)
    amount = money_of_two([item.quantity for item in items])
    if amount is not None:
        return Listing(text, (Item(shown=text, text=words(text), quantity=amount),))
    return Listing(text, items, ordered)


def _compound(text: str) -> tuple[Item, ...] | None:
    """``6 hours 30 minutes`` is two quantities, like ``6 hours and 30 minutes``."""
    parts = [part.strip() for part in _AMOUNT.findall(text)]
    if len(parts) < 2 or "".join(parts).replace(" ", "") != text.replace(" ", ""):
        return None
    items = tuple(parse_item(part) for part in parts)
    amount = money_of_two([item.quantity for item in items])
    if amount is not None:
        return (Item(shown=text, text=words(text), quantity=amount),)
    measures = (item.quantity and item.quantity.unit and item.quantity.unit.known for item in items)
    return items if all(measures) else None


def parse_item(text: str) -> Item:
    """One value, with its name if it is an assignment."""
    text = text.strip()
    name, value = _assignment(text)
    if time := parse_clock(value):
        return Item(shown=text, text=time, name=name)
    return Item(shown=text, text=words(value), name=name, quantity=parse_quantity(value))


def _assignment(text: str) -> tuple[str, str]:
    """The name and the value of ``x = 3``; an equation has a value and no name."""
    sides = [side.strip() for side in _EQUALS.split(text)]
    if len(sides) < 2 or not sides[-1] or not sides[0]:
        return "", text
    if _NAME.fullmatch(sides[0]) and not _NO_NAME.match(sides[0]):
        return sides[0], sides[-1]
    if len(sides) == 2 and _NAME.fullmatch(sides[1]) and parse_quantity(sides[0]):
        return sides[1], sides[0]
    return ("", text) if has_variable(sides[0]) else ("", sides[-1])


def words(text: str) -> str:
    """Text in normal form: letter case, articles, quotes and spaces do not count."""
    text = _NOISE.sub(" ", text.casefold())
    text = _LETTER_HYPHEN.sub(" ", text)
    text = _OPERATOR_SPACE.sub(r"\1", text).replace("×", "*")
    text = _SPACES.sub(" ", text).strip()
    text = _OPTION.sub("", _ARTICLE.sub("", text))
    if re.fullmatch(r"\(?[a-z]\)", text):
        text = text.strip("()")
    return text
