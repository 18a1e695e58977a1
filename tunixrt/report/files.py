"""The files of a report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunixrt.report.blocks import Chart
from tunixrt.report.charts import svg
from tunixrt.report.html import render_html
from tunixrt.report.markdown import render_markdown
from tunixrt.report.sections.experiment import build_experiment
from tunixrt.report.sections.results import build_document
from tunixrt.report.sections.view import ExperimentView

if TYPE_CHECKING:
    from tunixrt.report.sections.view import ReportView


def render_report(view: ReportView | ExperimentView) -> dict[str, bytes]:
    """The files of a report by name, UTF-8: ``report.md``, its charts, and ``report.html``.

    A pure function of the view: no clock, no environment, no path enters a byte.
    """
    document = build_experiment(view) if isinstance(view, ExperimentView) else build_document(view)
    files = {"report.md": render_markdown(document), "report.html": render_html(document)}
    files |= {
        f"{block.name}.svg": svg(block.chart, alone=True)
        for block in document.blocks
        if isinstance(block, Chart)
    }
    return {name: text.encode() for name, text in sorted(files.items())}
