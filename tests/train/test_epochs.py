"""Epochs become steps: enough for that many passes over the clips, to the whole step."""

from __future__ import annotations

from typing import Any

import pytest

from steermoe_core.config.experiment import TrainConfig
from steermoe_core.data.batches import BucketedBatches
from steermoe_core.errors import UsageError
from steermoe_core.train.epochs import counted, epochs_of, steps_of


def train(**settings: Any) -> TrainConfig:
    """Return settings of batches of 4."""
    return TrainConfig(**{"batch_size": 4, **settings})


@pytest.mark.parametrize(
    ("epochs", "clips", "settings", "processes", "steps"),
    [
        (1.0, 40, {}, 1, 10),
        (1.0, 41, {}, 1, 11),
        (3.0, 41, {}, 1, 33),
        (0.1, 120, {}, 1, 3),  # 0.1 * 30 is more than 3 in binary
        (0.7, 40, {}, 1, 7),
        (0.01, 40, {}, 1, 1),
        (2.0, 40, {"accumulation": 3}, 1, 7),
        (2.0, 40, {"accumulation": 3}, 2, 4),
        (2.5, 7, {"batch_size": 100}, 1, 3),
    ],
)
def test_steps_of_epochs(
    epochs: float, clips: int, settings: dict[str, Any], processes: int, steps: int
) -> None:
    """Batches of an epoch, the last one smaller, times epochs, in steps of all processes."""
    assert steps_of(counted(train(epochs=epochs, **settings), clips, processes)) == steps


@pytest.mark.parametrize("clips", [5, 8, 41])
def test_every_clip_is_in_each_epoch(clips: int) -> None:
    """The batches of that many steps are whole passes of the sampler."""
    steps = steps_of(counted(train(epochs=2), clips))
    batches = BucketedBatches([1.0] * clips, batch_size=4, bucket=2, seed=3, batches=steps)

    taken = sorted(number % clips for batch in batches for number in batch)

    assert taken == sorted([*range(clips)] * 2)


def test_steps_stay_as_they_are() -> None:
    """They have their number of epochs, too."""
    assert counted(train(steps=5), clips=40) == train(steps=5)
    assert epochs_of(train(steps=5), clips=40) == 0.5
    assert epochs_of(train(steps=5, accumulation=2), clips=40, processes=3) == 3.0


def test_a_warm_up_that_is_longer_is_refused() -> None:
    """Both numbers, and how the second one comes."""
    with pytest.raises(
        UsageError, match=r"warmup is 11 steps, but train.epochs = 1 with 40 clips takes only 10"
    ):
        counted(train(epochs=1, warmup=11), clips=40)
