"""Every score with its interval and its controls, and the differences between runs."""

from __future__ import annotations

import shlex
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
    """Return the scores of each split and metric, a row for each run."""
    tables = [one for name in splits(found) for one in _tables(name, found)]
    return {
        "tables": tables,
        "notes": [note for run in found for split in run.splits for note in _notes(run, split)],
        "missing": None if tables else "No split has been scored yet.",
        "commands": [run.command("evaluate", again=["--again"]) for run in found if run.card],
    }


def differences(found: Sequence[Run], registry: Registry) -> dict[str, Any]:
    """Return the paired differences of each run to the first, clip by clip; seeds are merged."""
    scored = [run for run in found if run.splits and run.card]
    rows: list[dict[str, Any]] = []
    missing = "" if len(scored) > 1 else "One run alone has no difference."
    base = [scored[0]] if scored else []
    if not missing:
        try:
            first = groups([run.folder.path for run in scored], registry)[0]
            base = [run for run in scored if run.folder.path.resolve() in {f.path for f in first.folders}]
            paths = [run.folder.path for run in scored]
            rows = list(_rows(table(paths, registry, [run.folder.path for run in base])))
            missing = "" if rows else "All runs are the same experiment with other seeds."
        except SteermoeError as error:  # scored on other clips, or a file is missing
            missing = f"The runs cannot be compared: {error}."
    against = [word for run in base for word in ("--against", str(run.folder.path))]
    return {
        "against": [run.name for run in base],
        "rows": rows,
        "missing": missing or None,
        "commands": [shlex.join(["steermoe", "results", *(str(r.folder.path) for r in scored), *against])]
        if rows
        else [],
    }


def _tables(name: str, found: Sequence[Run]) -> Iterator[dict[str, Any]]:
    """Yield a table for each metric of a split."""
    there = [(run, split) for run in found if (split := run.split(name))]
    for metric in dict.fromkeys(metric for _, split in there for metric in split.scores["metrics"]):
        rows = [_row(run, split, metric) for run, split in there if metric in split.scores["metrics"]]
        yield {"split": name, "metric": metric, "higher_is_better": rows[0]["higher_is_better"], "rows": rows}


def _row(run: Run, split: Split, metric: str) -> dict[str, Any]:
    score = split.scores["metrics"][metric]
    beside = split.scores["controls"].items()
    return {
        "run": run.name,
        "higher_is_better": bool(score.get("higher_is_better")),  # earlier versions had error rates alone
        **{key: score[key] for key in ("value", "interval", "edits", "examples", "clusters")},
        "details": score.get("details", {}),
        "rule": score.get("rule"),
        "controls": {name: found[metric]["value"] for name, found in beside if metric in found},
    }


def _notes(run: Run, split: Split) -> Iterator[str]:
    for reason, names in split.scores["left_out"].items():
        yield f"{run.name}, {split.name}: {len(names)} left out, {reason}: {some(names)}"


def _rows(found: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for row in found:
        for metric, score in row["metrics"].items():
            if "against" in score:
                yield {
                    "run": row["experiment"],
                    "seeds": row["seeds"],
                    "split": row["split"],
                    "metric": metric,
                    "clips": row["clips"],
                    **score["against"],
                }
