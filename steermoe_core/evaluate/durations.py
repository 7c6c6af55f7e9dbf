"""The score of short clips and of long ones: groups of equally many clips of similar duration."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import attrs

from steermoe_core.evaluate.bootstrap import interval
from steermoe_core.evaluate.metrics import rate, total

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from steermoe_core.evaluate.prediction import Prediction
    from steermoe_core.evaluate.scores import Edits, Interval

#: Groups at most, and clips of a group at least.
_GROUPS, _FEWEST = 5, 4


@attrs.frozen(kw_only=True)
class DurationGroup:
    """Clips of similar duration.

    :param shortest: seconds; `longest`: seconds.
    :param value: corpus score; None where no reference has a unit.
    :param interval: 95 % interval, resampled by cluster; None where there is nothing to resample.
    """

    shortest: float
    longest: float
    clips: int
    value: float | None
    interval: Interval | None


def by_duration(
    answers: Sequence[tuple[Prediction, Edits]], *, higher_is_better: bool = False, seed: int = 0
) -> Iterator[DurationGroup]:
    """Yield the groups, shortest first; the sizes of two groups differ by one at most.

    :param answers: of a split, with their edits.
    :param seed: of the resampling.
    """
    ordered = sorted(answers, key=lambda answer: answer[0].seconds)
    groups = max(1, min(_GROUPS, len(ordered) // _FEWEST))
    edges = [round(number * len(ordered) / groups) for number in range(groups + 1)]
    for start, end in pairwise(edges):
        group = ordered[start:end]
        edits, clusters = [one for _, one in group], [prediction.cluster for prediction, _ in group]
        spoken = total(edits).reference
        yield DurationGroup(
            shortest=group[0][0].seconds,
            longest=group[-1][0].seconds,
            clips=len(group),
            value=rate(edits, higher_is_better=higher_is_better) if spoken else None,
            interval=interval(edits, clusters, seed=seed, higher_is_better=higher_is_better)
            if spoken
            else None,
        )
