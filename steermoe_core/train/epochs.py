"""Epochs as steps: `train.epochs` becomes a number of steps once the usable training clips are counted.

An epoch is one pass over the clips in batches; its last batch may be smaller. A step takes `accumulation`
batches in each process, so the same epochs are fewer steps with more processes.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

import attrs

from steermoe_core.errors import UsageError

if TYPE_CHECKING:
    from steermoe_core.config.experiment import TrainConfig


def counted(train: TrainConfig, clips: int, processes: int = 1) -> TrainConfig:
    """Return `[train]` with the number of steps that its epochs take, rounded up to a whole step.

    :param clips: usable training clips.
    :param processes: that train together.
    :raises UsageError: the warm-up is longer than the training.
    """
    if train.epochs is None:
        return train
    batches = Fraction(str(train.epochs)) * _batches(train, clips)  # of all processes
    steps = math.ceil(batches / (train.accumulation * processes))
    if train.warmup > steps:
        msg = (
            f"train.warmup is {train.warmup} steps, but train.epochs = {train.epochs:g} with {clips:,} clips "
            f"takes only {steps:,}; shorten the warm-up or train for more epochs"
        )
        raise UsageError(msg)
    return attrs.evolve(train, steps=steps)


def steps_of(train: TrainConfig) -> int:
    """Return the number of steps; that of epochs has to be `counted` first."""
    if train.steps is None:
        msg = "the steps of train.epochs are not counted yet"
        raise RuntimeError(msg)
    return train.steps


def epochs_of(train: TrainConfig, clips: int, processes: int = 1) -> float:
    """Return how many epochs the steps are; `clips` and `processes` as in `counted`."""
    return steps_of(train) * train.accumulation * processes / _batches(train, clips)


def _batches(train: TrainConfig, clips: int) -> int:
    return -(-clips // train.batch_size)
