"""Confidence intervals of scores, from resampling whole clusters (speakers, clips) with replacement.

Bisani and Ney, "Bootstrap estimates for confidence intervals in ASR performance evaluation", ICASSP 2004.
Errors of one speaker are correlated: resampling single examples would make intervals too narrow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import numpy as np

from steermoe_core.errors import UsageError
from steermoe_core.evaluate.metrics import rate
from steermoe_core.evaluate.scores import Edits, Interval

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    Sums = NDArray[np.float64]
    #: What is summed of an example: its edits, or the statistics of a corpus score.
    Row = Edits | Sequence[float]
    #: Returns a corpus score from sums of statistics.
    Value = Callable[[Sequence[float]], float]

#: Two-sided level of an interval, and the number of resampled corpora.
LEVEL = 0.95
DRAWS = 2000
#: Numbers drawn at once: 32 MB.
_CHUNK = 4_000_000


@attrs.frozen(kw_only=True)
class Difference:
    """Two systems on the same examples.

    :param value: corpus score of the second minus that of the first.
    :param interval: of that difference; None where there are fewer than two clusters to resample.
    :param improvement: share of resampled corpora on which the second is better (a tie counts half):
        Bisani and Ney's probability of improvement; None as above.
    """

    value: float
    interval: Interval | None
    improvement: float | None

    def verdict(self, *, higher_is_better: bool) -> str:
        """Return the conclusion about the second system that the interval supports."""
        if self.interval is None or self.interval.low <= 0.0 <= self.interval.high:
            return "not distinguishable"
        return "better" if (self.value > 0) == higher_is_better else "worse"


def interval(
    rows: Sequence[Row],
    clusters: Sequence[Hashable] | None = None,
    *,
    seed: int = 0,
    draws: int = DRAWS,
    higher_is_better: bool = False,
    value: Value | None = None,
) -> Interval | None:
    """Return the interval of a corpus score.

    :param rows: edits of each example, or its statistics.
    :param clusters: of each example; None: each is a cluster of its own.
    :param higher_is_better: the score of edits is one minus the errors over the reference units.
    :param seed: of the resampling.
    :param draws: resampled corpora.
    :param value: the score of sums of statistics; None where the rows are edits.
    :returns: None where there are fewer than two clusters, or no corpus has a score.
    """
    sums = _summed([_counts(rows)], clusters)
    losses = _losses(_resampled(sums, seed, draws), value, higher_is_better=higher_is_better)[:, 0]
    if higher_is_better:
        return _percentiles(1.0 - losses if value is None else -losses)
    return _percentiles(losses)


def difference(
    first: Mapping[str, Row],
    second: Mapping[str, Row],
    clusters: Mapping[str, Hashable] | None = None,
    *,
    seed: int = 0,
    draws: int = DRAWS,
    higher_is_better: bool = False,
    value: Value | None = None,
) -> Difference:
    """Compare two systems on the same examples, drawn together.

    :param first: edits or statistics by the examples' ids.
    :param second: the same ids and references.
    :param clusters: of each id; a missing id is a cluster of its own.
    :param higher_is_better: the score of edits is one minus the errors over the reference units.
    :param value: the score of sums of statistics; None where the rows are edits.
    :raises UsageError: when the ids differ, or the lengths of the references of an error rate.
    """
    ids = _same(first, second, units=value is None and not higher_is_better)
    one, other = [first[i] for i in ids], [second[i] for i in ids]
    groups = None if clusters is None else [clusters.get(i, (i,)) for i in ids]
    sums = _resampled(_summed([_counts(one), _counts(other)], groups), seed, draws)
    losses = _losses(sums, value, higher_is_better=higher_is_better)
    deltas = losses[:, 1] - losses[:, 0]
    sign = -1.0 if higher_is_better else 1.0
    between = _percentiles(sign * deltas)
    improvement = None if between is None else float(np.mean((deltas < 0) + 0.5 * (deltas == 0)))
    if value is None:
        delta = sign * (rate(_edits(other)) - rate(_edits(one)))
    else:
        delta = corpus_score(other, value) - corpus_score(one, value)
    return Difference(value=delta, interval=between, improvement=improvement)


def corpus_score(rows: Sequence[Row], value: Value) -> float:
    """Return the score of a corpus from the statistics of its examples."""
    return float(value(_counts(rows).sum(axis=0).tolist()))


def _same(first: Mapping[str, Row], second: Mapping[str, Row], *, units: bool) -> list[str]:
    """Return the common ids, sorted so that the order of files does not matter.

    :param units: references must have equal lengths; an accuracy may be over the longer of both sides.
    """
    if alone := sorted(first.keys() ^ second.keys()):
        msg = f"{len(alone)} examples are in one run only, such as {alone[0]!r}; score the same split"
        raise UsageError(msg)
    if not units:
        return sorted(first)
    one, other = (dict(zip(rows, _edits(list(rows.values())), strict=True)) for rows in (first, second))
    if moved := sorted(i for i in one if one[i].reference != other[i].reference):
        msg = f"{len(moved)} references differ, such as that of {moved[0]!r}; score with the same ruler"
        raise UsageError(msg)
    return sorted(first)


def _edits(rows: Sequence[Row]) -> list[Edits]:
    return [row for row in rows if isinstance(row, Edits)]


def _counts(rows: Sequence[Row]) -> Sums:
    """Return errors and reference units of each example (n,2), or its statistics (n,k)."""
    pairs = [(row.errors, row.reference) if isinstance(row, Edits) else tuple(row) for row in rows]
    return np.array(pairs, dtype=np.float64).reshape(len(pairs), -1 if pairs else 2)


def _summed(counts: Sequence[Sums], clusters: Sequence[Hashable] | None) -> Sums:
    """Return the sums of each cluster (clusters, systems, k)."""
    stacked = np.stack(counts, axis=1)  # (n, systems, k)
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
    """Return the sums (draws, systems, k) of corpora that are drawn with replacement, of as many clusters."""
    if len(sums) < 2:  # noqa: PLR2004 - one cluster has no variance
        return np.zeros((0, *sums.shape[1:]))
    return np.concatenate(list(_chunks(sums, np.random.default_rng(seed), draws)))


def _chunks(sums: Sums, random: np.random.Generator, draws: int) -> Iterator[Sums]:
    """Yield sums of draws: a draw is a row of counts, one for each cluster, in a matrix product."""
    size = max(1, _CHUNK // len(sums))
    for start in range(0, draws, size):
        rows = min(size, draws - start)
        drawn = random.integers(0, len(sums), (rows, len(sums)), dtype=np.int32)
        drawn += np.arange(rows, dtype=np.int32)[:, None] * len(sums)
        times = np.bincount(drawn.ravel(), minlength=rows * len(sums)).reshape(rows, -1)
        yield np.einsum("rk,ksc->rsc", times.astype(np.float64), sums, optimize=True)


def _losses(sums: Sums, value: Value | None, *, higher_is_better: bool) -> Sums:
    """Return what is better lower (draws, systems): error rates, or scores, negated where higher is better.

    Draws without a score are left out.
    """
    if value is None:
        return _rates(sums)
    found = np.array([[value(system.tolist()) for system in draw] for draw in sums], dtype=np.float64)
    scores = found.reshape(sums.shape[:2])
    kept = scores[np.isfinite(scores).all(axis=1)]
    return -kept if higher_is_better else kept


def _rates(sums: Sums) -> Sums:
    """Return the rates (draws, systems) of the draws that have a reference unit."""
    valid = sums[..., 1].min(axis=1, initial=np.inf) > 0
    rates: Sums = sums[valid, :, 0] / sums[valid, :, 1]
    return rates


def _percentiles(values: Sums) -> Interval | None:
    if not len(values):
        return None
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(values, [tail, 100 - tail])
    return Interval(float(low), float(high))
