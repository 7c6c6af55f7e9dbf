"""Which batches stand for a training."""

from __future__ import annotations

from statistics import mean

import pytest

from steermoe_core.config.experiment import TrainConfig
from steermoe_core.run.cost.lengths import Clips, idle, spread


def test_librispeech() -> None:
    """The published distribution has its published mean; clips that are too long are left out."""
    clips = Clips.like("librispeech", 30.0)

    assert mean(clips.seconds) == pytest.approx(12.6, abs=0.1)
    assert max(clips.seconds) <= 30.0
    assert max(Clips.like("librispeech", 15.0).seconds) <= 15.0


def test_batches_are_those_of_the_training() -> None:
    """Of like length, each clip once."""
    clips = Clips(seconds=[float(i) for i in range(1, 41)], origin="")

    batches = clips.batches(TrainConfig(steps=1, batch_size=4, bucket=10), seed=1)

    assert sorted(one for batch in batches for one in batch) == clips.seconds
    assert all(max(batch) - min(batch) == 3.0 for batch in batches)


def test_batches_that_stand_for_all() -> None:
    """The middle ones of equal shares, by what they are padded to."""
    batches = [[9.0, 1.0], [1.0], [2.0, 2.0], [3.0]]

    assert spread(batches, 1) == [[2.0, 2.0]]
    assert spread(batches, 2) == [[1.0], [2.0, 2.0]]
    assert spread(batches, 9) == [[1.0], [3.0], [2.0, 2.0], [9.0, 1.0]]


def test_idle_ranks_wait_for_the_slowest() -> None:
    """One of two is idle for half of the first step; a step that is not whole does not count."""
    assert idle([1.0, 2.0, 3.0, 3.0, 5.0], 2) == pytest.approx(1 / 10)
    assert idle([1.0, 2.0], 1) == 0.0
    assert idle([1.0], 2) == 0.0
