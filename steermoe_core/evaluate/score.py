"""Scoring hypotheses: corpus scores with intervals, controls and defects."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import attrs

from steermoe_core.evaluate.bootstrap import corpus_score, interval
from steermoe_core.evaluate.metrics import CorpusMetric, Metric, rate, total
from steermoe_core.evaluate.pathologies import length_ratio, pathologies
from steermoe_core.evaluate.scores import Judged, Score

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from steermoe_core.evaluate.prediction import Prediction


def judged(
    metrics: Sequence[Metric],
    answers: Mapping[str, Sequence[Prediction]],
    *,
    seed: int,
    instructions: Sequence[str] = (),
) -> Judged:
    """Return the part of scores.json that the hypotheses alone decide, from a file or from the model.

    :param answers: of the model (with the name ""), and of each control.
    :param instructions: texts that the model was given with every clip.
    """
    scores = {
        name: {metric.name: score(metric, rows, seed=seed) for metric in metrics}
        for name, rows in answers.items()
    }
    return Judged(
        metrics=scores.pop(""),
        controls=scores,
        pathologies=pathologies(answers[""], instructions),
        length_ratio=length_ratio(answers[""]),
    )


def marked(metrics: Sequence[Metric], predictions: Sequence[Prediction]) -> list[Prediction]:
    """Return the predictions with the edits that each metric counts."""
    counting = [metric for metric in metrics if not isinstance(metric, CorpusMetric)]
    return [
        attrs.evolve(row, edits={metric.name: attrs.astuple(metric.edits(row)) for metric in counting})
        for row in predictions
    ]


def score(metric: Metric, predictions: Sequence[Prediction], *, seed: int = 0) -> Score:
    """Score a whole split.

    :param predictions: each example's, with its speaker or group; None as that: it stands alone.
    :param seed: of the resampling.
    """
    clusters = [prediction.cluster for prediction in predictions]
    facts: dict[str, Any] = {
        "metric": metric.name,
        "rule": None if metric.rule is None else metric.rule.identity(),
        "higher_is_better": metric.higher_is_better,
        "examples": len(predictions),
        "clusters": len(set(clusters) - {None}) + clusters.count(None),
        "details": metric.details(predictions),
    }
    if isinstance(metric, CorpusMetric):
        return Score(**facts, **_of_statistics(metric, predictions, clusters, seed), edits=None)
    edits = [metric.edits(prediction) for prediction in predictions]
    empty = [e for e in edits if not e.reference]
    higher = metric.higher_is_better
    counts = total(edits)
    return Score(
        **facts,
        value=rate(edits, higher_is_better=higher) if counts.reference else None,
        interval=interval(edits, clusters, seed=seed, higher_is_better=higher),
        edits=counts,
        empty_references=len(empty),
        empty_insertions=total(empty).insertions,
    )


def _of_statistics(
    metric: CorpusMetric, predictions: Sequence[Prediction], clusters: Sequence[str | None], seed: int
) -> dict[str, Any]:
    """Return value and interval of a corpus score."""
    statistics = metric.statistics(predictions)
    value = corpus_score(statistics, metric.value) if statistics else math.nan
    between = interval(
        statistics, clusters, seed=seed, higher_is_better=metric.higher_is_better, value=metric.value
    )
    return {"value": value if math.isfinite(value) else None, "interval": between}
