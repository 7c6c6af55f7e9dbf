"""Which examples make up which batch: a pure function of durations, settings and seed.

Nothing depends on a library's shuffling, which may change between versions: the order is a sort by the raw
numbers of a counter-based generator, whose stream is fixed by its definition.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import chain, count, islice
from typing import TYPE_CHECKING

import attrs
import numpy as np
from torch.utils.data import Dataset, Sampler

from steermoe_core.data.example import Example
from steermoe_core.data.mixing import Mixture, shuffled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from steermoe_core.data.mixing import Indices


class Epochs:
    """The batches of each epoch, of clips of like length.

    Each epoch has a random order of its own, cut into windows; a window is sorted by length and cut into
    groups, which come in random order. The clips of a group are dealt to `parts` batches, so that these have
    the same number of clips, of nearly the same lengths. A group is as large as `limit` allows: the cost of a
    batch is the number of its clips times the largest cost of one, and only a single clip exceeds the limit.

    Every example is in exactly one batch of an epoch, unless weights say otherwise. With several parts, the
    last group of an epoch is completed by the first clips of the next one, which then leaves them out: at
    most ``parts - 1`` clips.

    :param lengths: of each example, in any unit: what a window is sorted by.
    :param costs: of each example; empty: 1, and `limit` is a number of clips.
    :param limit: highest cost of a batch.
    :param bucket: groups a window, on average; 1 draws the clips of a batch at random.
    :param seed: start of the random numbers.
    :param parts: batches a group: those of one optimizer step.
    :param sources: number of the source of each example, where there are weights.
    :param weights: share of each source in an epoch; empty: every example once.
    :raises ValueError: there is no example.
    :raises DataError: a source that has a weight has none.
    """

    def __init__(
        self,
        lengths: Sequence[float] | NDArray[np.float64],
        limit: float,
        bucket: int,
        seed: int,
        costs: Sequence[float] | NDArray[np.float64] = (),
        parts: int = 1,
        sources: Sequence[int] | Indices = (),
        weights: Sequence[float] = (),
    ) -> None:
        if not len(lengths):
            msg = "there is no example to make batches of"
            raise ValueError(msg)
        self._lengths = np.asarray(lengths, dtype=np.float64)
        self._costs = (
            np.asarray(costs, dtype=np.float64) if len(costs) else np.broadcast_to(1.0, len(lengths))
        )
        self._mixture = Mixture(sources if len(weights) else np.broadcast_to(0, len(lengths)), weights, seed)
        self._limit = limit
        self._seed = seed
        self._parts = parts
        self._uneven = len(costs) > 0 or parts > 1
        self._window = max(round(bucket * limit / self._costs.mean()), 1) * parts  # clips

    def batches(self, number: int) -> Iterator[list[int]]:
        """Yield all batches of epoch 0, 1, …, as numbers of `Turns`; those of a group follow one another."""
        for index, window in enumerate(self._windows(number)):
            cuts = self._cuts(window)
            for group in shuffled(np.arange(len(cuts) - 1), self._seed, number, index + 1):
                yield from window[cuts[group] : cuts[group + 1]].reshape(-1, self._parts).T.tolist()

    def count(self, number: int) -> int:
        """Return how many batches epoch 0, 1, … has."""
        return self._parts * sum(len(self._cuts(window)) - 1 for window in self._windows(number))

    def total(self, epochs: Fraction) -> Fraction:
        """Return how many batches a number of epochs has; those of a part of an epoch may be a fraction."""
        whole = int(epochs) if self._uneven else 0  # those that may differ
        found = Fraction(sum(map(self.count, range(whole))))
        return found if epochs == whole else found + (epochs - whole) * self.count(whole)

    def _windows(self, number: int) -> Iterator[Indices]:
        """Yield the windows of an epoch, sorted by length; each has a multiple of `parts` clips."""
        clips = self._clips(number)
        for start in range(0, len(clips), self._window):
            window = clips[start : start + self._window]
            yield window[np.argsort(self._lengths[window % len(self._lengths)], kind="stable")]

    def _clips(self, number: int) -> Indices:
        """Return the clips of an epoch in random order, with those of the next that complete its last group.

        All epochs one after the other are a stream of clips, which is cut at multiples of `parts`.
        """
        size, parts = len(self._lengths), self._parts
        start, end = (-(-size * epoch // parts) * parts for epoch in (number, number + 1))
        first, last = start // size, max(-(-end // size), start // size + 1)
        orders = [shuffled(self._mixture.epoch(epoch), self._seed, epoch, 0) for epoch in range(first, last)]
        order = orders[0] if len(orders) == 1 else np.concatenate(orders)
        return order[start - first * size : end - first * size]

    def _cuts(self, window: Indices) -> list[int]:
        """Return the places at which a sorted window is cut into groups, its ends included."""
        parts, limit = self._parts, self._limit
        costs = self._costs[window % len(self._costs)]
        # A row is a clip for each batch; `most` (rows,) is the largest cost up to its end.
        most = np.maximum.accumulate(costs)[parts - 1 :: parts].tolist()
        rows, cuts = len(most), [0]
        clips = rows  # of a batch: never more than of the one before, whose clips are shorter
        while cuts[-1] < rows:
            start = cuts[-1]
            clips = max(min(clips, rows - start, int(limit // most[start])), 1)
            while clips > 1 and clips * most[start + clips - 1] > limit:
                clips -= 1
            cuts.append(start + clips)
        return [parts * row for row in cuts]


class Share(Sampler[list[int]]):
    """One process's batches of a run: the first of each `ranks` batches is rank 0's, and so on.

    So the batches of a step are those of one process that accumulates `ranks` times as many.

    :param batches: of all processes; epochs follow one another until then.
    """

    def __init__(self, epochs: Epochs, batches: int, rank: int = 0, ranks: int = 1) -> None:
        self._epochs = epochs
        self._batches = batches
        self._rank = rank
        self._ranks = ranks

    def __iter__(self) -> Iterator[list[int]]:
        """Yield the process's batches of the run."""
        endless = chain.from_iterable(map(self._epochs.batches, count()))
        return islice(endless, self._rank, self._batches, self._ranks)

    def __len__(self) -> int:
        """Return the number of the process's batches."""
        return self._batches // self._ranks


class Turns(Dataset[Example]):
    """The examples over and over: number ``turn * len(examples) + i`` is example i for the turn-th time."""

    def __init__(self, examples: Sequence[Example]) -> None:
        self._examples = examples

    def __getitem__(self, number: int) -> Example:
        """Return an example that knows its turn."""
        turn, index = divmod(number, len(self._examples))
        return attrs.evolve(self._examples[index], turn=turn) if turn else self._examples[index]

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self._examples)


def length_sorted(
    seconds: Sequence[float] | NDArray[np.float64], size: int | Callable[[float], int]
) -> tuple[list[list[int]], list[int]]:
    """Return batches of clips of like length for evaluation, the longest first: want of memory shows at once.

    :param size: clips a batch; or a function that returns it for the seconds of the batch's longest clip.
    :returns: the batches, and for each example the place of its result in the batches' order, so that
        ``[results[place] for place in places]`` is in the examples' order again.
    """
    order = np.argsort(-np.asarray(seconds, dtype=np.float64), kind="stable").tolist()
    batches: list[list[int]] = []
    start = 0
    while start < len(order):
        end = start + (size(seconds[order[start]]) if callable(size) else size)
        batches.append(order[start:end])
        start = end
    return batches, np.argsort(order, kind="stable").tolist()
