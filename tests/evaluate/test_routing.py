"""What a label tells of the experts is information theory's, and chance is told from a finding."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steermoe_core.evaluate.routing import information

VALUES = {"a": list(range(20)), "b": list(range(20, 40))}


def test_a_label_that_decides_the_expert_tells_all() -> None:
    """Log 2 for two experts of two equal groups; far more than chance gives."""
    loads = np.zeros((40, 1, 2))
    loads[:20, 0, 0] = loads[20:, 0, 1] = 1.0

    (found,) = information(loads, np.ones(40), VALUES, seed=0)

    assert found["nats"] == pytest.approx(math.log(2))
    assert found["chance"] < 0.2


def test_a_label_that_decides_nothing_tells_nothing() -> None:
    """All clips alike: zero, and chance is zero as well; a layer each."""
    found = information(np.full((40, 3, 4), 0.25), np.ones(40), VALUES, seed=0)
    assert found == [{"nats": pytest.approx(0.0, abs=1e-9), "chance": pytest.approx(0.0, abs=1e-9)}] * 3


def test_chance_holds_what_it_says() -> None:
    """Of labels that say nothing, about one in twenty tells more than 95 % of chance."""
    random = np.random.default_rng(1)
    draws = [random.dirichlet(np.ones(4), (40, 5)) for _ in range(20)]
    told = [one for loads in draws for one in information(loads, np.ones(40), VALUES, seed=0)]

    assert 0 < sum(one["nats"] > one["chance"] for one in told) / len(told) < 0.15


@settings(max_examples=20)
@given(st.integers(0, 2**16), st.integers(2, 6))
def test_weights_are_durations(seed: int, experts: int) -> None:
    """A clip twice as long counts as two clips; clips in no group do not count."""
    random = np.random.default_rng(seed)
    loads = random.dirichlet(np.ones(experts), (6, 1))
    doubled = np.concatenate([loads, loads[:1]])

    (long,) = information(loads, np.array([2.0, 1, 1, 1, 1, 1]), {"a": [0, 1], "b": [2, 3]}, seed=0)
    (twice,) = information(doubled, np.ones(7), {"a": [0, 1, 6], "b": [2, 3]}, seed=0)

    assert long["nats"] == pytest.approx(twice["nats"])
    assert 0.0 <= long["nats"] <= math.log(2) + 1e-9
