"""A corpus score with all that is needed to trust it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from steermoe_core.evaluate.bootstrap import Interval, interval
from steermoe_core.evaluate.metrics import Edits, Metric, rate, total
from steermoe_core.evaluate.pathologies import length_ratio, pathologies

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from steermoe_core.evaluate.prediction import Prediction


@attrs.frozen(kw_only=True)
class Score:
    """A metric's value on a split.

    :param metric: its name.
    :param rule: name, version and SHA-256 of the text rule; None for a metric without one.
    :param higher_is_better: the value is one minus the errors over the reference units.
    :param value: corpus score; None where no reference has a unit.
    :param interval: 95 % interval, resampled by cluster; None where there is nothing to resample.
    :param edits: counts of all examples together.
    :param examples: how many were scored.
    :param clusters: how many independent groups they form.
    :param empty_references: examples whose reference has no unit, or that the metric does not judge.
    :param empty_insertions: units that were said on them all the same; they are part of `edits`.
    :param details: what else the metric has to say.
    """

    metric: str
    rule: dict[str, Any] | None
    higher_is_better: bool
    value: float | None
    interval: Interval | None
    edits: Edits
    examples: int
    clusters: int
    empty_references: int
    empty_insertions: int
    details: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return attrs.asdict(self)


def judged(
    metrics: Sequence[Metric],
    answers: Mapping[str, Sequence[Prediction]],
    *,
    seed: int,
    instructions: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the part of scores.json that the answers alone decide: the same from a file as from the model.

    :param answers: of the model (with the name ""), and of each control.
    :param instructions: texts that the model was given with every clip.
    """
    scores = {
        name: {one.metric: one.as_json() for one in (score(metric, rows, seed=seed) for metric in metrics)}
        for name, rows in answers.items()
    }
    return {
        "metrics": scores.pop(""),
        "controls": scores,
        "pathologies": pathologies(answers[""], instructions),
        "length_ratio": length_ratio(answers[""]),
    }


def marked(metrics: Sequence[Metric], predictions: Sequence[Prediction]) -> list[Prediction]:
    """Return the predictions with the edits that each metric counts."""
    return [
        attrs.evolve(row, edits={metric.name: attrs.astuple(metric.edits(row)) for metric in metrics})
        for row in predictions
    ]


def score(metric: Metric, predictions: Sequence[Prediction], *, seed: int = 0) -> Score:
    """Score a whole split.

    :param predictions: each example's, with its speaker or group; None as that: it stands alone.
    :param seed: of the resampling.
    """
    edits = [metric.edits(prediction) for prediction in predictions]
    clusters = [prediction.cluster for prediction in predictions]
    empty = [e for e in edits if not e.reference]
    higher = metric.higher_is_better
    counts = total(edits)
    return Score(
        metric=metric.name,
        rule=None if metric.rule is None else metric.rule.identity(),
        higher_is_better=higher,
        value=rate(edits, higher_is_better=higher) if counts.reference else None,
        interval=interval(edits, clusters, seed=seed, higher_is_better=higher),
        edits=counts,
        examples=len(edits),
        clusters=len(set(clusters) - {None}) + clusters.count(None),
        empty_references=len(empty),
        empty_insertions=total(empty).insertions,
        details=metric.details(predictions),
    )
