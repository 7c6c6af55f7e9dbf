"""The figures that the engine keeps, on little data; `python -m tests.benchmarks` takes more."""

from __future__ import annotations

import pytest

from tests.benchmarks.__main__ import BENCHMARKS
from tests.benchmarks.figure import Figure, fastest
from tests.benchmarks.tables import extrapolated

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # minutes on a busy machine


@pytest.mark.parametrize("name", BENCHMARKS)
def test_figures(name: str) -> None:
    """Every bound of every benchmark is kept."""
    missed = [figure for figure in BENCHMARKS[name](quick=True) if not figure.holds]

    assert not missed


def test_a_missed_bound_shows() -> None:
    """A figure beyond its bound does not hold, on either side."""
    assert not Figure(name="slow", value=1.3, bound=1.25).holds
    assert not Figure(name="slow", value=3.9, bound=4, at_least=True).holds
    assert Figure(name="fast", value=1.2, bound=1.25).holds


def test_the_fastest_repeat_of_each_step_counts() -> None:
    """A slow moment hits one repeat of a step, not the figure."""
    laps = iter([[1.0, 9.0], [5.0, 2.0]])

    assert fastest(2, engine=lambda: next(laps)) == {"engine": 3.0}


def test_costs_are_extrapolated_along_a_line() -> None:
    """Through the two largest sizes: the fixed part of a cost counts once."""
    found = {size: {"first": {"seconds": 2.0 + size / 100}} for size in (300, 100)}
    found[10] = {"first": {"seconds": 50.0}}

    assert extrapolated(found, 1000) == {"first": {"seconds": pytest.approx(12.0)}}
