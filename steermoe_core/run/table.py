"""One table over finished runs, from their folders alone: a row for each split, runs of other seeds merged.

Runs are merged where their experiments differ in nothing but the seed. A score is then the mean over the
runs, with the lowest and the highest; its interval is resampled from the clips, the edits of a clip summed
over the runs. So the interval speaks of other clips, and lowest and highest of other seeds.
"""

from __future__ import annotations

import json
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

import attrs

from steermoe_core.config.resolve import resolve
from steermoe_core.errors import UsageError
from steermoe_core.evaluate.bootstrap import difference, interval
from steermoe_core.evaluate.metrics import total
from steermoe_core.evaluate.prediction import read
from steermoe_core.run.folder import RunFolder
from steermoe_core.run.results import results
from steermoe_core.train.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from steermoe_core.evaluate.metrics import Edits, Metric
    from steermoe_core.evaluate.prediction import Prediction
    from steermoe_core.plugins import Registry


@attrs.frozen(eq=False)
class Group:
    """Finished runs that differ in nothing but the seed.

    :param seeds: of the runs.
    :param facts: what `results` says of each.
    :param folders: of the runs.
    :param metrics: that they are scored by.
    """

    seeds: list[int]
    facts: list[dict[str, Any]]
    folders: list[RunFolder]
    metrics: list[Metric]

    def splits(self) -> list[str]:
        """Return the splits that all runs have scores of."""
        first, *others = [one["splits"] for one in self.facts]
        return [split for split in first if all(split in other for other in others)]

    def compares(self, group: Group, split: str) -> bool:
        """Tell whether another group's scores of a split have a difference to these."""
        same = {folder.path for folder in self.folders} & {folder.path for folder in group.folders}
        return not same and split in self.splits()

    def predictions(self, split: str) -> list[list[Prediction]]:
        """Return each run's answers, to the same clips.

        :raises UsageError: the runs were scored on different clips.
        """
        found = [read(folder.evaluations / split / "predictions.jsonl") for folder in self.folders]
        for folder, rows in zip(self.folders, found, strict=True):
            if {row.id for row in rows} != {row.id for row in found[0]}:
                msg = (
                    f"{folder.path} and {self.folders[0].path} were scored on different clips of {split}; "
                    "score both again on the same data"
                )
                raise UsageError(msg)
        return found


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
    return [_row(group, split, base) for group in groups(paths, registry) for split in group.splits()]


def groups(paths: Sequence[Path], registry: Registry) -> list[Group]:
    """Return the runs, merged where they differ in nothing but the seed, in the order of their first."""
    found: dict[str, Group] = {}
    for path in dict.fromkeys(path.resolve() for path in paths):
        folder = RunFolder.existing(path)
        resolved = resolve(folder.experiment, [], registry)
        facts = results(folder) if folder.adapter.is_dir() else {"splits": {}}
        if not facts["splits"]:
            msg = f"{folder.path} has no scores yet; finish it with `steermoe run {folder.experiment}`"
            raise UsageError(msg)
        rest = {**resolved.table, "experiment": {**resolved.table["experiment"], "seed": None}}
        key = json.dumps(rest, sort_keys=True, default=str)
        metrics = [registry.get("metric", m.name).build(m.config) for m in resolved.experiment.metrics]
        group = found.setdefault(key, Group([], [], [], metrics))
        group.seeds.append(resolved.experiment.experiment.seed)
        group.facts.append(facts)
        group.folders.append(folder)
    return list(found.values())


def _row(group: Group, split: str, base: Group | None) -> dict[str, Any]:
    scores = [one["splits"][split] for one in group.facts]
    first = group.facts[0]
    return {
        "experiment": first["experiment"],
        "split": split,
        "seeds": group.seeds,
        "runs": [one["run"] for one in group.facts],
        "clips": scores[0]["examples"],
        "trainable_parameters": first["trainable_parameters"],
        "audio_tokens_per_second": _mean(score.get("audio_tokens_per_second") for score in scores),
        **_training(group),
        "gate_entropy": _mean(layer.get("entropy") for score in scores for layer in score["steering"]),
        "metrics": _metrics(group, split, base),
    }


def _training(group: Group) -> dict[str, Any]:
    """Return speed and loss of the training runs: the median of the speeds, means of the losses."""
    lines = [[line for line in Journal(f.metrics).read() if "loss" in line] for f in group.folders]
    paces = [line["seconds_per_step"] for run in lines for line in run]
    return {
        "seconds_per_step": median(paces) if paces else None,
        "loss": {
            "start": _mean(run[0]["loss"] for run in lines if run),
            "end": _mean(run[-1]["loss"] for run in lines if run),
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
        if others:
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
