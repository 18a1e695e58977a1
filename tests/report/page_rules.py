"""What every page has to keep to: HTML by an independent parser, and what no parser looks at.

html5lib is the parser of the HTML standard, and reports every error that the standard names. What
else is held against a page here are rules of the standard on where elements may stand, and of WCAG
2.2 and WAI-ARIA on names, references, headings and tables.
"""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Final

import html5lib
from html5lib.constants import E as MESSAGES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from xml.etree.ElementTree import Element

#: Attributes whose value is ids of the same page.
_REFERENCES: Final = (
    "for",
    "aria-activedescendant",
    "aria-controls",
    "aria-describedby",
    "aria-details",
    "aria-errormessage",
    "aria-flowto",
    "aria-labelledby",
    "aria-owns",
    "headers",
    "list",
    "form",
)
#: Elements that may hold nothing but phrasing content (HTML, section 4).
_PHRASING_ONLY: Final = frozenset(
    {
        "a", "button", "code", "del", "dt", "em", "h1", "h2", "h3", "h4", "h5", "h6", "ins",
        "label", "mark", "p", "pre", "span", "strong", "summary",
    }
)  # fmt: skip
_PHRASING: Final = frozenset(
    {
        "a", "b", "br", "button", "code", "del", "em", "i", "img", "input", "ins", "kbd",
        "label", "mark", "noscript", "script", "select", "small", "span", "strong", "sub", "sup",
        "svg", "time", "var",
    }
)  # fmt: skip
_INTERACTIVE: Final = frozenset(
    {"a", "button", "input", "select", "textarea", "details", "label", "summary"}
)
#: Text that stands right in one of these stands there by mistake.
_NO_TEXT: Final = frozenset({"body", "main", "header", "section", "figure"})
#: What may be a child of these and nothing else.
_CHILDREN: Final = {
    "ul": {"li"},
    "ol": {"li"},
    "dl": {"dt", "dd", "div"},
    "table": {"caption", "colgroup", "thead", "tbody", "tfoot"},
    "thead": {"tr"},
    "tbody": {"tr"},
    "tr": {"th", "td"},
    "select": {"option", "optgroup"},
}
_NAMED_ROLES: Final = frozenset({"region", "img", "group", "search", "alert", "status"})
_NAMELESS_ROLES: Final = frozenset({"alert", "status", "search"})


def problems(page: str) -> list[str]:
    """Everything that is wrong with a page, a sentence each; none for a page that is right."""
    parser = html5lib.HTMLParser(namespaceHTMLElements=False)
    root = parser.parse(page)
    syntax = [
        f"line {line}, column {column}: {MESSAGES[code] % data}"
        for (line, column), code, data in parser.errors
    ]
    return [*syntax, *(found for rule in _RULES for found in rule(root))]


def _text(element: Element) -> str:
    """The text of an element, images by their names."""
    inner = [element.text or ""]
    for child in element:
        hidden = child.get("aria-hidden") == "true"
        inner += ["" if hidden else _name(child) or _text(child), child.tail or ""]
    return "".join(inner).strip()


def _name(element: Element) -> str:
    return (element.get("aria-label") or element.get("alt") or "").strip()


def _said(element: Element) -> str:
    attributes = "".join(f' {key}="{value}"' for key, value in element.attrib.items())
    return f"<{_tag(element)}{attributes}>"[:120]


