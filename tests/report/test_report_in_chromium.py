"""A report as a browser sees it: hostile text stays text, and the console stays silent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.chromium import CHROMIUM, Opened
from tests.making.hostile import HOSTILE
from tests.making.views import N_SAMPLES, view
from tunixrt.report import render_report

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
    pytest.mark.slow,
]


def test_no_script_of_a_trace_runs_and_nothing_is_complained_about(tmp_path: Path) -> None:
    scripts = [text for text in HOSTILE if "<script" in text]
    assert scripts
    texts = [*scripts, *(t for t in HOSTILE if t.strip() and "\ud800" not in t)][:N_SAMPLES]
    (tmp_path / "report.html").write_bytes(render_report(view(texts=tuple(texts)))["report.html"])
    opened = Opened(tmp_path, "report.html", tmp_path / "profile")
    assert opened.console == []
    assert "<script" not in opened.html
    assert "&lt;script" in opened.html
