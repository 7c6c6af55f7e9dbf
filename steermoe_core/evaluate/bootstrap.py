"""How sure a score is: intervals from resampling whole clusters (speakers, clips) with replacement.

Bisani and Ney, "Bootstrap estimates for confidence intervals in ASR performance evaluation", ICASSP 2004.
Examples of one speaker err alike; resampled one by one they would look like more evidence than they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import numpy as np

from steermoe_core.errors import UsageError
from steermoe_core.evaluate.metrics import rate
from steermoe_core.evaluate.scores import Interval

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from steermoe_core.evaluate.scores import Edits

    Sums = NDArray[np.float64]

#: Two-sided share of an interval, and how often the corpus is drawn anew.
LEVEL = 0.95
DRAWS = 2000
#: Numbers drawn at a time: 32 MB.
_CHUNK = 4_000_000


@attrs.frozen(kw_only=True)
class Difference:
    """Two systems on the same examples.

    :param value: corpus score of the second minus that of the first.
    :param interval: of that difference; None where fewer than two clusters leave nothing to resample.
    :param improvement: share of resampled corpora on which the second errs less (a tie counts half): Bisani
        and Ney's probability of improvement; None as above.
    """

    value: float
    interval: Interval | None
    improvement: float | None

    def verdict(self, *, higher_is_better: bool) -> str:
        """Say in words what the interval allows to say of the second system."""
        if self.interval is None or self.interval.low <= 0.0 <= self.interval.high:
            return "not distinguishable"
        return "better" if (self.value > 0) == higher_is_better else "worse"


def interval(
    edits: Sequence[Edits],
    clusters: Sequence[Hashable] | None = None,
    *,
    seed: int = 0,
    draws: int = DRAWS,
    higher_is_better: bool = False,
) -> Interval | None:
    """Return the interval of a corpus score.

    :param edits: of each example.
    :param clusters: of each example; None: each stands alone.
    :param higher_is_better: the score is one minus the errors over the reference units.
    :param seed: the same seed, the same interval.
    :param draws: resampled corpora.
    :returns: None where fewer than two clusters, or no reference unit, leave nothing to resample.
    """
    sums = _summed([_counts(edits)], clusters)
    rates = _rates(_resampled(sums, seed, draws))[:, 0]
    return _percentiles(1.0 - rates if higher_is_better else rates)


def difference(
    first: Mapping[str, Edits],
    second: Mapping[str, Edits],
    clusters: Mapping[str, Hashable] | None = None,
    *,
    seed: int = 0,
    draws: int = DRAWS,
    higher_is_better: bool = False,
) -> Difference:
    """Compare two systems on the same examples, drawn together.

    :param first: edits by the examples' ids.
    :param second: the same ids and references.
    :param clusters: of each id; an id that is missing stands alone.
    :param higher_is_better: the score is one minus the errors over the reference units.
    :raises UsageError: when the ids differ, or the lengths of the references of an error rate.
    """
    ids = _same(first, second, units=not higher_is_better)
    one, other = [first[i] for i in ids], [second[i] for i in ids]
    groups = None if clusters is None else [clusters.get(i, (i,)) for i in ids]
    rates = _rates(_resampled(_summed([_counts(one), _counts(other)], groups), seed, draws))
    deltas = rates[:, 1] - rates[:, 0]
    sign = -1.0 if higher_is_better else 1.0
    between = _percentiles(sign * deltas)
    improvement = None if between is None else float(np.mean((deltas < 0) + 0.5 * (deltas == 0)))
    return Difference(value=sign * (rate(other) - rate(one)), interval=between, improvement=improvement)


def _same(first: Mapping[str, Edits], second: Mapping[str, Edits], *, units: bool) -> list[str]:
    """Return the common ids, sorted so that the order of files does not matter.

    :param units: references must be equally long; an accuracy may be taken over the longer of both sides.
    """
    if alone := sorted(first.keys() ^ second.keys()):
        msg = f"{len(alone)} examples are in one run only, such as {alone[0]!r}; score the same split"
        raise UsageError(msg)
    moved = sorted(i for i in first if first[i].reference != second[i].reference)
    if moved and units:
        msg = f"{len(moved)} references differ, such as that of {moved[0]!r}; score with the same ruler"
        raise UsageError(msg)
    return sorted(first)


def _counts(edits: Sequence[Edits]) -> Sums:
    """Return errors and reference units of each example (n,2)."""
    return np.array([(e.errors, e.reference) for e in edits], dtype=np.float64).reshape(-1, 2)


def _summed(counts: Sequence[Sums], clusters: Sequence[Hashable] | None) -> Sums:
    """Return the sums of each cluster (k, systems, 2)."""
    stacked = np.stack(counts, axis=1)  # (n, systems, 2)
    if clusters is None:
        return stacked
    numbers: dict[Hashable, int] = {}
    index = [
        numbers.setdefault(("alone", i) if c is None else c, len(numbers)) for i, c in enumerate(clusters)
    ]
    sums = np.zeros((len(numbers), *stacked.shape[1:]))
    np.add.at(sums, index, stacked)
    return sums


def _resampled(sums: Sums, seed: int, draws: int) -> Sums:
    """Return the sums of corpora of as many clusters, drawn with replacement (draws, systems, 2)."""
    if len(sums) < 2:  # noqa: PLR2004 - one cluster says nothing about another
        return np.zeros((0, *sums.shape[1:]))
    return np.concatenate(list(_chunks(sums, np.random.default_rng(seed), draws)))


def _chunks(sums: Sums, random: np.random.Generator, draws: int) -> Iterator[Sums]:
    """Count how often each cluster is drawn, so that a draw is one row of a matrix product."""
    size = max(1, _CHUNK // len(sums))
    for start in range(0, draws, size):
        rows = min(size, draws - start)
        drawn = random.integers(0, len(sums), (rows, len(sums)), dtype=np.int32)
        drawn += np.arange(rows, dtype=np.int32)[:, None] * len(sums)
        times = np.bincount(drawn.ravel(), minlength=rows * len(sums)).reshape(rows, -1)
        yield np.einsum("rk,ksc->rsc", times.astype(np.float64), sums, optimize=True)


def _rates(sums: Sums) -> Sums:
    """Return the rates (draws, systems) of the draws that have a reference unit."""
    there = sums[..., 1].min(axis=1, initial=np.inf) > 0
    rates: Sums = sums[there, :, 0] / sums[there, :, 1]
    return rates


def _percentiles(values: Sums) -> Interval | None:
    if not len(values):
        return None
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(values, [tail, 100 - tail])
    return Interval(float(low), float(high))
