"""Which examples make up which batch: a pure function of durations, settings and seed.

Nothing depends on a library's shuffling, which may change between versions: the order is a sort by the raw
numbers of a counter-based generator, whose stream is fixed by its definition.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import attrs
import numpy as np
from torch.utils.data import Dataset, Sampler

from steermoe_core.data.example import Example
from steermoe_core.data.mixing import Mixture, shuffled

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    Indices = NDArray[np.int64]


class BucketedBatches(Sampler[list[int]]):
    """The batches of a whole run, of clips of like length.

    Each epoch is shuffled anew and cut into windows of ``bucket * batch_size`` examples; a window is sorted
    by duration and cut into batches, which come in random order. Every example is in exactly one batch of
    an epoch, unless weights say otherwise; one batch an epoch may be smaller than the others.

    :param seconds: duration of each example.
    :param batch_size: examples a batch.
    :param bucket: batches a window; 1 draws batches at random.
    :param seed: start of the random numbers.
    :param batches: batches of the run: optimizer steps times accumulation times processes; epochs follow
        one another until then.
    :param sources: number of the source of each example, where there are weights.
    :param weights: share of each source in an epoch; empty: every example once.
    :raises ValueError: when there is no example.
    :raises DataError: when a source that has a weight has none.
    """

    def __init__(
        self,
        seconds: Sequence[float] | NDArray[np.float64],
        batch_size: int,
        bucket: int,
        seed: int,
        batches: int,
        sources: Sequence[int] | Indices = (),
        weights: Sequence[float] = (),
    ) -> None:
        if not len(seconds):
            msg = "there is no example to make batches of"
            raise ValueError(msg)
        self._seconds = np.asarray(seconds, dtype=np.float64)
        self._mixture = Mixture(sources if len(weights) else [0] * len(seconds), weights, seed)
        self._batch_size = batch_size
        self._bucket = bucket
        self._seed = seed
        self._batches = batches

    @property
    def per_epoch(self) -> int:
        """Return the batches of one epoch."""
        return -(-len(self._seconds) // self._batch_size)

    def epoch(self, number: int) -> list[list[int]]:
        """Return all batches of epoch 0, 1, …, as numbers of `Turns`."""
        order = shuffled(self._mixture.epoch(number), self._seed, number, 0)
        size = self._bucket * self._batch_size
        windows = (order[start : start + size] for start in range(0, len(order), size))
        return [
            batch.tolist()
            for index, window in enumerate(windows)
            for batch in self._cut(window, number, index)
        ]

    def start(self, position: int) -> Iterator[list[int]]:
        """Yield the run's batches from one position on, without making the epochs before it."""
        number, skipped = divmod(position, self.per_epoch)
        while position < self._batches:
            batches = self.epoch(number)[skipped : skipped + self._batches - position]
            yield from batches
            position += len(batches)
            number, skipped = number + 1, 0

    def __iter__(self) -> Iterator[list[int]]:
        """Yield the batches of the run."""
        return self.start(0)

    def __len__(self) -> int:
        """Return the number of batches of the run."""
        return self._batches

    def _cut(self, window: Indices, epoch: int, index: int) -> list[Indices]:
        """Return the batches of a window in random order."""
        seconds = self._seconds[window % len(self._seconds)]
        ordered = window[np.argsort(seconds, kind="stable")]
        cuts = range(0, len(ordered), self._batch_size)
        order = shuffled(np.arange(len(cuts)), self._seed, epoch, index + 1)
        return [ordered[cuts[i] : cuts[i] + self._batch_size] for i in order]


class Share(Sampler[list[int]]):
    """One process's batches: the first of each `ranks` batches is rank 0's, the next one rank 1's, and so on.

    So the batches of a step are those of one process that accumulates `ranks` times as many.
    """

    def __init__(self, batches: BucketedBatches, rank: int, ranks: int) -> None:
        self._batches = batches
        self._rank = rank
        self._ranks = ranks

    def __iter__(self) -> Iterator[list[int]]:
        """Yield the process's batches of the run."""
        return islice(self._batches, self._rank, None, self._ranks)

    def __len__(self) -> int:
        """Return the number of the process's batches."""
        return len(self._batches) // self._ranks


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
    seconds: Sequence[float] | NDArray[np.float64], batch_size: int
) -> tuple[list[list[int]], list[int]]:
    """Return batches of clips of like length for evaluation, the longest first: want of memory shows at once.

    :returns: the batches, and for each example the place of its result in the batches' order, so that
        ``[results[place] for place in places]`` is in the examples' order again.
    """
    order = np.argsort(-np.asarray(seconds, dtype=np.float64), kind="stable")
    batches = [order[start : start + batch_size].tolist() for start in range(0, len(order), batch_size)]
    return batches, np.argsort(order, kind="stable").tolist()
