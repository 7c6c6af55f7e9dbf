"""The geometry of figures: axes with round ticks, paths for SVG, lengths of bars."""

from __future__ import annotations

import math
from itertools import pairwise, zip_longest
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from steermoe_core.evaluate.scores import Interval
    from steermoe_core.report.runs import RunScore
    from steermoe_core.system.records import Json

    Point = tuple[int, float]

#: The drawing, and the margins of its plot: left, top, right, bottom.
WIDTH, HEIGHT, MARGINS = 360, 200, (46, 10, 12, 26)
#: Maximum number of gaps between ticks; an axis with a larger ratio of its ends is logarithmic.
_GAPS, _LOGARITHMIC = 4, 10.0
#: Powers of ten that are enough for an axis.
_FEWEST = 3
#: Stretches of a line; of each, the lowest and the highest value are drawn.
_STRETCHES = 150
#: Lines that colour and dashes can distinguish; more are shaded in their order.
DISTINCT = 6


@attrs.frozen
class Series:
    """Values over optimizer steps."""

    name: str
    points: list[Point]


@attrs.frozen
class Mark:
    """A value to compare with."""

    name: str
    value: float


@attrs.frozen(kw_only=True)
class Plot:
    """The content of a chart.

    :param unit: of the values.
    :param series: at least one, each with a point.
    :param log: whether the axis is logarithmic if values span orders of magnitude.
    """

    title: str
    unit: str
    series: list[Series]
    log: bool
    mark: Mark | None


@attrs.frozen
class Bar:
    """One bar of a table of bars.

    :param value: its length; None without one.
    :param text: the value as it is shown.
    :param facts: the same for programs.
    """

    label: str
    value: float | None
    text: str
    facts: Json

    def to_json(self) -> Json:
        """Return its facts."""
        return self.facts


@attrs.frozen
class Axis:
    """A range of values with ticks."""

    low: float
    high: float
    ticks: list[float]
    log: bool = False

    def share(self, value: float) -> float:
        """Return where a value lies between the ends: 0 to 1."""
        low, high, at = map(math.log if self.log else float, (self.low, self.high, value))
        return (at - low) / (high - low)


@attrs.frozen
class Line:
    """A drawn series.

    :param path: for the attribute `d` of an SVG path.
    :param end: x and y of its last point.
    :param style: its class in the style sheet.
    :param shade: 0 to 1 in the order of the lines.
    """

    name: str
    path: str
    end: tuple[float, float]
    style: str
    shade: float


@attrs.frozen(kw_only=True)
class Chart:
    """A drawn plot. All lengths are in units of the drawing.

    :param across: place and text of each tick below.
    :param up: place and text of each tick at the left.
    :param mark: height of the mark.
    :param description: the plot in words.
    """

    lines: list[Line]
    across: list[tuple[float, str]]
    up: list[tuple[float, str]]
    mark: float | None
    log: bool
    description: str

    @property
    def legend(self) -> list[Line]:
        """The lines that the legend names: all of them, or of shaded ones the first and the last."""
        return self.lines if len(self.lines) <= DISTINCT else [self.lines[0], self.lines[-1]]


def chart(plot: Plot) -> Chart:
    """Draw a plot."""
    points = [point for one in plot.series for point in one.points]
    heights = [y for _, y in points] + ([plot.mark.value] if plot.mark else [])
    x, y = linear([x for x, _ in points], tight=True), (fitting if plot.log else linear)(heights)
    return Chart(
        lines=[_line(one, number, len(plot.series), x, y) for number, one in enumerate(plot.series)],
        across=[(_across(x, tick), _figure(tick)) for tick in x.ticks],
        up=[(_up(y, tick), _figure(tick)) for tick in y.ticks],
        mark=_up(y, plot.mark.value) if plot.mark else None,
        log=y.log,
        description="; ".join(_description(one) for one in plot.series[:DISTINCT]),
    )


def bar_rows(runs: Sequence[Sequence[Bar]]) -> list[tuple[int, Bar, float | None]]:
    """Return the bars of runs, the first of each run, then the second of each.

    :returns: number of the run, bar, and length in percent of the longest.
    """
    rows = [(run, bar) for group in zip_longest(*runs) for run, bar in enumerate(group) if bar is not None]
    longest = max((bar.value or 0 for _, bar in rows), default=0) or 1
    return [(run, bar, None if bar.value is None else 100 * bar.value / longest) for run, bar in rows]


