from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunixrt.report.charts import (
    IntervalChart,
    IntervalRow,
    LineChart,
    nice_ticks,
    svg,
    thinned,
)
from tunixrt.report.numbers import count, decimal, interval, p_value, signed, significant


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.0, 5.5, [0, 1, 2, 3, 4, 5]),
        (1.0, 120.0, [20, 40, 60, 80, 100, 120]),
        (0.0, 0.04, [0, 0.01, 0.02, 0.03, 0.04]),
        (0.0, 100.0, [0, 20, 40, 60, 80, 100]),
        (-3.0, 3.0, [-3, -2, -1, 0, 1, 2, 3]),
        (7.0, 7.0, [7, 7.2, 7.4, 7.6, 7.8, 8]),
        (0.0, 3e9, [0, 5e8, 1e9, 1.5e9, 2e9, 2.5e9, 3e9]),
    ],
)
def test_ticks_are_round_numbers(low: float, high: float, ticks: list[float]) -> None:
    assert nice_ticks(low, high) == ticks


finite = st.floats(-1e9, 1e9)


@given(finite, finite)
def test_ticks_are_few_and_within(a: float, b: float) -> None:
    low, high = min(a, b), max(a, b)
    ticks = nice_ticks(low, high)
    assert len(ticks) <= 8
    assert ticks == sorted(ticks)


def test_a_long_run_keeps_its_spikes() -> None:
    points = [(float(i), 100.0 if i == 5_003 else 1.0 + i % 2) for i in range(20_000)]
    kept = thinned(points)
    assert len(kept) <= 500
    assert (5_003.0, 100.0) in kept
    assert kept == sorted(kept)
    assert thinned(points[:500]) == points[:500]


def test_a_line_chart_is_golden() -> None:
    drawn = svg(LineChart("Loss", "step", "nats", ((1.0, 4.0), (2.0, 1.0))), alone=False)
    assert '<polyline class="line" points="64,28 576,173.5"/>' in drawn
    assert drawn.startswith(
        '<svg class="chart" viewBox="0 0 600 270" role="img" aria-label="Loss">'
    )


def test_one_point_and_a_flat_line_are_drawn() -> None:
    for points in (((5.0, 2.0),), ((1.0, 0.0), (2.0, 0.0)), ((1.0, -1.0), (2.0, -1.0))):
        ET.fromstring(svg(LineChart("t", "x", "y", points), alone=True))


def test_an_interval_chart_has_a_row_a_group_and_shortens_names() -> None:
    rows = tuple(IntervalRow(f"{'long ' * 10}{i}", (10, 5, 20), (90, 80, 95)) for i in range(3))
    root = ET.fromstring(svg(IntervalChart("Score", rows), alone=True))
    names = [t.text for t in root.iter("{http://www.w3.org/2000/svg}text") if t.get("class")]
    assert names == ["long long long long lon…"] * 3
    dots = list(root.iter("{http://www.w3.org/2000/svg}circle"))
    assert len(dots) == 2 + 2 * 3


def test_coordinates_lie_on_the_canvas() -> None:
    points = tuple((float(i), 10.0 / i) for i in range(1, 2000))
    root = ET.fromstring(svg(LineChart("t", "x", "y", points), alone=True))
    (line,) = root.iter("{http://www.w3.org/2000/svg}polyline")
    pairs = [pair.split(",") for pair in line.attrib["points"].split()]
    assert all(0 <= float(x) <= 600 and 0 <= float(y) <= 270 for x, y in pairs)


def test_numbers_are_short_and_signed() -> None:
    assert decimal(1234.56, 1) == "1,234.6"
    assert decimal(-0.04, 1) == "0.0"
    assert decimal(-3.25, 1) == "−3.2"
    assert signed(0.0, 1) == "0.0"
    assert signed(-0.01, 1) == "0.0"
    assert signed(12.5, 1) == "+12.5"
    assert signed(-12.5, 1) == "−12.5"
    assert interval(-1.0, 2.0) == "−1.0 to 2.0"
    assert significant(0.000123456, 3) == "0.000123"
    assert p_value(0.0123) == "p = 0.012"
    assert p_value(1e-9) == "p < 0.001"
    assert count(1, "step") == "1 step"
    assert count(1200, "step") == "1,200 steps"
