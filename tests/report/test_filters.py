"""Numbers as a person reads them."""

from __future__ import annotations

import pytest

from steermoe_core.evaluate.scores import Interval
from steermoe_core.report.filters import FILTERS


@pytest.mark.parametrize(
    ("name", "arguments", "text"),
    [
        ("figure", [0.12345], "0.123"),
        ("figure", [None], "–"),
        ("signed", [-0.05], "−0.050"),
        ("signed", [-0.0001], "+0.000"),
        ("count", [1234567], "1,234,567"),
        ("several", [1, "clip"], "1 clip"),
        ("several", [2, "clip"], "2 clips"),
        ("percent", [0.125, 1], "12.5 %"),
        ("span", [59.4], "59 s"),
        ("span", [3599], "59 min 59 s"),
        ("span", [3723], "1 h 2 min"),
        ("span", [None], "–"),
        ("interval", [Interval(0.1, 0.2)], "0.100 – 0.200"),
        ("interval", [None], ""),
        ("signed_interval", [Interval(-0.1, 0.2)], "−0.100 to +0.200"),
        ("setting", [True], "true"),
        ("setting", [None], "–"),
        ("setting", [[1, 2]], "[1, 2]"),
    ],
)
def test_filters(name: str, arguments: list[object], text: str) -> None:
    """One way for each kind of number."""
    assert FILTERS[name](*arguments) == text
