"""How errors lie: by kind, by length of the clip, by clip."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import attrs

from steermoe_core.evaluate.metrics import rate, total
from steermoe_core.report.runs import judged, splits
from steermoe_core.run.preview.data import histogram

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from steermoe_core.report.runs import Judged, Run

#: Groups of clips of equal number, from the shortest to the longest, and the fewest clips of one.
_GROUPS, _FEWEST = 5, 4
#: From so many errors on, clips are counted together.
_MANY = 5


def lengths(found: Sequence[Run]) -> dict[str, Any]:
    """Return how errors and durations lie in each split, by each run's first metric that counts edits."""
    shown = [_split(name, there) for name in splits(found) if (there := judged(found, name))]
    return {
        "splits": shown,
        "missing": None if shown else "No clip has been scored yet.",
        "commands": [run.command("report", again=["--json"]) for run in found if run.splits],
    }


def _split(name: str, there: Sequence[tuple[Run, Judged]]) -> dict[str, Any]:
    run, first = there[0]
    return {
        "split": name,
        "metric": run.counting.name if run.counting else None,
        "durations": histogram([prediction.seconds for prediction, _ in first]),
        "kinds": [_kinds(run, rows) for run, rows in there],
        "by_duration": [{"run": run.name, "groups": list(_by_duration(run, rows))} for run, rows in there],
        "by_clip": [{"run": run.name, "groups": list(_by_clip(rows))} for run, rows in there],
    }


def _kinds(run: Run, rows: Judged) -> dict[str, Any]:
    counts = total(edits for _, edits in rows)
    stops = Counter(prediction.stop for prediction, _ in rows)
    return {
        "run": run.name,
        "whole": _higher(run),
        **attrs.asdict(counts),
        "errors": counts.errors,
        "ended": stops["eos"],
        "limit": stops["limit"],
    }


def _by_duration(run: Run, rows: Judged) -> Iterator[dict[str, Any]]:
    """Yield the score of clips of about one length; groups are of equal number, give or take one."""
    ordered = sorted(rows, key=lambda row: row[0].seconds)
    groups = max(1, min(_GROUPS, len(ordered) // _FEWEST))
    edges = [round(number * len(ordered) / groups) for number in range(groups + 1)]
    for start, end in pairwise(edges):
        group = ordered[start:end]
        edits = [edits for _, edits in group]
        higher = _higher(run)
        yield {
            "from": group[0][0].seconds,
            "to": group[-1][0].seconds,
            "clips": len(group),
            "value": rate(edits, higher_is_better=higher) if total(edits).reference else None,
        }


def _higher(run: Run) -> bool:
    return run.counting is not None and run.counting.higher_is_better


def _by_clip(rows: Judged) -> Iterator[dict[str, Any]]:
    """Yield how many clips have so many errors."""
    counts = Counter(min(edits.errors, _MANY) for _, edits in rows)
    for errors in range(max(counts, default=0) + 1):
        yield {"errors": errors, "more": errors == _MANY, "clips": counts[errors]}
