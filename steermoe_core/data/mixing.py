"""How many examples of each source an epoch has, and which: a pure function of sources, weights and seed.

Number ``turn * len(examples) + i`` is example i for the turn-th time: see `data.batches.Turns`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from steermoe_core.data.examples import numbered
from steermoe_core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Indices = NDArray[np.signedinteger[Any]]


class Mixture:
    """The numbers of each epoch, as many as there are examples.

    Without weights that is every example once. With weights each source has its share of them; it is gone
    through in random order, from epoch to epoch, and no example comes again before all of its source came.

    :param sources: number of the source of each example.
    :param weights: share of each source, in any unit; empty: every example once an epoch.
    :raises DataError: a source that has a weight has no example.
    """

    def __init__(self, sources: Sequence[int] | Indices, weights: Sequence[float], seed: int) -> None:
        numbers = np.asarray(sources, dtype=np.int64)
        self._total = len(numbers)
        self._members = [np.flatnonzero(numbers == source) for source in range(len(weights))]
        for source, members in enumerate(self._members, start=1):
            if not len(members):
                msg = f"no clip is left of source {source} of data.train, which data.weights gives a share"
                raise DataError(msg)
        self._quotas = quotas(weights, len(numbers)) if len(weights) else []
        self._seed = seed

    def epoch(self, number: int) -> Indices:
        """Return the numbers of epoch 0, 1, … in ascending order of their examples, then of their turns."""
        total = self._total
        if not self._quotas:
            return numbered(number * total, (number + 1) * total)
        drawn = [
            self._stream(source, quota * number, quota * (number + 1))
            for source, quota in enumerate(self._quotas)
        ]
        numbers = np.concatenate(drawn)
        return numbers[np.lexsort((numbers, numbers % total))]

    def _stream(self, source: int, start: int, end: int) -> Indices:
        """Return a part of the endless stream of a source: all of it in one random order after the other."""
        size = len(self._members[source])
        first, last = start // size, -(-end // size)
        passes = [
            shuffled(self._members[source], self._seed, turn, source, 1) + turn * self._total
            for turn in range(first, last)
        ]
        return np.concatenate(passes)[start - first * size : end - first * size]


def quotas(weights: Sequence[float], total: int) -> list[int]:
    """Return whole numbers with a sum, in proportion to weights as nearly as that allows, none below 1.

    :param total: at least as large as there are weights.
    """
    exact = np.asarray(weights, dtype=np.float64) / sum(weights) * total
    found = np.maximum(np.floor(exact).astype(np.int64), 1)
    while found.sum() < total:
        found[np.argmax(exact - found)] += 1
    while found.sum() > total:
        found[np.argmin(np.where(found > 1, exact - found, np.inf))] -= 1
    return [int(quota) for quota in found]


def shuffled(values: Indices, *key: int) -> Indices:
    """Return values in a random order that the key alone decides, on every machine."""
    raw = np.random.Philox(np.random.SeedSequence(key)).random_raw(len(values))
    order = np.argsort(raw)  # several times faster than a stable sort, and the same without ties
    ordered = raw[order]
    if (ordered[1:] == ordered[:-1]).any():
        order = np.argsort(raw, kind="stable")
    found: Indices = values[order]
    return found
