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

_RULES: Final = """\
.skip{position:absolute;left:-99rem;top:0;background:var(--background);padding:.5rem 1rem;z-index:1}
.skip:focus{left:.5rem}
.top{border-bottom:1px solid var(--grid);background:var(--surface)}
.top nav{max-width:68rem;margin:0 auto;padding:.6rem 1.25rem;display:flex;flex-wrap:wrap;
gap:.2rem 1.1rem;align-items:baseline}
.top a{color:var(--text);text-decoration:none;padding:.35rem 0;border-bottom:2px solid transparent}
.top a:hover{border-color:var(--grid)}
.top a[aria-current]{border-color:var(--link);font-weight:600}
.top .home{font-weight:700;margin-right:auto}
main{max-width:68rem}
footer{max-width:68rem;margin:0 auto;padding:1rem 1.25rem 3rem;font-size:.85rem;
color:var(--muted);overflow-wrap:anywhere}
h2:first-of-type{margin-top:2rem}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(8rem,1fr));gap:.75rem;
margin:0 0 1.5rem}
.figures div{border:1px solid var(--grid);border-radius:.6rem;padding:.8rem 1rem;
background:var(--surface)}
.figures dt{font-size:.82rem;color:var(--muted)}
.figures dd{margin:0;font-size:1.6rem;font-weight:650;line-height:1.25;
font-variant-numeric:tabular-nums}
.facts{display:grid;grid-template-columns:minmax(7rem,max-content) 1fr;gap:.35rem 1.25rem;
margin:1rem 0}
.facts dt{color:var(--muted);font-size:.9rem}
.facts dd{margin:0;min-width:0;overflow-wrap:anywhere}
.tag{display:inline-block;border:1px solid var(--grid);border-radius:1rem;padding:0 .6rem;
font-size:.8rem;background:var(--surface);margin-right:.3rem;white-space:nowrap}
.tag.named{border-color:var(--link);color:var(--link)}
.tag.bad{border-color:var(--bad);color:var(--bad)}
.tag.good{border-color:var(--good);color:var(--good)}
details.prediction{margin:.25rem 0}
.bar{width:8rem;height:.9rem;display:block}
.bar .track{stroke:var(--grid);stroke-width:1}
.bar .range{stroke:var(--after);stroke-width:2.5}
.bar .dot{fill:var(--after)}
.board td:not(.n){min-width:8rem}
.board tbody th{min-width:7rem}
.board code{white-space:nowrap}
form.search button{height:2.75rem}
form.search{display:flex;flex-wrap:wrap;gap:.6rem;align-items:end;margin:1rem 0}
form.search label{flex:1 1 16rem;font-size:.9rem;color:var(--muted)}
form.search input,form.search select{display:block;width:100%;margin-top:.2rem;font:inherit;
color:var(--text);background:var(--background);border:1px solid var(--muted);
border-radius:.45rem;padding:.5rem .7rem;height:2.75rem}
form.search label.narrow{flex:0 1 11rem}
button{font:inherit;color:var(--background);background:var(--link);border:1px solid var(--link);
border-radius:.45rem;padding:.5rem 1rem;cursor:pointer}
button.plain{color:var(--link);background:var(--background)}
.results{list-style:none;padding:0;margin:1rem 0}
.results li{border:1px solid var(--grid);border-radius:.6rem;padding:.7rem 1rem;margin:.5rem 0}
.results a{font-weight:500;overflow-wrap:anywhere;white-space:pre-line}
.results p{margin:.25rem 0 0;font-size:.87rem;color:var(--muted)}
mark{background:transparent;color:inherit;font-weight:750;text-decoration:underline;
text-decoration-color:var(--before);text-decoration-thickness:.15em}
.steps{padding-left:0;list-style:none;counter-reset:step}
.steps li{counter-increment:step;border-left:3px solid var(--grid);padding:.1rem 0 .1rem .9rem;
margin:.7rem 0}
.steps li::before{content:counter(step) ". ";color:var(--muted)}
.steps .kind{font-size:.8rem;color:var(--muted);margin-left:.4rem}
.steps span.text,.same,.gone,.came{white-space:pre-wrap;overflow-wrap:anywhere}
table.diff th[colspan]{background:var(--surface);font-weight:600}
table.diff td{width:50%;min-width:14rem}
table.diff .gone{background:color-mix(in srgb,var(--bad) 13%,var(--background))}
table.diff .came{background:color-mix(in srgb,var(--good) 13%,var(--background))}
table.diff .sign{font-weight:700;margin-right:.4rem}
.error{color:var(--bad)}
@media (max-width:40rem){main{padding-top:1.5rem}.facts{grid-template-columns:1fr;gap:0}
.facts dd{margin-bottom:.6rem}.figures{grid-template-columns:repeat(2,1fr)}}
"""


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
