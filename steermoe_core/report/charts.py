"""Where the lines of a figure lie: axes with round ticks, and paths for SVG. All lengths are in its units."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from collections.abc import Sequence

    Points = Sequence[Sequence[float]]

#: The drawing, and the room around its plot: left, top, right, bottom.
WIDTH, HEIGHT, ROOM = 360, 200, (46, 10, 12, 26)
#: Gaps between ticks, at most; and from which ratio on an axis is logarithmic.
_GAPS, _LOGARITHMIC = 4, 10.0
#: Powers of ten that are enough for an axis.
_FEWEST = 3
#: Steps on the way of a line that are drawn; of each, the lowest and the highest value.
_STEPS = 150
#: Lines that can be told apart by colour and dashes; more are shaded in their order.
DISTINCT = 6


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
    :param end: of its last point, x and y.
    :param number: from 0.
    :param style: its class in the style sheet.
    :param shade: 0 to 1 in the order of the lines.
    """

    name: str
    path: str
    end: tuple[float, float]
    style: str
    shade: float


@attrs.frozen
class Chart:
    """A drawn figure.

    :param across: place and text of each tick below; `up` likewise at the left.
    :param mark: the height of a line of comparison; None without one.
    :param told: the figure in words.
    """

    lines: list[Line]
    across: list[tuple[float, str]]
    up: list[tuple[float, str]]
    mark: float | None
    log: bool
    told: str

    @property
    def named(self) -> list[Line]:
        """The lines that are named below: all of them, or of shaded ones the first and the last."""
        return self.lines if len(self.lines) <= DISTINCT else [self.lines[0], self.lines[-1]]


def chart(figure: dict[str, Any]) -> Chart:
    """Draw a figure of `training`."""
    series, mark = figure["series"], figure["mark"]
    points = [point for one in series for point in one["points"]]
    heights = [y for _, y in points] + ([mark["value"]] if mark else [])
    x, y = linear([x for x, _ in points], tight=True), (fitting if figure["log"] else linear)(heights)
    return Chart(
        lines=[_line(one, number, len(series), x, y) for number, one in enumerate(series)],
        across=[(_across(x, tick), _figure(tick)) for tick in x.ticks],
        up=[(_up(y, tick), _figure(tick)) for tick in y.ticks],
        mark=_up(y, mark["value"]) if mark else None,
        log=y.log,
        told="; ".join(_told(one) for one in series[:DISTINCT]),
    )


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


def beside(rows: Sequence[dict[str, Any]]) -> Axis:
    """Return one axis from zero for scores that stand one below the other, with intervals and controls."""
    ends = [end for row in rows for end in (row["interval"] or {}).values()]
    middles = [value for row in rows for value in (row["value"], *row["controls"].values())]
    return linear([0.0, *ends, *(value for value in middles if value is not None)])


def around(rows: Sequence[dict[str, Any]], key: str) -> Axis:
    """Return one axis with zero in the middle for differences.

    :param key: of the difference in a row.
    """
    ends = [abs(end) for row in rows for end in (row.get("interval") or {}).values()]
    furthest = max([*ends, *(abs(row[key]) for row in rows)], default=0.0) or 1.0
    return linear([-furthest, furthest])


def thinned(points: Points) -> list[Sequence[float]]:
    """Return few points that look the same: of each stretch the lowest and the highest, and both ends."""
    if len(points) <= 2 * _STEPS:
        return list(points)
    edges = [round(number * len(points) / _STEPS) for number in range(_STEPS + 1)]
    kept = {0, len(points) - 1}
    for start, end in pairwise(edges):
        kept |= {min(range(start, end), key=lambda i: points[i][1])}
        kept |= {max(range(start, end), key=lambda i: points[i][1])}
    return [points[number] for number in sorted(kept)]


def _step(least: float) -> float:
    """Return the next round number: 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9))


def _line(one: dict[str, Any], number: int, count: int, x: Axis, y: Axis) -> Line:
    places = [(_across(x, step), _up(y, value)) for step, value in thinned(one["points"])]
    path = "M" + "L".join(f"{across:.1f} {up:.1f}" for across, up in places)
    style = f"s{number}" if count <= DISTINCT else "shade"
    return Line(one["name"], path, places[-1], style, round(number / max(count - 1, 1), 2))


def _across(axis: Axis, value: float) -> float:
    left, _, right, _ = ROOM
    return round(left + axis.share(value) * (WIDTH - left - right), 1)


def _up(axis: Axis, value: float) -> float:
    _, top, _, bottom = ROOM
    return round(HEIGHT - bottom - axis.share(value) * (HEIGHT - top - bottom), 1)


def _figure(value: float) -> str:
    """Return a tick's number as short as it can be read."""
    if value and not 1e-3 <= abs(value) < 1e5:  # noqa: PLR2004 - where zeros have to be counted
        mantissa, exponent = f"{value:.0e}".split("e")
        power = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
        return f"10{power}" if mantissa == "1" else f"{mantissa}·10{power}"
    return f"{value:,.6g}" if abs(value) >= 1e4 else f"{value:.6g}"  # noqa: PLR2004 - likewise


def _told(one: dict[str, Any]) -> str:
    (first, begun), (last, ended) = one["points"][0], one["points"][-1]
    return f"{one['name']}: {begun:.3g} at step {first}, {ended:.3g} at step {last}"
