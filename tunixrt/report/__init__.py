"""Reports on finished runs: Markdown for a forge, one HTML page, SVG charts.

``render_report`` turns a ``Pair`` or an ``Experiment`` into files, a pure function: the same values
give the same bytes in every process.
"""

from __future__ import annotations

from tunixrt.report.files import TEMPLATE, render_report
from tunixrt.report.shown import Experiment, Pair, ShownRun, ShownTraining

__all__ = [
    "TEMPLATE",
    "Experiment",
    "Pair",
    "ShownRun",
    "ShownTraining",
    "render_report",
]
