"""The files of a report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tunixrt.report.blocks import Chart
from tunixrt.report.charts import svg
from tunixrt.report.html import render_html
from tunixrt.report.markdown import render_markdown
from tunixrt.report.sections.experiment import build_experiment
from tunixrt.report.sections.results import build_document
from tunixrt.report.shown import Experiment

if TYPE_CHECKING:
    from tunixrt.report.shown import Pair

#: The version of what a report looks like; it changes with any byte that the same runs give.
TEMPLATE: Final = "report-1"


def render_report(shown: Pair | Experiment) -> dict[str, bytes]:
    """The files of a report by name, UTF-8: ``report.md``, its charts, and ``report.html``.

    A pure function of what is shown: no clock, no environment, no path enters a byte.
    """
    document = build_experiment(shown) if isinstance(shown, Experiment) else build_document(shown)
    files = {"report.md": render_markdown(document), "report.html": render_html(document)}
    files |= {
        f"{block.name}.svg": svg(block.chart, alone=True)
        for block in document.blocks
        if isinstance(block, Chart)
    }
    return {name: text.encode() for name, text in sorted(files.items())}
