"""The table of several runs: what was varied, what was trained, every score; seeds are merged."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from steermoe_core.errors import SteermoeError
from steermoe_core.study.names import SEED, short, shown, varied
from steermoe_core.study.seeds import group_labels, seed_groups
from steermoe_core.study.table import row

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from steermoe_core.plugins import Registry
    from steermoe_core.report.runs import Run
    from steermoe_core.study.seeds import SeedGroup

    #: A group, and its values of the settings' columns.
    _Line = tuple[SeedGroup, Sequence[Any]]

#: With more settings than these, a row has its name alone; the page has a section about settings.
_MOST = 4


def ablation(found: Sequence[Run], registry: Registry) -> dict[str, Any]:
    """Return a table for each split: settings that differ between rows, then trained numbers and scores."""
    paths = [run.folder.path for run in found if run.splits and run.card]
    if len(found) == 1 or not paths:
        return _none("There are no runs with scores to put side by side.")
    try:
        together = seed_groups(paths, registry)
        settings = varied([group.resolved.table for group in together], [SEED])
        by_name = not 0 < len(settings) <= _MOST
        if by_name:
            settings = {("run",): group_labels(together)}
        rows = list(zip(together, zip(*settings.values(), strict=True), strict=True))
        if not by_name:
            rows.sort(key=_order)
        tables = list(_tables(rows))
    except SteermoeError as error:  # predictions are missing, or seeds were scored on other clips
        return _none(f"There is no table: {error}.")
    return {
        "settings": [short(path) for path in settings],
        "tables": tables,
        "missing": None,
        "commands": [shlex.join(["steermoe", "results", *map(str, paths)])],
    }


def _none(why: str) -> dict[str, Any]:
    return {"settings": [], "tables": [], "missing": why, "commands": []}


def _tables(ordered: Sequence[_Line]) -> Iterator[dict[str, Any]]:
    """Yield the table of each split.

    :param ordered: the lines of the table.
    """
    for split in dict.fromkeys(split for group, _ in ordered for split in group.splits()):
        rows = [
            {**row(group, split).to_json(), "settings": [shown(value) for value in cells]}
            for group, cells in ordered
            if split in group.splits()
        ]
        metrics = list(dict.fromkeys(metric for one in rows for metric in one["metrics"]))
        yield {"split": split, "metrics": metrics, "rows": rows}


def _order(pair: _Line) -> list[tuple[bool, Any]]:
    """Return what sorts rows by their settings: numbers by size, and before texts."""
    _, cells = pair
    return [(False, value) if isinstance(value, (int, float)) else (True, shown(value)) for value in cells]
