"""Reports on finished runs: Markdown for a forge, one HTML page, SVG charts.

``render_report`` turns a ``ReportView`` into files, a pure function: the same view gives the same
bytes in every process.
"""

from __future__ import annotations

from tunixrt.report.files import render_report
from tunixrt.report.sections.view import (
    Command,
    ExperimentView,
    ReportView,
    RunView,
    TrainingView,
)

__all__ = [
    "Command",
    "ExperimentView",
    "ReportView",
    "RunView",
    "TrainingView",
    "render_report",
]