def _tag(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _all(root: Element, *tags: str) -> Iterator[Element]:
    for element in root.iter():
        if isinstance(element.tag, str) and (not tags or _tag(element) in tags):
            yield element


def _ids(root: Element) -> Iterator[str]:
    ids = Counter(element.get("id", "") for element in _all(root) if "id" in element.attrib)
    for name, n in ids.items():
        if n > 1:
            yield f'{n} elements have the id "{name}".'
        if not name or re.search(r"\s", name):
            yield f'"{name}" is no id.'
    for element in _all(root):
        wanted = [name for key in _REFERENCES for name in element.get(key, "").split()]
        if (target := element.get("href", "")).startswith("#"):
            wanted.append(target[1:])
        for name in wanted:
            if name not in ids:
                yield f'{_said(element)} refers to "{name}", which is not on the page.'


def _document(root: Element) -> Iterator[str]:
    if not (root.get("lang") or "").strip():
        yield "The page does not say its language."
    if not "".join((t.text or "") for t in _all(root, "title")).strip():
        yield "The page has no title."
    if len(list(_all(root, "main"))) != 1:
        yield "The page should have one <main>."


def _headings(root: Element) -> Iterator[str]:
    before = 0
    for heading in _all(root, *(f"h{n}" for n in range(1, 7))):
        level = int(_tag(heading)[1])
        if level > before + 1:
            yield f"{_said(heading)} follows a heading of level {before}."
        if level == 1 and before:
            yield "There is a second <h1>."
        if not _text(heading):
            yield f"{_said(heading)} is empty."
        before = level
    if not before:
        yield "The page has no heading."


def _images(root: Element) -> Iterator[str]:
    for image in _all(root, "img", "svg"):
        hidden = image.get("aria-hidden") == "true" or image.get("alt") == ""
        if not hidden and not _name(image):
            yield f"{_said(image)} has no name and is not hidden."
        if _tag(image) == "svg" and not hidden and image.get("role") != "img":
            yield f"{_said(image)} is not said to be an image."


def _names(root: Element) -> Iterator[str]:
    labelled = {label.get("for") for label in _all(root, "label") if label.get("for")}
    within = {field for label in _all(root, "label") for field in _all(label) if _text(label)}
    for element in _all(root):
        tag, role = _tag(element), element.get("role")
        if tag in {"a", "button", "summary", "th"} and not (_name(element) or _text(element)):
            yield f"{_said(element)} has no text."
        is_field = tag in {"input", "select", "textarea"} and element.get("type") != "hidden"
        has_label = element in within or element.get("id") in labelled
        if is_field and not (has_label or _name(element)):
            yield f"{_said(element)} has no label."
        if role is not None and role not in _NAMED_ROLES:
            yield f"{_said(element)} has a role that no rule here is for."
        if role in _NAMED_ROLES - _NAMELESS_ROLES and not _name(element):
            yield f"{_said(element)} has no name."
        if "aria-label" in element.attrib and role is None and tag not in {"nav", "section"}:
            yield f"{_said(element)} has a name, which its role does not allow."
        if element.get("tabindex", "0") not in {"0", "-1"}:
            yield f"{_said(element)} changes the order of the keyboard."
        if element.get("tabindex") == "0" and role is None:
            yield f"{_said(element)} is reached by keyboard and has no role."


def _tables(root: Element) -> Iterator[str]:
    for table in _all(root, "table"):
        widths = {
            sum(int(cell.get("colspan", 1)) for cell in _all(row, "td", "th"))
            for row in _all(table, "tr")
        }
        if len(widths) != 1:
            yield f"{_said(table)} has rows of {sorted(widths)} cells."
        head = table.find("thead")
        columns = [] if head is None else list(_all(head, "th", "td"))
        if not columns or any(c.tag != "th" or c.get("scope") != "col" for c in columns):
            yield f"{_said(table)} has a column without a header."
        for cell in _all(table, "th"):
            if cell.get("scope") not in {"col", "row", "rowgroup", "colgroup"}:
                yield f"{_said(cell)} does not say what it is the header of."
        for body in table.findall("tbody"):
            yield from _body(body)


def _body(body: Element) -> Iterator[str]:
    rows = list(body.findall("tr"))
    group = rows and rows[0].find("th[@scope='rowgroup']") is not None
    for row in rows[1:] if group else rows:
        if row.find("th[@scope='rowgroup']") is not None:
            yield "A header of a group of rows is not the first of its <tbody>."
        elif not group and row.find("th[@scope='row']") is None:
            yield f"A row has no header: {_text(row)[:60]}"


def _places(root: Element) -> Iterator[str]:
    for element in _all(root):
        tag, children = _tag(element), {_tag(child) for child in element}
        if tag in _PHRASING_ONLY and (wrong := children - _PHRASING - _headings_in(tag)):
            yield f"{_said(element)} holds {sorted(wrong)}."
        if tag in _CHILDREN and (wrong := children - _CHILDREN[tag]):
            yield f"{_said(element)} holds {sorted(wrong)}."
        text = "".join([element.text or "", *(child.tail or "" for child in element)]).strip()
        if text and (tag in _NO_TEXT or tag in _CHILDREN):
            yield f"{_said(element)} holds text."
        if tag in {"a", "button", "summary"}:
            inside = {_tag(e) for e in _all(element)} & _INTERACTIVE - {tag}
            if inside:
                yield f"{_said(element)} holds {sorted(inside)}, which is operated, too."
        if tag == "details" and [_tag(c) for c in element][:1] != ["summary"]:
            yield "<details> should begin with its <summary>."


def _headings_in(tag: str) -> set[str]:
    return {f"h{n}" for n in range(1, 7)} if tag == "summary" else set()


_RULES: Final[tuple[Callable[[Element], Iterator[str]], ...]] = (
    _document,
    _ids,
    _headings,
    _images,
    _names,
    _tables,
    _places,
)


class Page(HTMLParser):
    """Collects what a browser would see."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)
