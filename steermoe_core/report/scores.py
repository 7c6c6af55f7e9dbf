"""Every score with its interval and its controls, and the differences between runs."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steermoe_core.data.check import some
from steermoe_core.errors import SteermoeError
from steermoe_core.report.runs import splits
from steermoe_core.run.table import groups, table

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
    base: list[Run] = []
    rows: list[dict[str, Any]] = []
    missing = "" if len(scored) > 1 else "There are no two runs with scores."
    if not missing:
        try:
            base = _base(scored, registry)
            paths = [[run.folder.path for run in some_runs] for some_runs in (scored, base)]
            rows = list(_rows(table(paths[0], registry, paths[1]), scored))
            missing = "" if rows else "The runs differ in nothing but their seeds."
        except SteermoeError as error:  # scored on other clips, or predictions are missing
            missing = f"The runs cannot be compared: {error}."
    words = [*(str(run.folder.path) for run in scored)]
    words += [word for run in base for word in ("--against", str(run.folder.path))]
    return {
        "against": _named([str(run.folder.path) for run in base], scored),
        "rows": rows,
        "missing": missing or None,
        "commands": [shlex.join(["steermoe", "results", *words])] if rows else [],
    }


def _base(scored: Sequence[Run], registry: Registry) -> list[Run]:
    """Return the first run with those that differ from it in nothing but the seed."""
    first = groups([run.folder.path for run in scored], registry)[0]
    paths = {folder.path for folder in first.folders}
    return [run for run in scored if run.folder.path.resolve() in paths]


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
                    "run": _named(row["runs"], scored),
                    "split": row["split"],
                    "metric": metric,
                    "clips": row["clips"],
                    **score["against"],
                }


def _named(paths: Sequence[str], scored: Sequence[Run]) -> str:
    """Return what one run is called, or several that differ in their seed."""
    there = {Path(path).resolve() for path in paths}
    merged = [run for run in scored if run.folder.path.resolve() in there]
    if len(merged) == 1:
        return merged[0].name
    about = [run.resolved.experiment.experiment for run in merged]
    return f"{about[0].name} (seeds {', '.join(str(one.seed) for one in about)})" if about else ""
