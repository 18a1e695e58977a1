"""Charts as SVG, generated here so that their bytes are a function of the numbers alone.

Coordinates come from the four operations on floats and are printed with two decimals. Colours are
custom properties: a chart inside a page inherits the page's, and a chart in a file of its own
defines them, for light and dark.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Final

import msgspec

from tunixrt.report.escape import html_text
from tunixrt.report.numbers import significant
from tunixrt.report.styles import style_sheet

if TYPE_CHECKING:
    from collections.abc import Sequence

_WIDTH: Final = 600
_LINE_HEIGHT: Final = 270
_MARGIN_TOP: Final = 28
_MARGIN_RIGHT: Final = 24
_MARGIN_BOTTOM: Final = 48
_MARGIN_LEFT: Final = 64
_ROW: Final = 38
_LABELS: Final = 168
_MAX_POINTS: Final = 500
_MAX_LABEL: Final = 24

#: Colours of light and dark; every text colour has at least 4.5:1 against its background.
PALETTE_LIGHT: Final = {
    "background": "#ffffff", "text": "#1b1f24", "muted": "#57606a", "grid": "#d8dee4",
    "before": "#9a4a00", "after": "#0b57d0",
}  # fmt: skip
PALETTE_DARK: Final = {
    "background": "#0d1117", "text": "#e6edf3", "muted": "#9da7b3", "grid": "#30363d",
    "before": "#ffa657", "after": "#79b8ff",
}  # fmt: skip

#: The style rules of a chart; a page that contains charts needs them too.
CHART_RULES: Final = style_sheet("charts.css")


class LineChart(msgspec.Struct, frozen=True):
    """One curve over numbered steps."""

    title: str
    x_label: str
    y_label: str
    points: tuple[tuple[float, float], ...]


class IntervalRow(msgspec.Struct, frozen=True):
    """A value with its interval before and after: (value, low, high)."""

    label: str
    before: tuple[float, float, float]
    after: tuple[float, float, float]


class IntervalChart(msgspec.Struct, frozen=True):
    """Scores of 0 to 100 before and after, one row per group."""

    title: str
    rows: tuple[IntervalRow, ...]


def svg(chart: LineChart | IntervalChart, *, alone: bool, label: str | None = None) -> str:
    """The chart as an SVG element.

    Args:
        chart: what to draw.
        alone: whether it becomes a file of its own, with its own colours and background.
        label: its text alternative; the title by default.
    """
    height = _LINE_HEIGHT if isinstance(chart, LineChart) else _interval_height(chart)
    body = _line(chart) if isinstance(chart, LineChart) else _intervals(chart)
    style = f"<style>\n{_variables()}{CHART_RULES}</style>\n" if alone else ""
    namespace = ' xmlns="http://www.w3.org/2000/svg"' if alone else ""
    background = (
        f'<rect width="{_WIDTH}" height="{height}" style="fill:var(--background)"/>\n'
        if alone
        else ""
    )
    return (
        f'<svg{namespace} class="chart" viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'aria-label="{html_text(label or chart.title)}">\n{style}{background}{body}</svg>\n'
    )


def _variables() -> str:
    light = ";".join(f"--{name}:{colour}" for name, colour in PALETTE_LIGHT.items())
    dark = ";".join(f"--{name}:{colour}" for name, colour in PALETTE_DARK.items())
    return f"svg{{{light}}}\n@media (prefers-color-scheme:dark){{svg{{{dark}}}}}\n"


def _line(chart: LineChart) -> str:
    points = thinned(chart.points)
    xs, ys = [x for x, _ in points], [y for _, y in points]
    left, right = _MARGIN_LEFT, _WIDTH - _MARGIN_RIGHT
    top, bottom = _MARGIN_TOP, _LINE_HEIGHT - _MARGIN_BOTTOM
    x_scale = _Scale(min(xs), max(xs), left, right)
    y_ticks = nice_ticks(min([0.0, *ys]), max(ys))
    y_scale = _Scale(min([y_ticks[0], *ys]), max([y_ticks[-1], *ys]), bottom, top)
    parts = [_text(left - 48, 16, chart.y_label, "start")]
    for tick in y_ticks:
        y = y_scale(tick)
        parts.append(_rule(left, y, right, y, "grid"))
        parts.append(_text(left - 8, y + 4.5, significant(tick, 6), "end"))
    for tick in nice_ticks(min(xs), max(xs)):
        x = x_scale(tick)
        parts.append(_rule(x, bottom, x, bottom + 5, "axis"))
        parts.append(_text(x, bottom + 20, significant(tick, 6), "middle"))
    parts.append(_rule(left, bottom, right, bottom, "axis"))
    parts.append(_text((left + right) / 2, _LINE_HEIGHT - 8, chart.x_label, "middle"))
    path = " ".join(f"{_c(x_scale(x))},{_c(y_scale(y))}" for x, y in points)
    parts.append(f'<polyline class="line" points="{path}"/>\n')
    last_x, last_y = points[-1]
    parts.append(
        f'<circle class="end" cx="{_c(x_scale(last_x))}" cy="{_c(y_scale(last_y))}" r="3.5"/>\n'
    )
    return "".join(parts)


def _interval_height(chart: IntervalChart) -> int:
    return _MARGIN_TOP + 8 + _ROW * len(chart.rows) + _MARGIN_BOTTOM


def _intervals(chart: IntervalChart) -> str:
    left, right = _LABELS, _WIDTH - _MARGIN_RIGHT
    bottom = _interval_height(chart) - _MARGIN_BOTTOM
    scale = _Scale(0.0, 100.0, left, right)
    parts = [
        _circle(left + 6, 14, "before-dot"),
        _text(left + 18, 18.5, "before", "start"),
        _circle(left + 86, 14, "after-dot"),
        _text(left + 98, 18.5, "after", "start"),
        _text(left + 150, 18.5, "with 95% intervals", "start"),
    ]
    for tick in (0, 25, 50, 75, 100):
        x = scale(tick)
        parts.append(_rule(x, _MARGIN_TOP, x, bottom, "grid"))
        parts.append(_text(x, bottom + 20, str(tick), "middle"))
    parts.append(_text((left + right) / 2, bottom + 40, chart.title, "middle"))
    for number, row in enumerate(chart.rows):
        y = _MARGIN_TOP + 8 + _ROW * number + _ROW / 2
        label = row.label if len(row.label) <= _MAX_LABEL else row.label[: _MAX_LABEL - 1] + "…"
        parts.append(_text(left - 14, y + 4.5, label, "end", "name"))
        parts += _range(scale, row.before, y - 6, "before")
        parts += _range(scale, row.after, y + 6, "after")
    return "".join(parts)


def _range(scale: _Scale, values: tuple[float, float, float], y: float, name: str) -> list[str]:
    value, low, high = values
    return [
        _rule(scale(low), y, scale(high), y, f"{name}-range"),
        _circle(scale(value), y, f"{name}-dot"),
    ]


class _Scale:
    """A linear map from values to coordinates."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self._low = low
        self._span = (high - low) or 1.0
        self._start = start
        self._length = end - start

    def __call__(self, value: float) -> float:
        return self._start + (value - self._low) / self._span * self._length


