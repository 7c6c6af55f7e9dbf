"""Several runs together: a table of what was varied and scored, and paired differences. Seeds are merged."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from steermoe_core.errors import SteermoeError
from steermoe_core.report.section import Section
from steermoe_core.study.names import SEED, short, shown, varied
from steermoe_core.study.seeds import group_labels, seed_groups
from steermoe_core.study.table import row, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from steermoe_core.plugins import Registry
    from steermoe_core.report.runs import Run
    from steermoe_core.study.seeds import SeedGroup
    from steermoe_core.system.records import Json

    #: A group, and its values of the settings' columns.
    _Line = tuple[SeedGroup, Sequence[Any]]

#: If more settings differ, a row has its name instead; the page lists all settings elsewhere.
_MOST = 4


def ablation(runs: Sequence[Run], registry: Registry) -> Section:
    """Return a table for each split: settings that differ between rows, then trained numbers and scores."""
    paths = [run.files.path for run in runs if run.scored]
    if len(runs) == 1 or not paths:
        return _no_ablation("There are no runs with scores to put side by side.")
    try:
        groups = seed_groups(paths, registry)
        settings = varied([group.resolved.table for group in groups], [SEED])
        by_name = not 0 < len(settings) <= _MOST
        if by_name:
            settings = {("run",): group_labels(groups)}
        lines = list(zip(groups, zip(*settings.values(), strict=True), strict=True))
        if not by_name:
            lines.sort(key=_order)
        tables = list(_tables(lines))
    except SteermoeError as error:  # predictions are missing, or seeds were scored on other clips
        return _no_ablation(f"There is no table: {error}.")
    return Section(
        content={"settings": [short(path) for path in settings], "tables": tables},
        commands=[shlex.join(["steermoe", "results", *map(str, paths)])],
    )


def differences(runs: Sequence[Run], registry: Registry) -> Section:
    """Return the paired differences of each run to the first, clip by clip."""
    paths = [run.files.path for run in runs if run.scored]
    if len(paths) < 2:  # noqa: PLR2004 - a difference takes two
        return _no_differences("There are no two runs with scores.")
    try:
        base, *_ = groups = seed_groups(paths, registry)
        rows, _ = table(paths, registry, [folder.path for folder in base.folders])
    except SteermoeError as error:  # scored on other clips, or predictions are missing
        return _no_differences(f"The runs cannot be compared: {error}.")
    found = [
        {
            "run": _name(row.runs, row.label, runs),
            "split": row.split,
            "metric": metric,
            "clips": row.clips,
            **attrs.asdict(score.against, recurse=False),
        }
        for row in rows
        for metric, score in row.metrics.items()
        if score.against
    ]
    if not found:
        return _no_differences("The runs differ only in the seed.")
    against = [word for path in base.paths for word in ("--against", path)]
    return Section(
        content={"against": _name(base.paths, group_labels(groups)[0], runs), "rows": found},
        commands=[shlex.join(["steermoe", "results", *map(str, paths), *against])],
    )


def _no_ablation(why: str) -> Section:
    return Section(content={"settings": [], "tables": []}, missing=why)


def _no_differences(why: str) -> Section:
    return Section(content={"against": "", "rows": []}, missing=why)


def _tables(lines: Sequence[_Line]) -> Iterator[Json]:
    """Yield the table of each split."""
    for split in dict.fromkeys(split for group, _ in lines for split in group.splits()):
        rows = [
            {**row(group, split).to_json(), "settings": [shown(value) for value in values]}
            for group, values in lines
            if split in group.splits()
        ]
        metrics = list(dict.fromkeys(metric for one in rows for metric in one["metrics"]))
        yield {"split": split, "metrics": metrics, "rows": rows}


def _order(line: _Line) -> list[tuple[bool, Any]]:
    """Return the sort key of a line: its settings, numbers by size and before text."""
    _, values = line
    return [(False, value) if isinstance(value, (int, float)) else (True, shown(value)) for value in values]


def _name(paths: Sequence[str], label: str, runs: Sequence[Run]) -> str:
    """Return the name of one side of a comparison: that of its only run, or a label with all its seeds."""
    resolved = {Path(path).resolve() for path in paths}
    merged = [run for run in runs if run.files.path.resolve() in resolved]
    if len(merged) == 1:
        return merged[0].name
    return f"{label} (seeds {', '.join(str(run.files.experiment.experiment.seed) for run in merged)})"
