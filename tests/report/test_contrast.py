"""The contrast of WCAG 2.2, level AA, of every colour in the style sheets, by day and by night.

The pairs are those of the style sheet itself: a rule that sets a text colour and a background sets
a pair; a colour without a background of its own may stand on any ground, and a ground without a
colour of its own may bear any text.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import pytest

from tests.making.views import view
from tunixrt.report import render_report
from tunixrt.report.html import style
from tunixrt.report.site.frame import site_css

TEXT, SHAPE = 4.5, 3.0  # success criteria 1.4.3 and 1.4.11
DARK = "@media (prefers-color-scheme:dark)"


class Rule(NamedTuple):
    selector: str
    values: dict[str, str]


def schemes(css: str) -> dict[str, dict[str, str]]:
    """The custom properties of the two colour schemes."""
    blocks = re.findall(r"(@media[^{]*)?\{?(?::root|svg)\{([^}]*--background[^}]*)\}", css)
    assert [media.strip() for media, _ in blocks] == ["", DARK]
    light, dark = (
        dict(re.findall(r"--([a-z]+):(#[0-9a-f]{6})(?:;|$)", block)) for _, block in blocks
    )
    assert light.keys() == dark.keys()
    assert not set(light.values()) & set(dark.values())
    return {"light": light, "dark": light | dark}


def rules(css: str) -> list[Rule]:
    found = []
    for selector, block in re.findall(r"([^{}]+)\{([^{}]*)\}", css):
        values = dict(pair.split(":", 1) for pair in block.split(";") if ":" in pair)
        if "--background" not in values:
            found.append(Rule(selector.strip(), {k.strip(): v.strip() for k, v in values.items()}))
    return found


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    lighter, darker = sorted((luminance(a), luminance(b)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast_is_that_of_wcag() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    assert contrast("#ffffff", "#777777") == contrast("#777777", "#ffffff")


def resolved(value: str, colours: dict[str, str], tones: frozenset[str]) -> set[str]:
    """The colours that a value may come to; ``--tone`` is one of the verdict's."""
    if mixed := re.fullmatch(r"color-mix\(in srgb,(\S+) (\d+)%,(\S+)\)", value):
        share = int(mixed[2]) / 100
        return {
            "#"
            + "".join(
                f"{round(int(a[i : i + 2], 16) * share + int(b[i : i + 2], 16) * (1 - share)):02x}"
                for i in (1, 3, 5)
            )
            for a in resolved(mixed[1], colours, tones)
            for b in resolved(mixed[3], colours, tones)
        }
    names = re.findall(r"var\(--([a-z]+)\)", value)
    return {colours[n] for name in names for n in (tones if name == "tone" else {name})}


SHEETS = {"report": style(), "site": site_css()}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("sheet", SHEETS)
def test_every_text_is_readable_on_every_ground_that_it_may_stand_on(
    sheet: str, scheme: str
) -> None:
    colours = schemes(SHEETS[sheet])[scheme]
    tones = frozenset({"good", "bad", "neutral"})
    assert {r.selector for r in rules(SHEETS[sheet]) if "--tone" in r.values} == {
        f".{tone}" for tone in tones
    }
    text, grounds, pairs = {colours["text"]}, set[str](), set[tuple[str, str]]()
    for rule in rules(SHEETS[sheet]):
        is_text = rule.selector.startswith(".chart") and "text" in rule.selector
        is_text |= rule.selector == ".chart .name"
        written = rule.values.get("fill" if is_text else "color", "")
        foreground = resolved(written, colours, tones)
        ground = resolved(rule.values.get("background", ""), colours, tones)
        if foreground and ground:
            pairs |= {(f, g) for f in foreground for g in ground}
        text |= foreground if not ground else set()
        grounds |= ground if not foreground else set()
    assert len(text) >= 5
    assert len(grounds) >= (4 if sheet == "site" else 1)
    pairs |= {(f, g) for f in text for g in grounds | {colours["background"]}}
    wrong = {pair: round(contrast(*pair), 2) for pair in pairs if contrast(*pair) < TEXT}
    assert wrong == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("sheet", SHEETS)
def test_lines_dots_fields_and_the_focus_stand_out(sheet: str, scheme: str) -> None:
    """Grid lines and frames are left out: nothing is told by them alone."""
    colours = schemes(SHEETS[sheet])[scheme]
    shapes = set[str]()
    for rule in rules(SHEETS[sheet]):
        for name in ("stroke", "fill", "outline", "border"):
            if name != "border" or re.search("input|select|button", rule.selector):
                shapes |= set(re.findall(r"var\(--([a-z]+)\)", rule.values.get(name, "")))
    shapes -= {"grid", "background"}
    assert shapes >= {"before", "after", "muted", "link"}
    for name in shapes:
        for ground in ("background", "surface"):
            assert contrast(colours[name], colours[ground]) >= SHAPE, (name, ground)


@pytest.mark.parametrize("sheet", SHEETS)
def test_a_colour_is_named_once_for_day_and_once_for_night(sheet: str) -> None:
    written = [value for rule in rules(SHEETS[sheet]) for value in rule.values.values()]
    assert not re.search(r"#[0-9a-f]{3,8}\b|rgba?\(|hsl", " ".join(written))
    used = set(re.findall(r"var\(--([a-z]+)\)", " ".join(written)))
    assert used - {"tone"} <= schemes(SHEETS[sheet])["light"].keys()


def test_a_chart_of_its_own_has_the_colours_of_the_page() -> None:
    files = render_report(view())
    page = schemes(style())
    drawings = [text.decode() for name, text in files.items() if name.endswith(".svg")]
    assert len(drawings) == 3
    for drawing in drawings:
        for scheme, colours in schemes(drawing).items():
            assert colours.items() <= page[scheme].items()