def nice_ticks(low: float, high: float, n: int = 6) -> list[float]:
    """Round numbers from ``low`` to ``high``, about ``n`` of them, at steps of 1, 2 or 5."""
    start, end = Fraction(low), Fraction(high)
    if start == end:
        end = start + 1
    raw = (end - start) / n
    power = Fraction(1)
    while power > raw:
        power /= 10
    while power * 10 <= raw:
        power *= 10
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw)
    first = -(-start // step)
    return [float(step * i) for i in range(int(first), int(end // step) + 1)]


def thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most ``_MAX_POINTS`` points: the lowest and the highest of each interval, in order.

    So no spike of a long run disappears between two drawn points.
    """
    if len(points) <= _MAX_POINTS:
        return list(points)
    n_stretches = _MAX_POINTS // 2
    kept: list[tuple[float, float]] = []
    for i in range(n_stretches):
        stretch = points[i * len(points) // n_stretches : (i + 1) * len(points) // n_stretches]
        extremes = {min(stretch, key=lambda p: p[1]), max(stretch, key=lambda p: p[1])}
        kept += sorted(extremes)
    return kept


def _c(value: float) -> str:
    """A coordinate: two decimals, without trailing zeros."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _text(x: float, y: float, content: str, anchor: str, name: str = "") -> str:
    css = f' class="{name}"' if name else ""
    return (
        f'<text{css} x="{_c(x)}" y="{_c(y)}" text-anchor="{anchor}">{html_text(content)}</text>\n'
    )


def _rule(x1: float, y1: float, x2: float, y2: float, name: str) -> str:
    return f'<line class="{name}" x1="{_c(x1)}" y1="{_c(y1)}" x2="{_c(x2)}" y2="{_c(y2)}"/>\n'


def _circle(x: float, y: float, name: str) -> str:
    return f'<circle class="{name}" cx="{_c(x)}" cy="{_c(y)}" r="4.5"/>\n'
