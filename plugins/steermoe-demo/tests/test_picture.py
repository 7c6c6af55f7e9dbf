"""The drawing of a recording: places, colours, texts."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from steermoe_core import Segment
from steermoe_demo.picture import clock, heat, picture
from steermoe_demo.routing import Layer, Span

RATE = 16_000


def layer(*spans: tuple[float, float, list[list[float]]]) -> Layer:
    return Layer("3", [Span(start, end, np.array(shares, np.float32)) for start, end, shares in spans])


def test_colours_of_a_layer() -> None:
    """Unused is 0, an equal share ½, twice that or more 1, each at its own time."""
    found = heat(layer((0, 1, [[1, 0, 0, 0], [0.25, 0.25, 0.25, 0.25]])), seconds=1, columns=2)

    assert found.tolist() == [[1, 0.5], [0, 0.5], [0, 0.5], [0, 0.5]]


def test_frames_become_columns() -> None:
    """Several frames of a column are averaged, one frame fills several columns, and silence stays empty."""
    many = layer((0, 1, [[1, 0], [0, 1], [1, 0], [1, 0]]))
    few = layer((0, 1, [[1, 0]]), (2, 3, [[0, 1]]))

    assert heat(many, seconds=1, columns=2).tolist() == [[0.5, 1], [0.5, 0]]
    assert heat(few, seconds=3, columns=6).tolist() == [[1, 1, 0, 0, 0, 0], [0, 0, 0, 0, 1, 1]]


def test_a_short_span_of_a_long_recording_has_a_column() -> None:
    """Nothing that a model looked at is invisible."""
    found = heat(layer((0, 999.9, [[1, 0]]), (999.9, 1000, [[0, 1]])), seconds=1000, columns=10)

    assert found[:, -1].tolist() == [0, 1]


def test_waveform_and_heat_map_share_an_axis() -> None:
    """The image has a pixel for each expert and column; a cut is where a segment ends."""
    waveform = np.zeros(2 * RATE, np.float32)
    waveform[RATE:] = 0.25
    segments = [Segment(0.0, 0.5, "", "silence"), Segment(0.5, 2.0, "one", "eos")]
    drawn = picture(waveform, RATE, segments, [layer((0.5, 2.0, [[1, 0, 0]] * 75))])

    (band,) = drawn.bands
    image = Image.open(io.BytesIO(base64.b64decode(band.image.partition(",")[2])))
    assert image.size == (drawn.columns, 3) == (100, 3)
    assert [image.getpixel((24, 0))[3], image.getpixel((25, 0))[3], image.getpixel((25, 1))[3]] == [0, 255, 0]
    assert drawn.cuts == [25]
    tops = drawn.wave.removeprefix("M").split("L")[:100]
    assert [tops[49], tops[50]] == ["49 1.00", "50 0.00"]  # silence in the middle, the loudest at the top


@pytest.mark.parametrize("seconds", [0.03, 1, 19.2, 57, 600, 1800])
def test_ticks_are_round_and_fit(seconds: float) -> None:
    """A handful of different texts at most, and room for the last one."""
    drawn = picture(np.ones(int(seconds * 100), np.float32), 100, [], [])

    places, texts = zip(*drawn.ticks, strict=True)
    assert 1 <= len(texts) == len(set(texts)) <= 9
    assert places[0] == 0
    assert places[-1] < 95


def test_clock() -> None:
    """Minutes and seconds, tenths where there are some."""
    assert [clock(one) for one in (0, 4.25, 59.96, 61, 750.5)] == [
        "0:00",
        "0:04.2",
        "1:00",
        "1:01",
        "12:30.5",
    ]
