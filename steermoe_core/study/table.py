"""The results table: a row for each group of seeds and split, computed from run folders alone.

A score is the mean over the seeds, with the lowest and the highest. Its interval is resampled from the clips,
with the edits or statistics of a clip pooled over the seeds: the interval is about other clips, lowest and
highest are about other seeds.
"""

from __future__ import annotations

from collections import Counter
from statistics import fmean, median
from typing import TYPE_CHECKING

import attrs

from steermoe_core.errors import UsageError
from steermoe_core.evaluate.bootstrap import difference, interval
from steermoe_core.evaluate.metrics import CorpusMetric, corpus_value, total
from steermoe_core.study.seeds import group_labels, seed_groups

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from steermoe_core.config.sweep import AxisValues
    from steermoe_core.evaluate.bootstrap import Row as Summed
    from steermoe_core.evaluate.metrics import Metric
    from steermoe_core.evaluate.prediction import Prediction
    from steermoe_core.evaluate.scores import Edits, Interval, Score
    from steermoe_core.plugins import Registry
    from steermoe_core.study.seeds import SeedGroup
    from steermoe_core.system.records import Json


@attrs.frozen(kw_only=True)
class Against:
    """The paired difference of a score to that of a baseline on the same clips.

    :param value: score minus score of the baseline.
    :param interval: 95 % interval of the difference; None with too few independent clips.
    :param improvement: probability of improvement; None as above.
    :param verdict: "better", "worse" or "not distinguishable".
    """

    value: float
    interval: Interval | None
    improvement: float | None
    verdict: str


@attrs.frozen(kw_only=True)
class RowScore:
    """A metric of a row.

    :param value: mean over the seeds; None where no reference has a unit.
    :param lowest: of the seeds.
    :param highest: of the seeds.
    :param interval: 95 % interval over clips.
    :param controls: mean score of each control.
    :param against: difference to the baseline; None without one.
    """

    value: float | None
    lowest: float | None
    highest: float | None
    interval: Interval | None
    higher_is_better: bool
    controls: dict[str, float | None]
    against: Against | None = None

    def to_json(self) -> Json:
        """Return the fields; the difference only if there is one."""
        fields = attrs.asdict(self, recurse=False)
        return fields if self.against else {name: fields[name] for name in fields if name != "against"}


@attrs.frozen(kw_only=True)
class Losses:
    """Mean training loss over the seeds, of the first and of the last logged step."""

    start: float | None
    end: float | None


@attrs.frozen(kw_only=True)
class Row:
    """The scores of one group of seeds on one split.

    :param label: of the group.
    :param settings: values of the axes of a sweep but for the seed.
    :param runs: run folders.
    :param seconds_per_step: median over all logged steps.
    :param gate_entropy: mean over steered layers, in nats; None without routers.
    :param metrics: scores by metric.
    :param pathologies: number of answers of all runs with each pathology.
    """

    label: str
    experiment: str
    split: str
    seeds: list[int]
    runs: list[str]
    clips: int
    trainable_parameters: int
    audio_tokens_per_second: float | None
    seconds_per_step: float | None
    loss: Losses
    gate_entropy: float | None
    metrics: dict[str, RowScore]
    pathologies: dict[str, int]
    settings: AxisValues = attrs.field(factory=dict)

    def to_json(self) -> Json:
        """Return the fields, without label and settings, which each command names itself."""
        return attrs.asdict(self, recurse=False, filter=attrs.filters.exclude("label", "settings"))


def table(
    paths: Sequence[Path], registry: Registry, against: Sequence[Path] = ()
) -> tuple[list[Row], SeedGroup | None]:
    """Return the rows of runs, and the baseline that they are compared with.

    :param paths: run folders.
    :param against: run folders of the baseline, which differ only in the seed; none: nothing is compared.
    :raises UsageError: a path is not a run folder, has no scores yet, or cannot be compared.
    """
    base = baseline(against, registry) if against else None
    groups = seed_groups(paths, registry)
    rows = [
        row(group, split, base, label=label)
        for group, label in zip(groups, group_labels(groups), strict=True)
        for split in group.splits()
    ]
    return rows, base


