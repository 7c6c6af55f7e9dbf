"""Batches, steps and epochs: which clips a step trains on, and how many steps the epochs of a training are.

An epoch is one pass over the clips in batches. A step takes `accumulation` batches in each process, so the
same epochs are fewer steps with more processes.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

import attrs

from steermoe_core.data.batches import Epochs
from steermoe_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from steermoe_core.config.experiment import TrainConfig
    from steermoe_core.data.example import Example


def epochs_over(
    examples: Sequence[Example],
    train: TrainConfig,
    seed: int,
    processes: int = 1,
    *,
    costs: Sequence[float] = (),
    weights: Sequence[float] = (),
) -> Epochs:
    """Return the batches of each epoch.

    With a budget, the batches of a step are dealt from one group of clips of like length, so that they take
    equal time; otherwise each batch is a group of its own.

    :param costs: of each example, if there is a budget; empty: its seconds.
    :param weights: share of each training source in an epoch; empty: every example once.
    """
    seconds = [example.seconds for example in examples]
    return Epochs(
        lengths=seconds if train.batch_tokens is None else costs,
        limit=budget_of(train),
        bucket=train.bucket,
        seed=seed,
        costs=(costs or seconds) if train.budget else (),
        parts=train.accumulation * processes if train.budget else 1,
        sources=[example.source for example in examples],
        weights=weights,
    )


def budget_of(train: TrainConfig) -> float:
    """Return the clips, seconds or tokens of a batch; those of `auto` have to be found first."""
    found = train.budget[1] if train.budget else train.micro_batch
    if found == "auto":
        msg = 'the budget that "auto" stands for is not found yet'
        raise RuntimeError(msg)
    return found


def counted(train: TrainConfig, epochs: Epochs, clips: int, processes: int = 1) -> TrainConfig:
    """Return `[train]` with the number of steps that its epochs take, rounded up to a whole step.

    :param clips: usable training clips.
    :param processes: that train together.
    :raises UsageError: the warm-up is longer than the training.
    """
    if train.epochs is None:
        return train
    batches = epochs.total(Fraction(str(train.epochs)))  # of all processes
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


def epochs_of(train: TrainConfig, epochs: Epochs, processes: int = 1) -> float:
    """Return how many epochs the steps are, if all are as long as the first; arguments as in `counted`."""
    return steps_of(train) * train.accumulation * processes / epochs.count(0)
