"""The style sheets of reports and sites: files of this package, as the script of a site is."""

from __future__ import annotations

from importlib import resources


def style_sheet(name: str) -> str:
    """The text of a style sheet of this package, such as ``page.css``."""
    return resources.files("tunixrt.report").joinpath(name).read_text(encoding="utf-8")
