"""Epochs become steps: enough for that many passes over the clips, to the whole step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from steermoe_core.config.experiment import TrainConfig
from steermoe_core.data.batches import Epochs, Share
from steermoe_core.data.example import Example
from steermoe_core.errors import UsageError
from steermoe_core.train.epochs import budget_of, counted, epochs_of, epochs_over, steps_of


def train(**settings: Any) -> TrainConfig:
    """Return settings of batches of 4."""
    return TrainConfig(**{"batch_size": 4, **settings})


def over(settings: TrainConfig, clips: int, processes: int = 1) -> Epochs:
    """Return the batches of clips of 1 to 5 seconds."""
    examples = [
        Example(id=str(number), audio=Path(), text="", seconds=1.0 + number % 5) for number in range(clips)
    ]
    return epochs_over(examples, settings, seed=3, processes=processes)


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
        (1_000_000.0, 41, {}, 1, 11_000_000),
    ],
)
def test_steps_of_epochs(
    epochs: float, clips: int, settings: dict[str, Any], processes: int, steps: int
) -> None:
    """Batches of an epoch, the last one smaller, times epochs, in steps of all processes."""
    config = train(epochs=epochs, **settings)

    assert steps_of(counted(config, over(config, clips, processes), clips, processes)) == steps


@pytest.mark.parametrize("processes", [1, 3])
@pytest.mark.parametrize("clips", [2, 5, 8, 41])
@pytest.mark.parametrize(
    "settings", [train(epochs=2), TrainConfig(batch_seconds=12.0, bucket=2, epochs=2, accumulation=2)]
)
def test_every_clip_is_in_each_epoch(settings: TrainConfig, clips: int, processes: int) -> None:
    """The batches of that many steps have all clips twice; only the last step may have more."""
    epochs = over(settings, clips, processes)
    parts = settings.accumulation * processes
    steps = steps_of(counted(settings, epochs, clips, processes))

    def taken(steps: int) -> list[int]:
        return sorted(number for batch in Share(epochs, steps * parts) for number in batch)

    assert set(range(2 * clips)) <= set(taken(steps))
    assert len(taken(steps)) == len(set(taken(steps)))
    assert not set(range(2 * clips)) <= set(taken(steps - 1))


def test_steps_stay_as_they_are() -> None:
    """They have their number of epochs, too."""
    assert counted(train(steps=5), over(train(), 40), clips=40) == train(steps=5)
    assert epochs_of(train(steps=5), over(train(), 40)) == 0.5
    assert epochs_of(train(steps=5, accumulation=2), over(train(), 40), processes=3) == 3.0


def test_a_budget_has_its_own_steps() -> None:
    """40 clips of 3 seconds on average fill ten seconds or so with the padding."""
    config = TrainConfig(batch_seconds=12.0, epochs=1)

    steps = steps_of(counted(config, over(config, 40), 40))

    assert 10 <= steps < 15
    assert epochs_of(TrainConfig(batch_seconds=12.0, steps=2 * steps), over(config, 40)) == 2.0


def test_tokens_are_those_of_the_costs() -> None:
    """Clips are sorted by them and counted with them."""
    examples = [Example(id=str(n), audio=Path(), text="", seconds=9.0 - n) for n in range(9)]
    config = TrainConfig(batch_tokens=30, steps=1)

    epochs = epochs_over(examples, config, seed=3, costs=[10.0] * 3 + [30.0] * 3 + [15.0] * 3)

    assert sorted(map(sorted, epochs.batches(0))) == [[0, 1, 2], [3], [4], [5], [6, 7], [8]]


def test_auto_has_to_be_found_first() -> None:
    """It is no number."""
    assert budget_of(train()) == 4
    assert budget_of(TrainConfig(batch_tokens=30)) == 30
    with pytest.raises(RuntimeError, match="not found yet"):
        budget_of(TrainConfig(batch_seconds="auto"))


def test_a_warm_up_that_is_longer_is_refused() -> None:
    """Both numbers, and how the second one comes."""
    config = train(epochs=1, warmup=11)
    with pytest.raises(
        UsageError, match=r"warmup is 11 steps, but train.epochs = 1 with 40 clips takes only 10"
    ):
        counted(config, over(config, 40), clips=40)
