"""The parts shared by every page of a site: head, navigation, style sheet, footer.

A page loads one style sheet and, where it searches, one script, both from the site itself; a
content security policy forbids everything else, so a page cannot reach the network even if
escaping failed.
"""

from __future__ import annotations

from typing import Final

from tunixrt.report.charts import CHART_RULES
from tunixrt.report.escape import html_text
from tunixrt.report.html import style
from tunixrt.report.styles import style_sheet

#: The version of what a site looks like; it changes with any byte that the same store gives.
SITE_TEMPLATE: Final = "site-1"
STYLE_NAME: Final = "site.css"
SCRIPT_NAME: Final = "site.js"

_POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; base-uri 'none'; "
    "form-action 'self'"
)
_PAGES: Final = (
    ("index.html", "Overview"),
    ("runs.html", "Runs"),
    ("datasets.html", "Datasets"),
    ("evalsets.html", "Eval sets"),
    ("traces.html", "Traces"),
)

_RULES: Final = style_sheet("site.css")


def site_css() -> str:
    """The style sheet: that of reports, with the rules of a site added."""
    return f"{style().removesuffix(CHART_RULES)}{CHART_RULES}{_RULES}"


def frame(
    title: str,
    body: str,
    *,
    site: str,
    foot: str,
    depth: int = 0,
    current: str = "",
    script: bool = False,
) -> str:
    """A whole page.

    Args:
        title: the heading and, with the site's name, the title of the window.
        body: the content after the heading, as HTML.
        site: the name of the site.
        foot: the text of the footer.
        depth: how many directories below the site's root the page is.
        current: the file name of the section that the page belongs to.
        script: whether the page needs the script.
    """
    root = "../" * depth
    links = "".join(
        f'<a href="{root}{name}"{_current(name, current)}>{label}</a>\n' for name, label in _PAGES
    )
    loaded = f'<script src="{root}{SCRIPT_NAME}" defer></script>\n' if script else ""
    heading = html_text(title)
    window = heading if title == site else f"{heading} · {html_text(site)}"
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{html_text(_POLICY)}">\n'
        '<meta name="viewport" content="width=device-width,initial-scale=1">\n'
        f'<title>{window}</title>\n<link rel="icon" href="{root}icon.svg">\n'
        f'<link rel="stylesheet" href="{root}{STYLE_NAME}">\n{loaded}</head>\n'
        f'<body data-root="{root}">\n<a class="skip" href="#main">Skip to the content</a>\n'
        f'<header class="top"><nav aria-label="Site">\n'
        f'<a class="home" href="{root}index.html">{html_text(site)}</a>\n{links}</nav></header>\n'
        f'<main id="main" tabindex="-1">\n<h1>{heading}</h1>\n{body}</main>\n'
        f"<footer>{html_text(foot)}</footer>\n</body>\n</html>\n"
    )


ICON: Final = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" '
    'rx="3" fill="#0b57d0"/><path d="M4 5h8M8 5v7" stroke="#fff" stroke-width="2"/></svg>\n'
)


def _current(name: str, current: str) -> str:
    return ' aria-current="page"' if name == current else ""
