"""The waveform of a recording and the heat maps under it, on one axis of time."""

from __future__ import annotations

import base64
import io
import math
from itertools import pairwise
from typing import TYPE_CHECKING

import attrs
import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from steermoe_core import Segment
    from steermoe_demo.routing import Layer

    Numbers = NDArray[np.float32]

#: Points of a drawing a second, and the most that it has; a screen has about a thousand.
_RATE, _MOST = 50, 3000
#: Pixels that a second needs at least; a longer recording scrolls.
_PIXELS = 16
#: Seconds between ticks, and pixels that the text of one needs.
_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300)
_TICKS = 8
#: The blue of experts that work: visible on light and dark pages.
_BLUE = (32, 119, 196)


@attrs.frozen
class Band:
    """A drawn layer.

    :param name: of the layer.
    :param experts: lines of the heat map, expert 0 at the top.
    :param image: the heat map as the address of a PNG.
    """

    name: str
    experts: int
    image: str


@attrs.frozen(kw_only=True)
class Picture:
    """A drawn recording; all places are per cent of its width.

    :param wave: attribute `d` of an SVG path in a box of ``columns`` by 2.02.
    :param columns: width of that box.
    :param width: pixels that it needs to be readable.
    :param ticks: place and text of each.
    :param cuts: places where one segment ends and the next begins.
    """

    wave: str
    columns: int
    width: int
    ticks: list[tuple[float, str]]
    cuts: list[float]
    bands: list[Band]


def picture(waveform: Numbers, rate: int, segments: Sequence[Segment], layers: Sequence[Layer]) -> Picture:
    """Draw a recording.

    :param waveform: (samples,).
    :param rate: samples a second.
    """
    seconds = len(waveform) / rate
    columns = max(min(math.ceil(seconds * _RATE), _MOST, len(waveform)), 1)
    return Picture(
        wave=_wave(waveform, columns),
        columns=columns,
        width=min(math.ceil(seconds * _PIXELS), 2 * _MOST),
        ticks=_ticks(seconds),
        cuts=[round(100 * segment.end / seconds, 2) for segment in segments[:-1]],
        bands=[Band(one.name, one.experts, _png(heat(one, seconds, columns))) for one in layers],
    )


def heat(layer: Layer, seconds: float, columns: int) -> Numbers:
    """Return the colour (E,columns) of a layer's experts: 0 unused, ½ an equal share, 1 twice that or more.

    Where no model looked, in silence, it is 0.
    """
    cells = np.zeros((columns, layer.experts), np.float32)
    for span in layer.spans:
        first, end = (round(columns * place / seconds) for place in (span.start, span.end))
        first = min(first, columns - 1)
        end = min(max(end, first + 1), columns)
        cells[first:end] = _means(span.shares, end - first)
    colours: Numbers = np.minimum(cells.T * (layer.experts / 2), 1)
    return colours


def clock(seconds: float) -> str:
    """Return a time as people write it: 0:04.2, 12:30."""
    minutes, rest = divmod(round(seconds, 1), 60)
    return f"{int(minutes)}:{rest:04.1f}".removesuffix(".0")


def _means(values: Numbers, columns: int) -> Numbers:
    """Return the mean (columns,E) of the rows (T,E) under each column, or the row that covers it."""
    edges = np.linspace(0, len(values), columns + 1)
    low = np.minimum(np.floor(edges[:-1]).astype(int), len(values) - 1)
    high = np.maximum(np.ceil(edges[1:] - 1e-9).astype(int), low + 1)
    sums = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0, dtype=np.float64)])
    means: Numbers = ((sums[high] - sums[low]) / (high - low)[:, None]).astype(np.float32)
    return means


def _wave(waveform: Numbers, columns: int) -> str:
    """Return a path around the lowest and highest sample of each column; the loudest fills the box."""
    edges = np.linspace(0, len(waveform), columns + 1).astype(int)
    loudest = max(float(np.abs(waveform).max()), 1e-9)
    parts = [waveform[start:end] / loudest for start, end in pairwise(edges)]
    tops = [f"{column} {1 - float(part.max()):.2f}" for column, part in enumerate(parts)]
    bottoms = [f"{column} {1.02 - float(part.min()):.2f}" for column, part in enumerate(parts)]
    return "M" + "L".join([*tops, *reversed(bottoms)]) + "Z"


def _ticks(seconds: float) -> list[tuple[float, str]]:
    """Return round times, and none so near the end that its text would leave the picture."""
    step = next((step for step in _STEPS if seconds / step <= _TICKS), _STEPS[-1])
    times = [number * step for number in range(math.floor(seconds / step) + 1)]
    return [(round(100 * time / seconds, 2), clock(time)) for time in times if time < 0.95 * seconds]


def _png(colours: Numbers) -> str:
    """Return a heat map as the address of an image: one pixel a cell, blue with the colour as its opacity."""
    pixels = np.empty((*colours.shape, 4), np.uint8)
    pixels[..., :3] = _BLUE
    pixels[..., 3] = np.round(255 * colours)
    file = io.BytesIO()
    Image.fromarray(pixels, "RGBA").save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
