"""Every score with its interval and its controls, and defects of whole answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from steermoe_core.config.naming import some
from steermoe_core.report.runs import split_names
from steermoe_core.report.section import Section

if TYPE_CHECKING:
    from collections.abc import Sequence

    from steermoe_core.report.runs import Run, RunScore


def scores(runs: Sequence[Run]) -> Section:
    """Return a table for each split and metric with a row for each run.

    Of one run, the metrics of a split are one table if the same direction is better.
    """
    several, splits = len(runs) > 1, split_names(runs)
    found = sorted((one for run in runs for one in run.scores()), key=lambda one: splits.index(one.split))
    groups: dict[tuple[str, str | bool], list[RunScore]] = {}
    for one in found:
        groups.setdefault((one.split, one.metric if several else one.higher_is_better), []).append(one)
    tables = [
        {
            "split": rows[0].split,
            "metric": rows[0].metric if several else None,
            "higher_is_better": rows[0].higher_is_better,
            "rows": rows,
        }
        for rows in groups.values()
    ]
    notes = [
        f"{run.name}, {split.name}: {len(names)} left out, {reason}: {some(names)}"
        for run in runs
        for split in run.splits
        for reason, names in split.scores.left_out.items()
    ]
    return Section(
        content={"tables": tables, "notes": notes},
        missing=None if tables else "No split has been scored yet.",
        commands=[run.command("evaluate", flags=["--again"]) for run in runs if run.card],
    )


def answers(runs: Sequence[Run]) -> Section:
    """Return the pathologies, lengths and answers to audio without speech of each split that has any."""
    splits = [
        {
            "run": run.name,
            "split": split.name,
            "clips": scores.examples,
            "pathologies": [{"name": name, **attrs.asdict(one)} for name, one in scores.pathologies.items()],
            "length_ratio": scores.length_ratio,
            "probes": scores.probes,
        }
        for run in runs
        for split in run.splits
        if (scores := split.scores).pathologies or scores.probes or scores.length_ratio
    ]
    return Section(
        content={"splits": splits},
        missing=None if splits else "No answer was checked for loops, refusals and the like.",
        commands=[run.command("evaluate", flags=["--again", "--json"]) for run in runs if run.card],
    )
