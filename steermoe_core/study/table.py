"""One table over finished runs, from their folders alone: a row for each split, runs of other seeds merged.

Runs are merged where their experiments differ in nothing but the seed. A score is then the mean over the
runs, with the lowest and the highest; its interval is resampled from the clips, the edits of a clip summed
over the runs. So the interval speaks of other clips, and lowest and highest of other seeds.
"""

from __future__ import annotations

from collections import Counter
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

import attrs

from steermoe_core.errors import UsageError
from steermoe_core.evaluate.bootstrap import difference, interval
from steermoe_core.evaluate.metrics import total
from steermoe_core.study.seeds import groups, named
from steermoe_core.train.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from steermoe_core.evaluate.metrics import Metric
    from steermoe_core.evaluate.prediction import Prediction
    from steermoe_core.evaluate.scores import Edits
    from steermoe_core.plugins import Registry
    from steermoe_core.study.seeds import Group


def table(paths: Sequence[Path], registry: Registry, against: Sequence[Path] = ()) -> list[dict[str, Any]]:
    """Return the rows of the table as plain values.

    :param paths: run folders.
    :param against: run folders that every row is compared with, on the same clips; they differ in nothing
        but the seed.
    :raises UsageError: a folder is none of a run, has no scores yet, or cannot be compared.
    """
    bases = groups(against, registry)
    if len(bases) > 1:
        names = " and ".join(str(base.folders[0].path) for base in bases[:2])
        msg = f"runs to compare with may differ in nothing but the seed; {names} differ in more"
        raise UsageError(msg)
    base = bases[0] if bases else None
    found = groups(paths, registry)
    said = base and {
        "experiment": base.name,
        "seeds": base.seeds,
        "runs": [str(folder.path) for folder in base.folders],
    }
    return [
        {"label": label, **row(group, split, base), "against": said}
        for group, label in zip(found, named(found), strict=True)
        for split in group.splits()
    ]


def row(group: Group, split: str, base: Group | None = None) -> dict[str, Any]:
    """Return the scores of one group on one split, and what its training was, as plain values.

    :param base: what it is compared with, clip by clip.
    :raises UsageError: the two were scored on different clips.
    """
    scores = [one["splits"][split] for one in group.facts]
    first = group.facts[0]
    return {
        "experiment": group.name,
        "split": split,
        "seeds": group.seeds,
        "runs": [one["run"] for one in group.facts],
        "clips": scores[0]["examples"],
        "trainable_parameters": first["trainable_parameters"],
        "audio_tokens_per_second": _mean(score.get("audio_tokens_per_second") for score in scores),
        **_training(group),
        "gate_entropy": _mean(layer.get("entropy") for score in scores for layer in score["steering"]),
        "metrics": _metrics(group, split, base),
        "pathologies": _pathologies(scores),
    }


def _pathologies(scores: Sequence[dict[str, Any]]) -> dict[str, int]:
    """Return how many answers of all runs together have each."""
    return dict(sum((Counter(_counts(one)) for one in scores), Counter()))


def _counts(scores: dict[str, Any]) -> dict[str, int]:
    return {name: one["count"] for name, one in scores["pathologies"].items()}


def _training(group: Group) -> dict[str, Any]:
    """Return speed and loss of the training runs: the median of the speeds, means of the losses."""
    lines = [[line for line in Journal(f.metrics).read() if line.loss is not None] for f in group.folders]
    paces = [line.seconds_per_step for run in lines for line in run if line.seconds_per_step is not None]
    return {
        "seconds_per_step": median(paces) if paces else None,
        "loss": {
            "start": _mean(run[0].loss for run in lines if run),
            "end": _mean(run[-1].loss for run in lines if run),
        },
    }


def _metrics(group: Group, split: str, base: Group | None) -> dict[str, Any]:
    answers = group.predictions(split)
    others = base.predictions(split) if base is not None and base.compares(group, split) else []
    clusters = {row.id: row.cluster if row.cluster is not None else ("alone", row.id) for row in answers[0]}
    found = {}
    for metric in group.metrics:
        higher, seed = metric.higher_is_better, group.seeds[0]
        edits = _pooled(metric, answers, times=len(others) or 1)
        options: dict[str, Any] = {"seed": seed, "higher_is_better": higher}
        between = interval(list(edits.values()), [clusters[i] for i in edits], **options)
        found[metric.name] = {
            **_spread(one["splits"][split]["metrics"].get(metric.name) for one in group.facts),
            "interval": None if between is None else attrs.asdict(between),
            "higher_is_better": higher,
            "controls": _controls(group, split, metric.name),
        }
        if others and found[metric.name]["value"] is not None:
            before = _pooled(metric, others, times=len(answers))
            delta = difference(before, edits, clusters, **options)
            found[metric.name]["against"] = {
                **attrs.asdict(delta),
                "verdict": delta.verdict(higher_is_better=higher),
            }
    return found


def _pooled(metric: Metric, runs: Sequence[Sequence[Prediction]], times: int) -> dict[str, Edits]:
    """Return the edits of each clip, summed over the runs and taken so many times.

    Taken as often as the other side of a comparison has runs, both have the same reference units.
    """
    by_clip: dict[str, list[Edits]] = {}
    for row in (row for rows in runs for row in rows):
        by_clip.setdefault(row.id, []).append(metric.edits(row))
    return {name: total(edits * times) for name, edits in by_clip.items()}


def _spread(scores: Iterator[dict[str, Any] | None]) -> dict[str, Any]:
    values = [score["value"] for score in scores if score is not None and score["value"] is not None]
    if not values:
        return {"value": None, "lowest": None, "highest": None}
    return {"value": fmean(values), "lowest": min(values), "highest": max(values)}


def _controls(group: Group, split: str, metric: str) -> dict[str, Any]:
    beside = [one["splits"][split]["controls"] for one in group.facts]
    names = dict.fromkeys(name for controls in beside for name in controls)
    return {name: _spread(c.get(name, {}).get(metric) for c in beside)["value"] for name in names}


def _mean(values: Iterator[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return fmean(there) if there else None
