"""The score of short clips and of long ones."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steermoe_core.evaluate.bootstrap import interval
from steermoe_core.evaluate.durations import by_duration
from steermoe_core.evaluate.prediction import Prediction
from steermoe_core.evaluate.scores import Edits


def answer(seconds: float, edits: Edits = Edits(1, 0, 0, 2)) -> tuple[Prediction, Edits]:  # noqa: B008 - frozen
    clip = Prediction(id=f"{seconds}", reference="", hypothesis="", seconds=seconds, tokens=1, stop="eos")
    return clip, edits


@given(st.lists(st.floats(0.1, 30.0), min_size=1, max_size=60))
def test_groups_are_equally_large_and_in_order(seconds: list[float]) -> None:
    """Every clip is in one group, and the sizes differ by one at most."""
    groups = list(by_duration([answer(each) for each in seconds]))
    sizes = [group.clips for group in groups]
    assert sum(sizes) == len(seconds)
    assert max(sizes) - min(sizes) <= 1
    edges = [edge for group in groups for edge in (group.shortest, group.longest)]
    assert edges == sorted(edges)
    assert (edges[0], edges[-1]) == (min(seconds), max(seconds))


def test_each_group_has_its_score() -> None:
    """With an interval over its own clips."""
    short = [answer(1.0 + number, Edits(number, 0, 0, 4)) for number in range(4)]
    long = [answer(10.0 + number, Edits(0, 0, 0, 4)) for number in range(4)]
    first, second = by_duration([*long, *short])
    assert (first.value, second.value) == (6 / 16, 0.0)
    assert first.interval == interval([edits for _, edits in short])
    assert second.interval is not None
    assert (second.interval.low, second.interval.high) == (0.0, 0.0)


def test_an_accuracy_is_one_minus_the_errors() -> None:
    """As it is for the whole split."""
    (group,) = by_duration([answer(1.0)] * 3, higher_is_better=True)
    assert group.value == 0.5


def test_clips_without_a_word() -> None:
    """They have no score, and nothing to resample."""
    (group,) = by_duration([answer(1.0, Edits(0, 0, 0, 0))] * 3)
    assert (group.clips, group.value, group.interval) == (3, None, None)


def test_speakers_are_resampled_whole() -> None:
    """Clips of one speaker are no independent evidence."""
    same = [(attrs.evolve(clip, cluster="ada"), edits) for clip, edits in (answer(1.0), answer(2.0))]
    (group,) = by_duration(same)
    assert group.value == pytest.approx(0.5)
    assert group.interval is None
