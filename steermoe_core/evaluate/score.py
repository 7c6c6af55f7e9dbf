"""A corpus score with all that is needed to trust it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from steermoe_core.evaluate.bootstrap import Interval, interval
from steermoe_core.evaluate.metrics import Edits, Metric, rate, total

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence


@attrs.frozen(kw_only=True)
class Score:
    """A metric's value on a split.

    :param metric: its name.
    :param value: corpus score; None where no reference has a unit.
    :param interval: 95 % interval, resampled by cluster; None where there is nothing to resample.
    :param edits: counts of all examples together.
    :param examples: how many were scored.
    :param clusters: how many independent groups they form.
    :param empty_references: examples whose reference has no unit.
    :param empty_insertions: units that were said on them all the same; they are part of `edits`.
    """

    metric: str
    value: float | None
    interval: Interval | None
    edits: Edits
    examples: int
    clusters: int
    empty_references: int
    empty_insertions: int

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return attrs.asdict(self)


def score(
    metric: Metric,
    hypotheses: Sequence[str],
    references: Sequence[str],
    clusters: Sequence[Hashable] | None = None,
    *,
    seed: int = 0,
) -> Score:
    """Score a whole split.

    :param clusters: speaker or group of each example; None, as a whole or of one example: it stands alone.
    :param seed: of the resampling.
    :raises ValueError: when the sequences are not equally long.
    """
    edits = [metric.edits(said, wanted) for said, wanted in zip(hypotheses, references, strict=True)]
    empty = [e for e in edits if not e.reference]
    groups = clusters if clusters is not None else [None] * len(edits)
    alone = sum(group is None for group in groups)
    counts = total(edits)
    return Score(
        metric=metric.name,
        value=rate(edits) if counts.reference else None,
        interval=interval(edits, clusters, seed=seed),
        edits=counts,
        examples=len(edits),
        clusters=len({group for group in groups if group is not None}) + alone,
        empty_references=len(empty),
        empty_insertions=total(empty).insertions,
    )
