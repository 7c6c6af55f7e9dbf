"""Axes hold what they are for, ticks are round, thinning keeps every peak."""

from __future__ import annotations

import math
import re
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steermoe_core.report.charts import (
    DISTINCT,
    HEIGHT,
    WIDTH,
    around,
    beside,
    chart,
    fitting,
    linear,
    thinned,
)

values = st.lists(st.floats(-1e6, 1e6).filter(lambda x: x == 0 or abs(x) > 1e-6), min_size=1, max_size=30)


def figure(*series: list[list[float]], mark: float | None = None) -> dict[str, Any]:
    """Return a figure as `training` makes it."""
    lines = [{"name": f"line {number}", "points": points} for number, points in enumerate(series)]
    return {
        "title": "t",
        "unit": "u",
        "series": lines,
        "log": True,
        "mark": mark and {"name": "m", "value": mark},
    }


@given(values)
def test_an_axis_holds_all_values(found: list[float]) -> None:
    """Between its ends, with two to six rising ticks there."""
    axis = fitting(found)

    span = axis.high - axis.low
    assert span > 0
    assert all(-1e-6 <= axis.share(value) <= 1 + 1e-6 for value in found)
    assert 2 <= len(axis.ticks) <= 6
    assert all(one < other for one, other in pairwise(axis.ticks))
    assert all(-1e-9 <= axis.share(tick) <= 1 + 1e-9 for tick in axis.ticks)


@given(st.lists(st.floats(1e-9, 1e9), min_size=1, max_size=30))
def test_orders_of_magnitude_have_a_logarithmic_axis(found: list[float]) -> None:
    """Its ticks are 1, 2 or 5 times a power of ten."""
    axis = fitting(found)

    assert axis.log == (max(found) / min(found) > 10)
    for tick in axis.ticks if axis.log else ():
        assert f"{tick:.3e}"[0] in "125"


@pytest.mark.parametrize(
    ("found", "ticks"),
    [
        ([0.2, 0.9], [0.0, 0.5, 1.0]),
        ([7.6, 8.0], [7.6, 7.7, 7.8, 7.9, 8.0]),
        ([3.0], [0.0, 2.0, 4.0, 6.0]),
        ([0.0], [-1.0, -0.5, 0.0, 0.5, 1.0]),
    ],
)
def test_round_ticks(found: list[float], ticks: list[float]) -> None:
    """Zero is part of an axis that comes near it."""
    assert linear(found).ticks == pytest.approx(ticks)


def test_axes_of_scores_and_differences() -> None:
    """Scores from zero to whatever is furthest; differences with zero in the middle."""
    row = {"value": 0.4, "interval": {"low": 0.3, "high": 1.7}, "controls": {"no-audio": None}}
    assert (beside([row]).low, beside([row]).share(1.7)) == (0.0, pytest.approx(0.85))
    assert around([{"value": -0.3, "interval": None}], "value").share(0.0) == 0.5
    assert around([{"change": 0.0, "interval": None}], "change").share(0.0) == 0.5


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=2000))
def test_thinning_keeps_ends_and_extremes(heights: list[float]) -> None:
    """At most two points a step of the drawing, in their order, all of them there before."""
    points = [[step, height] for step, height in enumerate(heights)]

    found = thinned(points)

    assert len(found) <= 302
    assert found[0] == points[0]
    assert found[-1] == points[-1]
    assert [step for step, _ in found] == sorted({step for step, _ in found})
    assert all(points[int(step)] == [step, height] for step, height in found)
    assert {min(heights), max(heights)} <= {height for _, height in found}


@pytest.mark.parametrize("count", [1, DISTINCT, DISTINCT + 1, 40])
def test_lines_stay_inside_and_are_named(count: int) -> None:
    """Few lines have a style each; many are shaded, and the first and the last are named."""
    drawn = chart(figure(*([[1, 1 + n], [50, 2 + n], [90, 3.0]] for n in range(count)), mark=2.5))

    for line in drawn.lines:
        places = [float(text) for text in re.findall(r"[\d.]+", line.path)]
        assert all(0 <= x <= WIDTH for x in places[::2])
        assert all(0 <= y <= HEIGHT for y in places[1::2])
    assert len({line.style for line in drawn.lines}) == (count if count <= DISTINCT else 1)
    assert [line.name for line in drawn.named][-1] == f"line {count - 1}"
    assert len(drawn.named) == (count if count <= DISTINCT else 2)
    assert drawn.mark is not None
    assert drawn.told.startswith("line 0: 1 at step 1, 3 at step 90")


def test_one_point_is_a_figure_too() -> None:
    """A run of one logged step."""
    drawn = chart(figure([[7, 0.25]]))

    assert not any(math.isnan(place) for place in drawn.lines[0].end)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0001, "10⁻⁴"), (2e-5, "2·10⁻⁵"), (0.001, "0.001"), (20000, "20,000"), (0.30000000004, "0.3")],
)
def test_ticks_are_short(value: float, text: str) -> None:
    """Zeros that would have to be counted are a power of ten."""
    from steermoe_core.report.charts import _figure

    assert _figure(value) == text
