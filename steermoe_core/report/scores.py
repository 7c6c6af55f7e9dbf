"""Every score with its interval and its controls, and the differences between runs."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from steermoe_core.config.naming import some
from steermoe_core.errors import SteermoeError
from steermoe_core.report.runs import splits
from steermoe_core.study.seeds import group_labels, seed_groups
from steermoe_core.study.table import table
from steermoe_core.system.records import plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from steermoe_core.plugins import Registry
    from steermoe_core.report.runs import Run, Split


def scores(found: Sequence[Run]) -> dict[str, Any]:
    """Return the scores of each split: a table for each metric with a row for each run, or of one run one."""
    tables = [one for name in splits(found) for one in _tables(name, found)]
    if len(found) == 1:
        tables = list(_merged(tables))
    return {
        "tables": tables,
        "notes": [note for run in found for split in run.splits for note in _notes(run, split)],
        "missing": None if tables else "No split has been scored yet.",
        "commands": [run.command("evaluate", again=["--again"]) for run in found if run.card],
    }


def differences(found: Sequence[Run], registry: Registry) -> dict[str, Any]:
    """Return the paired differences of each run to the first, clip by clip; seeds are merged."""
    paths = [run.folder.path for run in found if run.splits and run.card]
    if len(paths) < 2:  # noqa: PLR2004 - a difference takes two
        return _no_differences("There are no two runs with scores.")
    try:
        base, *_ = groups = seed_groups(paths, registry)
        label = _side(base.paths, group_labels(groups)[0], found)
        rows, _ = table(paths, registry, [folder.path for folder in base.folders])
    except SteermoeError as error:  # scored on other clips, or predictions are missing
        return _no_differences(f"The runs cannot be compared: {error}.")
    compared = [
        {
            "run": _side(row.runs, row.label, found),
            "split": row.split,
            "metric": metric,
            "clips": row.clips,
            **attrs.asdict(score.against),
        }
        for row in rows
        for metric, score in row.metrics.items()
        if score.against
    ]
    if not compared:
        return _no_differences("The runs differ only in the seed.")
    against = [word for one in base.paths for word in ("--against", one)]
    return {
        "against": label,
        "rows": compared,
        "missing": None,
        "commands": [shlex.join(["steermoe", "results", *map(str, paths), *against])],
    }


def _no_differences(why: str) -> dict[str, Any]:
    return {"against": "", "rows": [], "missing": why, "commands": []}


def _side(paths: Sequence[str], label: str, found: Sequence[Run]) -> str:
    """Return the name of one side of a comparison: that of its only run, or a label with all its seeds."""
    resolved = {Path(path).resolve() for path in paths}
    merged = [run for run in found if run.folder.path.resolve() in resolved]
    if len(merged) == 1:
        return merged[0].name
    return f"{label} (seeds {', '.join(str(run.resolved.experiment.experiment.seed) for run in merged)})"


def _tables(name: str, found: Sequence[Run]) -> Iterator[dict[str, Any]]:
    """Yield a table for each metric of a split."""
    there = [(run, split) for run in found if (split := run.split(name))]
    for metric in dict.fromkeys(metric for _, split in there for metric in split.scores.metrics):
        rows = [_row(run, split, metric) for run, split in there if metric in split.scores.metrics]
        yield {"split": name, "metric": metric, "higher_is_better": rows[0]["higher_is_better"], "rows": rows}


def _merged(tables: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the tables of one run: the metrics of a split together, where the same way is better."""
    found: dict[Any, list[dict[str, Any]]] = {}
    for one in tables:
        found.setdefault((one["split"], one["higher_is_better"]), []).append(one)
    for (split, higher), group in found.items():
        rows = [row for one in group for row in one["rows"]]
        yield {"split": split, "metric": None, "higher_is_better": higher, "rows": rows}


def _row(run: Run, split: Split, metric: str) -> dict[str, Any]:
    score = split.scores.metrics[metric]
    controls = split.scores.controls.items()
    return {
        "run": run.name,
        "metric": metric,
        "higher_is_better": score.higher_is_better,
        "value": score.value,
        "interval": plain(score.interval),
        "edits": plain(score.edits),
        "examples": score.examples,
        "clusters": score.clusters,
        "details": score.details,
        "rule": score.rule,
        "controls": {name: scores[metric].value for name, scores in controls if metric in scores},
    }


def _notes(run: Run, split: Split) -> Iterator[str]:
    for reason, names in split.scores.left_out.items():
        yield f"{run.name}, {split.name}: {len(names)} left out, {reason}: {some(names)}"
