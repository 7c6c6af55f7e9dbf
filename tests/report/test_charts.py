"""Axes hold their values, ticks are round, thinning keeps every peak."""

from __future__ import annotations

import math
import re
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steermoe_core.evaluate.scores import Edits, Interval
from steermoe_core.report.charts import (
    DISTINCT,
    HEIGHT,
    WIDTH,
    Bar,
    Mark,
    Plot,
    Series,
    bar_rows,
    chart,
    difference_axis,
    fitting,
    linear,
    score_axis,
    thinned,
)
from steermoe_core.report.runs import RunScore

if TYPE_CHECKING:
    from steermoe_core.report.charts import Point

values = st.lists(st.floats(-1e6, 1e6).filter(lambda x: x == 0 or abs(x) > 1e-6), min_size=1, max_size=30)


def plot(*series: list[Point], mark: float | None = None) -> Plot:
    """Return a plot as `training` makes it."""
    lines = [Series(f"line {number}", points) for number, points in enumerate(series)]
    return Plot(title="t", unit="u", series=lines, log=True, mark=Mark("m", mark) if mark else None)


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
    score = RunScore(
        run="r", split="s", value=0.4, interval=Interval(0.3, 1.7), edits=Edits(2, 0, 0, 5), examples=1,
        clusters=1, controls={"no-audio": None},
    )  # fmt: skip
    axis = score_axis([score])
    assert (axis.low, axis.share(1.7)) == (0.0, pytest.approx(0.85))
    assert difference_axis([-0.3], [None]).share(0.0) == 0.5
    assert difference_axis([0.0], [Interval(-0.1, 0.2)]).share(0.0) == 0.5


def test_bars_of_runs_alternate() -> None:
    """The first of each run, then the second of each; lengths are shares of the longest."""
    first = [Bar("a", 1.0, "1", {}), Bar("b", None, "–", {})]

    rows = bar_rows([first, [Bar("a", 4.0, "4", {})]])

    assert [(run, bar.text, length) for run, bar, length in rows] == [
        (0, "1", 25.0), (1, "4", 100.0), (0, "–", None),
    ]  # fmt: skip
    assert bar_rows([[Bar("a", 0, "0", {})]])[0][2] == 0.0


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=2000))
def test_thinning_keeps_ends_and_extremes(heights: list[float]) -> None:
    """At most two points a step of the drawing, in their order, all of them there before."""
    points = list(enumerate(heights))

    found = thinned(points)

    assert len(found) <= 302
    assert found[0] == points[0]
    assert found[-1] == points[-1]
    assert [step for step, _ in found] == sorted({step for step, _ in found})
    assert all(points[step] == (step, height) for step, height in found)
    assert {min(heights), max(heights)} <= {height for _, height in found}


@pytest.mark.parametrize("count", [1, DISTINCT, DISTINCT + 1, 40])
def test_lines_stay_inside_and_are_named(count: int) -> None:
    """Few lines have a style each; many are shaded, and the first and the last are named."""
    drawn = chart(plot(*([(1, 1.0 + n), (50, 2.0 + n), (90, 3.0)] for n in range(count)), mark=2.5))

    for line in drawn.lines:
        places = [float(text) for text in re.findall(r"[\d.]+", line.path)]
        assert all(0 <= x <= WIDTH for x in places[::2])
        assert all(0 <= y <= HEIGHT for y in places[1::2])
    assert len({line.style for line in drawn.lines}) == (count if count <= DISTINCT else 1)
    assert [line.name for line in drawn.legend][-1] == f"line {count - 1}"
    assert len(drawn.legend) == (count if count <= DISTINCT else 2)
    assert drawn.mark is not None
    assert drawn.description.startswith("line 0: 1 at step 1, 3 at step 90")


def test_one_point_is_a_figure_too() -> None:
    """A run of one logged step."""
    drawn = chart(plot([(7, 0.25)]))

    assert not any(math.isnan(place) for place in drawn.lines[0].end)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0001, "10⁻⁴"), (2e-5, "2·10⁻⁵"), (0.001, "0.001"), (20000, "20,000"), (0.30000000004, "0.3")],
)
def test_ticks_are_short(value: float, text: str) -> None:
    """Zeros that would have to be counted are a power of ten."""
    from steermoe_core.report.charts import _figure

    assert _figure(value) == text