def fitting(values: Sequence[float]) -> Axis:
    """Return an axis for values: a logarithmic one where they are of several orders of magnitude."""
    least = min(values)
    return logarithmic(values) if least > 0 and max(values) / least > _LOGARITHMIC else linear(values)


def linear(values: Sequence[float], *, tight: bool = False) -> Axis:
    """Return an axis with round ticks that holds all values, and zero if that is near.

    :param tight: it ends with the values.
    """
    low, high = min(values), max(values)
    if low == high:
        low, high = (low - 1.0, high + 1.0) if tight or not low else sorted((0.0, 2.0 * low))
    if not tight and 0 < low < high / 2:
        low = 0.0
    step = _step((high - low) / _GAPS)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    if tight:
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    ticks = [round(number * step, 12) for number in range(first, last + 1)]
    return Axis(low, high, ticks) if tight else Axis(ticks[0], ticks[-1], ticks)


def logarithmic(values: Sequence[float]) -> Axis:
    """Return a logarithmic axis between round numbers, with ticks at powers of ten or nearer."""
    low, high = min(values), max(values)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    rounds = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
    first = max(number for number in rounds if number <= low * (1 + 1e-9))
    last = min(number for number in rounds if number >= high * (1 - 1e-9))
    within = [number for number in rounds if first <= number <= last]
    tens = [number for number in within if number in rounds[::3]]
    ticks = tens if len(tens) >= _FEWEST else within
    return Axis(first, last, ticks[:: math.ceil((len(ticks) - 1) / _GAPS)], log=True)


def score_axis(rows: Sequence[RunScore]) -> Axis:
    """Return one axis from zero for scores with their intervals and controls."""
    ends = [end for row in rows if row.interval for end in (row.interval.low, row.interval.high)]
    values = [value for row in rows for value in (row.value, *row.controls.values())]
    return linear([0.0, *ends, *(value for value in values if value is not None)])


def difference_axis(differences: Iterable[float], intervals: Iterable[Interval | None]) -> Axis:
    """Return one axis with zero in the middle for differences with their intervals."""
    ends = [end for one in intervals if one for end in (one.low, one.high)]
    furthest = max(map(abs, [*ends, *differences]), default=0.0) or 1.0
    return linear([-furthest, furthest])


def thinned(points: Sequence[Point]) -> list[Point]:
    """Return few points that look the same: of each stretch the lowest and the highest, and both ends."""
    if len(points) <= 2 * _STRETCHES:
        return list(points)
    edges = [round(number * len(points) / _STRETCHES) for number in range(_STRETCHES + 1)]
    kept = {0, len(points) - 1}
    for start, end in pairwise(edges):
        kept |= {choose(range(start, end), key=lambda i: points[i][1]) for choose in (min, max)}
    return [points[number] for number in sorted(kept)]


def _step(least: float) -> float:
    """Return the next round number: 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9))


def _line(one: Series, number: int, count: int, x: Axis, y: Axis) -> Line:
    places = [(_across(x, step), _up(y, value)) for step, value in thinned(one.points)]
    path = "M" + "L".join(f"{across:.1f} {up:.1f}" for across, up in places)
    style = f"s{number}" if count <= DISTINCT else "shade"
    return Line(one.name, path, places[-1], style, round(number / max(count - 1, 1), 2))


def _across(axis: Axis, value: float) -> float:
    left, _, right, _ = MARGINS
    return round(left + axis.share(value) * (WIDTH - left - right), 1)


def _up(axis: Axis, value: float) -> float:
    _, top, _, bottom = MARGINS
    return round(HEIGHT - bottom - axis.share(value) * (HEIGHT - top - bottom), 1)


def _figure(value: float) -> str:
    """Return a tick's number as short as it can be read."""
    if value and not 1e-3 <= abs(value) < 1e5:  # noqa: PLR2004 - where zeros have to be counted
        mantissa, exponent = f"{value:.0e}".split("e")
        power = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
        return f"10{power}" if mantissa == "1" else f"{mantissa}·10{power}"
    return f"{value:,.6g}" if abs(value) >= 1e4 else f"{value:.6g}"  # noqa: PLR2004 - likewise


def _description(one: Series) -> str:
    (first, start), (last, end) = one.points[0], one.points[-1]
    return f"{one.name}: {start:.3g} at step {first}, {end:.3g} at step {last}"
