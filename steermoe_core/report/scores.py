"""Every score with its interval and its controls, and the differences between runs."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steermoe_core.config.naming import some
from steermoe_core.errors import SteermoeError
from steermoe_core.report.runs import splits
from steermoe_core.study.seeds import groups, named
from steermoe_core.study.table import table

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
    scored = [run for run in found if run.splits and run.card]
    if len(scored) < 2:  # noqa: PLR2004 - a difference takes two
        return _none("There are no two runs with scores.")
    try:
        base, label = _base(scored, registry)
        rows = list(_rows(table(_paths(scored), registry, _paths(base)), scored))
    except SteermoeError as error:  # scored on other clips, or predictions are missing
        return _none(f"The runs cannot be compared: {error}.")
    if not rows:
        return _none("The runs differ in nothing but their seeds.")
    against = [word for path in _paths(base) for word in ("--against", str(path))]
    return {
        "against": _named(base, label),
        "rows": rows,
        "missing": None,
        "commands": [shlex.join(["steermoe", "results", *map(str, _paths(scored)), *against])],
    }


def _none(why: str) -> dict[str, Any]:
    return {"against": "", "rows": [], "missing": why, "commands": []}


def _base(scored: Sequence[Run], registry: Registry) -> tuple[list[Run], str]:
    """Return the first run, those that differ from it in nothing but the seed, and their name."""
    found = groups(_paths(scored), registry)
    return _at([folder.path for folder in found[0].folders], scored), named(found)[0]


def _paths(some_runs: Sequence[Run]) -> list[Path]:
    return [run.folder.path for run in some_runs]


def _at(paths: Sequence[str | Path], scored: Sequence[Run]) -> list[Run]:
    """Return the runs whose folders these are."""
    there = {Path(path).resolve() for path in paths}
    return [run for run in scored if run.folder.path.resolve() in there]


def _tables(name: str, found: Sequence[Run]) -> Iterator[dict[str, Any]]:
    """Yield a table for each metric of a split."""
    there = [(run, split) for run in found if (split := run.split(name))]
    for metric in dict.fromkeys(metric for _, split in there for metric in split.scores["metrics"]):
        rows = [_row(run, split, metric) for run, split in there if metric in split.scores["metrics"]]
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
    score = split.scores["metrics"][metric]
    beside = split.scores["controls"].items()
    return {
        "run": run.name,
        "metric": metric,
        "higher_is_better": bool(score.get("higher_is_better")),  # earlier versions had error rates alone
        **{key: score[key] for key in ("value", "interval", "edits", "examples", "clusters")},
        "details": score.get("details", {}),
        "rule": score.get("rule"),
        "controls": {name: found[metric]["value"] for name, found in beside if metric in found},
    }


def _notes(run: Run, split: Split) -> Iterator[str]:
    for reason, names in split.scores["left_out"].items():
        yield f"{run.name}, {split.name}: {len(names)} left out, {reason}: {some(names)}"


def _rows(found: Sequence[dict[str, Any]], scored: Sequence[Run]) -> Iterator[dict[str, Any]]:
    for row in found:
        for metric, score in row["metrics"].items():
            if "against" in score:
                yield {
                    "run": _named(_at(row["runs"], scored), row["label"]),
                    "split": row["split"],
                    "metric": metric,
                    "clips": row["clips"],
                    **score["against"],
                }


def _named(merged: Sequence[Run], label: str) -> str:
    """Return what one run is called, or several that differ in their seed."""
    if len(merged) == 1:
        return merged[0].name
    return f"{label} (seeds {', '.join(str(run.resolved.experiment.experiment.seed) for run in merged)})"