def baseline(paths: Sequence[Path], registry: Registry) -> SeedGroup:
    """Return the group of seeds to compare with.

    :raises UsageError: the runs differ in more than the seed.
    """
    first, *others = seed_groups(paths, registry)
    if others:
        names = f"{first.paths[0]} and {others[0].paths[0]}"
        msg = f"runs to compare with may differ only in the seed; {names} differ in more"
        raise UsageError(msg)
    return first


def row(group: SeedGroup, split: str, base: SeedGroup | None = None, *, label: str = "") -> Row:
    """Return the scores of a group on a split.

    :param base: the group to compare with, clip by clip.
    :raises UsageError: the two were scored on different clips.
    """
    scores = group.of_split(split)
    journals = [[line for line in run.metrics if line.loss is not None] for run in group.runs]
    paces = [
        line.seconds_per_step for lines in journals for line in lines if line.seconds_per_step is not None
    ]
    return Row(
        label=label,
        experiment=group.name,
        split=split,
        seeds=group.seeds,
        runs=group.paths,
        clips=scores[0].examples,
        trainable_parameters=group.trainable_parameters,
        audio_tokens_per_second=_mean(score.audio_tokens_per_second for score in scores),
        seconds_per_step=median(paces) if paces else None,
        loss=Losses(
            start=_mean(lines[0].loss for lines in journals if lines),
            end=_mean(lines[-1].loss for lines in journals if lines),
        ),
        gate_entropy=_mean(layer.entropy for score in scores for layer in score.steering),
        metrics=_metrics(group, split, base),
        pathologies=dict(sum((Counter(score.pathology_counts) for score in scores), Counter())),
    )


def _metrics(group: SeedGroup, split: str, base: SeedGroup | None) -> dict[str, RowScore]:
    predictions = group.predictions(split)
    others = base.predictions(split) if base is not None and base.compares(group, split) else []
    clusters = {
        one.id: one.cluster if one.cluster is not None else ("alone", one.id) for one in predictions[0]
    }
    scores = group.of_split(split)
    found = {}
    for metric in group.metrics:
        seed, higher, value = group.seeds[0], metric.higher_is_better, corpus_value(metric)
        rows = _pooled(metric, predictions, times=len(others) or 1)
        values = _values(score.metrics.get(metric.name) for score in scores)
        against = None
        if others and values:
            delta = difference(
                _pooled(metric, others, times=len(predictions)),
                rows,
                clusters,
                seed=seed,
                higher_is_better=higher,
                value=value,
            )
            against = Against(
                value=delta.value,
                interval=delta.interval,
                improvement=delta.improvement,
                verdict=delta.verdict(higher_is_better=higher),
            )
        controls = dict.fromkeys(name for score in scores for name in score.controls)
        found[metric.name] = RowScore(
            value=fmean(values) if values else None,
            lowest=min(values, default=None),
            highest=max(values, default=None),
            interval=interval(
                list(rows.values()),
                [clusters[i] for i in rows],
                seed=seed,
                higher_is_better=higher,
                value=value,
            ),
            higher_is_better=higher,
            controls={
                name: _mean(_values(score.controls.get(name, {}).get(metric.name) for score in scores))
                for name in controls
            },
            against=against,
        )
    return found


def _pooled(metric: Metric, runs: Sequence[Sequence[Prediction]], times: int) -> dict[str, Summed]:
    """Return the edits of each clip, summed over the runs and multiplied, or the mean of its statistics.

    Multiplied by the number of runs on the other side, both sides of a comparison have equal reference units.
    """
    if isinstance(metric, CorpusMetric):
        return _mean_statistics(metric, runs)
    by_clip: dict[str, list[Edits]] = {}
    for prediction in (prediction for predictions in runs for prediction in predictions):
        by_clip.setdefault(prediction.id, []).append(metric.edits(prediction))
    return {name: total(edits * times) for name, edits in by_clip.items()}


def _mean_statistics(metric: CorpusMetric, runs: Sequence[Sequence[Prediction]]) -> dict[str, Summed]:
    """Return the statistics of each clip, averaged over the runs."""
    by_clip: dict[str, list[Sequence[float]]] = {}
    for predictions in runs:
        for prediction, row in zip(predictions, metric.statistics(predictions), strict=True):
            by_clip.setdefault(prediction.id, []).append(row)
    return {name: tuple(map(fmean, zip(*rows, strict=True))) for name, rows in by_clip.items()}


def _values(scores: Iterable[Score | None]) -> list[float]:
    return [score.value for score in scores if score is not None and score.value is not None]


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
