"""Every page is valid HTML and can be used without seeing it or without a mouse."""

from __future__ import annotations

import re

import pytest

from tests.making.hostile import HOSTILE
from tests.making.views import N_SAMPLES, experiment, pair, view
from tests.report.page_rules import problems
from tunixrt.report import render_report

GOOD = (
    '<!DOCTYPE html><html lang="en"><head><title>T</title></head><body>'
    '<a href="#main">Skip</a><main id="main"><h1>One</h1>{}</main></body></html>'
)
TABLE = (
    '<table><thead><tr><th scope="col">a</th><th scope="col">b</th></tr></thead>'
    '<tbody><tr><th scope="row">x</th><td>1</td></tr></tbody></table>'
)
SOUND = (
    TABLE,
    TABLE.replace("<td>1</td></tr>", "<td>1</td></tr></tbody><tbody>").replace(
        "<tbody></tbody>",
        '<tbody><tr><th colspan="2" scope="rowgroup">g</th></tr>'
        "<tr><td>1</td><td>2</td></tr></tbody>",
    ),
    '<h2>Two</h2><h3>Three</h3><h2>Two</h2><svg role="img" aria-label="curve"></svg>',
    '<svg aria-hidden="true"><path d="M0 0"/></svg><img src="x" alt="">',
    '<label>Name <input name="n"></label><label for="m">M</label><input id="m">',
    '<input type="hidden" name="n"><button><img src="x" alt="Send"></button>',
    '<pre role="region" tabindex="0" aria-label="Text">a<ins>b</ins></pre>',
    "<details><summary>More <span>still</span></summary><p>x</p></details>",
    '<dl><div><dt>a</dt><dd>b</dd></div></dl><p role="status"></p>',
)
BROKEN = {
    "an end tag that nothing began": ("<p>x</p></b>", "Unexpected end tag (b)"),
    "a paragraph in a paragraph": ("<p><p>x</p></p>", "end tag (p)"),
    "an attribute twice": ('<p class="a" class="b">x</p>', "duplicate attribute"),
    "a bare ampersand": ("<p>a &b; c</p>", "entity"),
    "elements that cross": ("<p><b>x</p></b>", "b"),
    "a bad end of an SVG": ("<svg aria-hidden='true'><g></svg>", "svg"),
    "text in a table": (TABLE.replace("<tbody>", "<tbody>text"), "<main id=\"main\"> holds text"),
    "an id twice": ('<p id="a">x</p><p id="a">y</p>', '2 elements have the id "a"'),
    "an id with a space": ('<p id="a b">x</p>', "is no id"),
    "a link to nowhere": ('<a href="#there">x</a>', 'refers to "there"'),
    "a label of nothing": ('<label for="q">x</label>', 'refers to "q"'),
    "a description that is not there": ('<p aria-describedby="d">x</p>', 'refers to "d"'),
    "a level that is skipped": ("<h3>x</h3>", "follows a heading of level 1"),
    "two first headings": ("<h1>x</h1>", "second <h1>"),
    "an empty heading": ("<h2></h2>", "is empty"),
    "an image without a name": ('<img src="x">', "has no name"),
    "a drawing without a name": ('<svg role="img"></svg>', "has no name"),
    "a drawing without a role": ('<svg aria-label="x"></svg>', "not said to be an image"),
    "a field without a label": ('<input name="n">', "has no label"),
    "a field in an empty label": ('<label><input name="n"></label>', "has no label"),
    "a button without text": ("<button></button>", "has no text"),
    "a link that a picture hides": (
        '<a href="x"><svg aria-hidden="true" aria-label="y"></svg></a>',
        "has no text",
    ),
    "a region without a name": ('<div role="region" tabindex="0">x</div>', "has no name"),
    "a name that nothing reads": ('<div aria-label="x">y</div>', "does not allow"),
    "another order of the keyboard": ('<div role="region" aria-label="x" tabindex="3">y</div>',
                                      "order of the keyboard"),
    "a stop without a role": ('<div tabindex="0">y</div>', "has no role"),
    "a role that nobody knows": ('<div role="fancy">y</div>', "no rule here"),
    "a cell too many": (TABLE.replace("<td>1</td>", "<td>1</td><td>2</td>"), "rows of [2, 3]"),
    "a column without a header": (
        TABLE.replace('<th scope="col">b</th>', "<td>b</td>"),
        "column without a header",
    ),
    "a row without a header": (
        TABLE.replace('<th scope="row">x</th>', "<td>x</td>"),
        "row has no header",
    ),
    "an empty header": (TABLE.replace(">b<", "><"), "has no text"),
    "a header of nothing": (TABLE.replace(' scope="row"', ""), "header of"),
    "two groups in one": (
        TABLE.replace(
            '<tr><th scope="row">x</th><td>1</td></tr>',
            '<tr><th colspan="2" scope="rowgroup">g</th></tr>' * 2,
        ),
        "not the first",
    ),
    "a list of paragraphs": ("<ul><p>x</p></ul>", "holds ['p']"),
    "text in a list": ("<ul>x<li>y</li></ul>", "holds text"),
    "a box in a line": ("<span><div>x</div></span>", "holds ['div']"),
    "a button in a link": ('<a href="x"><button>y</button></a>', "operated, too"),
    "details without a summary": ("<details><p>x</p></details>", "begin with"),
}  # fmt: skip


@pytest.mark.parametrize("content", SOUND)
def test_a_sound_page_has_no_problem(content: str) -> None:
    assert problems(GOOD.format(content)) == []


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_page_is_caught(case: str) -> None:
    content, fragment = BROKEN[case]
    found = problems(GOOD.format(content))
    assert any(fragment in problem for problem in found), found


@pytest.mark.parametrize(
    ("before", "after", "fragment"),
    [
        ("<!DOCTYPE html>", "", "DOCTYPE"),
        (' lang="en"', "", "language"),
        ("<title>T</title>", "<title></title>", "no title"),
        ("<h1>One</h1>", "", "no heading"),
        ('<main id="main">', '<div id="main">', "one <main>"),
    ],
)
def test_a_page_without_its_frame_is_caught(before: str, after: str, fragment: str) -> None:
    assert before in GOOD
    found = problems(GOOD.format("").replace(before, after))
    assert any(fragment in problem for problem in found), found


def test_reports_are_valid_whatever_a_trace_holds() -> None:
    assert problems(render_report(view())["report.html"].decode()) == []
    texts = [text for text in HOSTILE if text.strip() and "\ud800" not in text]
    for start in range(0, len(texts), 7):
        some = tuple((texts[start:] + texts[:start])[:N_SAMPLES])
        assert problems(render_report(view(texts=some))["report.html"].decode()) == []


def test_the_report_of_an_experiment_is_valid() -> None:
    page = render_report(experiment(pair(0, 5, 19), pair(1, 5, 19)))["report.html"].decode()
    assert problems(page) == []
    # Both charts of values over steps and the one of scores are inside the page.
    assert len(re.findall("<svg", page)) == 3
