"""The table of several runs: what was varied, what was trained, every score; seeds are merged."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from steermoe_core.errors import SteermoeError
from steermoe_core.run.groups import groups
from steermoe_core.run.labels import SEED, short, shown, varied
from steermoe_core.run.table import table

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from steermoe_core.plugins import Registry
    from steermoe_core.report.runs import Run

    Rows = list[dict[str, Any]]

#: With more settings than these, a row has its name alone; the page has a section about settings.
_MOST = 4


def ablation(found: Sequence[Run], registry: Registry) -> dict[str, Any]:
    """Return a table for each split: settings that differ between rows, then trained numbers and scores."""
    paths = [run.folder.path for run in found if run.splits and run.card]
    if len(found) == 1 or not paths:
        return _none("There are no runs with scores to put side by side.")
    try:
        rows = table(paths, registry)
        settings = varied([group.resolved.table for group in groups(paths, registry)], [SEED])
    except SteermoeError as error:  # predictions are missing, or seeds were scored on other clips
        return _none(f"There is no table: {error}.")
    if len(settings) <= _MOST:
        rows = _in_order(rows, settings.values())
    else:
        rows, settings = [{**row, "settings": [row["label"]]} for row in rows], {}
    return {
        "settings": [short(path) for path in settings] or ["run"],
        "tables": list(_by_split(rows)),
        "missing": None,
        "commands": [shlex.join(["steermoe", "results", *map(str, paths)])],
    }


def _none(why: str) -> dict[str, Any]:
    return {"settings": [], "tables": [], "missing": why, "commands": []}


def _in_order(rows: Rows, columns: Collection[list[Any]]) -> Rows:
    """Return the rows with their `settings`, numbers in order and before texts.

    :param columns: the values of each setting, one for each label.
    """
    labels = list(dict.fromkeys(row["label"] for row in rows))
    values = dict(zip(labels, zip(*columns, strict=True), strict=True)) if columns else {}

    def order(row: dict[str, Any]) -> list[tuple[bool, Any]]:
        found = values.get(row["label"], ())
        return [(False, one) if isinstance(one, (int, float)) else (True, shown(one)) for one in found]

    return [
        {**row, "settings": [shown(one) for one in values.get(row["label"], [row["label"]])]}
        for row in sorted(rows, key=order)
    ]


def _by_split(rows: Rows) -> Iterator[dict[str, Any]]:
    for split in dict.fromkeys(row["split"] for row in rows):
        some = [row for row in rows if row["split"] == split]
        metrics = list(dict.fromkeys(metric for row in some for metric in row["metrics"]))
        yield {"split": split, "metrics": metrics, "rows": some}
