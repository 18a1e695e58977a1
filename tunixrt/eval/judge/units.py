"""The units of measure with their names, and how unknown units are compared.

A known unit has one canonical name (``km``, ``kilometres`` and ``kilometers`` are
``kilometre``). Units are never converted: ``1500 m`` is not the answer to a question that asks for
kilometres, and a question about conversion would be pointless otherwise. A word that is not in the
table (``apples``) is a thing counted, compared by its singular.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from tunixrt.eval.judge.number_words import NUMBER_WORDS

_NAMES: Final = """
kilometre: km kms kilometer
metre: m meter
centimetre: cm centimeter
millimetre: mm millimeter
micrometre: μm um micrometer micron
nanometre: nm nanometer
mile: mi
yard: yd yds
foot: ft feet
inch: in inches
light-year: ly lightyear
hectare: ha
acre:
litre: l L liter
millilitre: ml mL milliliter cc
centilitre: cl cL centiliter
decilitre: dl dL deciliter
gallon: gal
quart: qt
pint: pt
cup:
tablespoon: tbsp
teaspoon: tsp
gram: g gm gramme
kilogram: kg kgs kilo kilogramme
milligram: mg
microgram: μg ug
tonne: t ton
pound: lb lbs
ounce: oz
stone:
second: s sec secs
millisecond: ms
microsecond: μs us
nanosecond: ns
minute: min mins
hour: h hr hrs
day:
week: wk wks
month: mo mos
year: yr yrs
decade:
century: centuries
dollar: $ usd buck
euro: € eur
sterling: £ gbp quid
yen: ¥ jpy
rupee: ₹ inr rs
franc: chf
cent: ¢
pence: penny pennies
degree: ° deg
degree celsius: °c C celsius centigrade
degree fahrenheit: °f F fahrenheit
kelvin: K
radian: rad
newton: N
joule: J
kilojoule: kJ
calorie: cal
kilocalorie: kcal
watt: W
kilowatt: kW
megawatt: MW
milliwatt: mW
kilowatt-hour: kWh
volt: V
ampere: A amp
ohm: Ω
hertz: Hz
kilohertz: kHz
megahertz: MHz
gigahertz: GHz
pascal: Pa
kilopascal: kPa
mole: mol
bit:
byte: B
kilobyte: kB KB
megabyte: MB
gigabyte: GB
terabyte: TB
metre/second: mps
kilometre/hour: kph kmph kmh
mile/hour: mph
mile/gallon: mpg
"""

_LONG_FORMS: Final = {
    "degrees celsius": "degree celsius", "degree c": "degree celsius",
    "degrees c": "degree celsius", "° c": "degree celsius", "° celsius": "degree celsius",
    "degrees fahrenheit": "degree fahrenheit", "degree f": "degree fahrenheit",
    "degrees f": "degree fahrenheit", "° f": "degree fahrenheit",
    "° fahrenheit": "degree fahrenheit", "light years": "light-year", "light year": "light-year",
    "pounds sterling": "sterling", "us dollars": "dollar", "us dollar": "dollar",
    "kilowatt hours": "kilowatt-hour", "kilowatt hour": "kilowatt-hour",
    "square units": "unit^2", "cubic units": "unit^3",
}  # fmt: skip

_IRREGULAR: Final = {
    "people": "person", "children": "child", "men": "man", "women": "woman", "mice": "mouse",
    "geese": "goose", "teeth": "tooth", "dice": "die", "leaves": "leaf", "loaves": "loaf",
    "halves": "half", "knives": "knife", "wolves": "wolf", "shelves": "shelf", "oxen": "ox",
    "cookies": "cookie", "movies": "movie", "pies": "pie", "ties": "tie", "shoes": "shoe",
    "inches": "inch",
}  # fmt: skip
#: Words that join another value to a number: `two three`, `5 plus`, `one hundred and`.
_CONNECTIVES: Final = NUMBER_WORDS | {
    "and", "or", "per", "plus", "minus", "times", "over", "to", "than", "by", "but",
    "squared", "cubed", "factorial", "doubled", "tripled", "halved", "is", "are", "was", "were",
    "not", "no", "at", "maybe", "perhaps", "possibly", "probably", "wrong", "incorrect", "mod",
    "choose",
}  # fmt: skip
#: Names of functions, for a regular expression; they never name a thing counted.
FUNCTIONS: Final = (
    r"(?:arc|a)?(?:sin|cos|tan|cot|sec|csc)h?|ln|log(?:e|_?\d+)?|lg|exp|sqrt|cbrt|abs|gcd|lcm|det|binom"
    r"|floor|ceil|sgn|mod|min|max|erf|cis"
)
_NO_THING: Final = re.compile(rf"(?:{FUNCTIONS})|.*n't")
_POWERS: Final = {"square": "^2", "sq": "^2", "cubic": "^3", "cu": "^3"}
_WORD: Final = re.compile(r"[^\W\d_]+(?:['.-][^\W\d_]+)*\.?")
_TRAILING_POWERS: Final = {"squared": "^2", "cubed": "^3"}
#: Words after a number that name nothing: `12 in total`, `12 more`, `12 left`.
_FILLERS: Final = frozenset(
    {
        "a", "an", "the", "of", "in", "total", "all", "altogether", "overall", "left",
        "remaining", "more", "extra", "each",
    }
)  # fmt: skip


class Unit(msgspec.Struct, frozen=True):
    """The unit of a number: a canonical name, and whether it is in the table."""

    name: str
    known: bool


def _table() -> dict[str, str]:
    table = dict(_LONG_FORMS)
    for line in _NAMES.strip().splitlines():
        canonical, _, names = line.partition(":")
        for name in (canonical, *names.split()):
            table[name] = canonical
    return table


_TABLE: Final = _table()
#: `m` is metre and `M` is not: one letter, and these, are looked up as written.
_CASE_MATTERS: Final = frozenset({"MW", "mW", "MB", "Mb", "KB", "kB", "GB", "TB"})


def parse_unit(text: str) -> Unit | None:
    """The unit that a phrase names, or None if the phrase cannot be a unit.

    ``km/h``, ``km per hour`` and ``kilometres/hour`` are one unit, ``m^2``, ``sq m``,
    ``square metres`` another. Other phrases of words are things counted.
    """
    text = text.strip(" .,;:")
    sides = [_one(side) for side in re.split(r"\s*/\s*|\s+(?:per|an)\s+", text)]
    if any(side is None for side in sides):
        return None
    units = [side for side in sides if side is not None]
    return Unit(name="/".join(u.name for u in units), known=any(u.known for u in units))


def known_unit(text: str) -> bool:
    """Whether the phrase is a unit of the table."""
    unit = parse_unit(text)
    return unit is not None and unit.known


def _one(text: str) -> Unit | None:
    """One unit without ``per``: an optional power, then a name."""
    words = text.split()
    if not words:
        return None
    power = ""
    if words[0].lower().rstrip(".") in _POWERS and len(words) > 1:
        power = _POWERS[words[0].lower().rstrip(".")]
        words = words[1:]
    elif words[-1].lower() in _TRAILING_POWERS and len(words) > 1:
        power = _TRAILING_POWERS[words[-1].lower()]
        words = words[:-1]
    phrase = " ".join(words)
    if match := re.fullmatch(r"(.+?)\s*\^\s*([23])", phrase):
        phrase, power = match[1], f"^{match[2]}"
    if canonical := lookup(phrase):
        return Unit(name=canonical + power, known=True)
    return _counted(phrase, power)


def lookup(phrase: str) -> str | None:
    """The canonical name of a unit of the table, else None."""
    phrase = phrase.rstrip(".")
    if phrase in _TABLE:
        return _TABLE[phrase]
    lower = phrase.lower()
    if len(phrase) == 1 or phrase in _CASE_MATTERS:
        return None
    for name in (lower, singular(lower)):
        if name in _TABLE:
            return _TABLE[name]
    return None


def _counted(phrase: str, power: str) -> Unit | None:
    words = [singular(w) for w in phrase.lower().split() if w not in _FILLERS]
    if not _CONNECTIVES.isdisjoint(words) or any(map(_NO_THING.fullmatch, phrase.lower().split())):
        return None
    if len(words) > 6 or (len(words) == 1 and len(words[0]) == 1):
        return None  # `3 n` is algebra, not three of something
    if not all(_WORD.fullmatch(word) for word in words):
        return None
    return Unit(name=" ".join(words) + power, known=False)


def singular(word: str) -> str:
    """A rough English singular, the same for every spelling of one word."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("ches", "shes", "xes", "sses", "zzes", "toes")):
        return word[:-2]
    if word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > 2:
        return word[:-1]
    return word


def units_agree(expected: Unit | None, found: Unit | None) -> bool:
    """Whether a response's unit fits the expected one.

    A unit that only one side names is not a contradiction. Known units must be the same; things
    counted agree when one phrase contains the words of the other (``12 red apples``, ``12
    apples``).
    """
    if expected is None or found is None or expected.name == found.name:
        return True
    if not expected.name or not found.name:
        return True
    if expected.known or found.known:
        return False
    wanted, got = set(expected.name.split()), set(found.name.split())
    return wanted <= got or got <= wanted
