"""The figures of training, over optimizer steps, from metrics.jsonl."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from steermoe_core.component import Figure
    from steermoe_core.report.runs import Run

    Line = dict[str, Any]


def training(found: Sequence[Run]) -> dict[str, Any]:
    """Return the figures that all runs share, then those of each run; of one run, all together."""
    shared, own = list(_shared(found)), [(run.name, list(_own(run))) for run in found]
    if len(found) == 1:
        shared, own = [*shared, *own[0][1]], []
    groups = [{"run": name, "figures": figures} for name, figures in [(None, shared), *own] if figures]
    return {
        "groups": groups,
        "missing": None if groups else "No step has been logged yet.",
        "commands": [
            run.command("run", file="experiment.toml", again=["--runs", "again"])
            for run in found
            if run.journal
        ],
    }


def _shared(found: Sequence[Run]) -> Iterator[dict[str, Any]]:
    losses = {run.name: _points(run.journal, lambda line: line.get("loss")) for run in found}
    yield from _figure("Loss", "mean over answer tokens", losses, log=True)
    metrics = dict.fromkeys(m for run in found for line in run.journal for m in line.get("validation", {}))
    for metric in metrics:
        values = {run.name: _points(run.journal, _validation(metric)) for run in found}
        yield from _figure(f"Validation {metric.upper()}", "on clips that are not trained on", values)


def _own(run: Run) -> Iterator[dict[str, Any]]:
    yield from _figure(
        "Added losses", "what each adds to the loss, by name", _groups(run, "losses"), log=True
    )
    yield from _figure("Learning rate", "by group of parameters", _groups(run, "learning_rate"))
    yield from _figure("Gradient norm", "by group, before clipping", _groups(run, "gradient_norm"), log=True)
    for one in run.figures:
        mark = _equal_gates(run.journal, one.key) if one.value == "entropy" else None
        yield from _figure(one.title, one.unit, _curves(run.journal, one), log=one.log, mark=mark)
    pace = _points(run.journal, lambda line: line.get("seconds_per_step"))
    yield from _figure("Pace", "seconds a step", {run.name: pace})


def _figure(
    title: str,
    unit: str,
    series: dict[str, list[list[float]]],
    *,
    log: bool = False,
    mark: dict[str, Any] | None = None,
) -> Iterator[dict[str, Any]]:
    """Yield a figure, if there is anything to draw.

    :param log: whether its axis is logarithmic where its values are of several orders of magnitude.
    :param mark: a value to compare with.
    """
    lines = [{"name": name, "points": points} for name, points in series.items() if points]
    if lines:
        yield {"title": title, "unit": unit, "series": lines, "log": log, "mark": mark}


def _points(journal: Iterable[Line], value: Callable[[Line], Any]) -> list[list[float]]:
    """Return the pairs of step and value, where a line has a finite one."""
    pairs = ([line["step"], value(line)] for line in journal)
    return [pair for pair in pairs if isinstance(pair[1], (int, float)) and math.isfinite(pair[1])]


def _groups(run: Run, key: str) -> dict[str, list[list[float]]]:
    """Return the points of each group of parameters."""
    names = dict.fromkeys(name for line in run.journal for name in line.get(key, {}))
    return {name: _points(run.journal, _of(key, name)) for name in names}


def _of(key: str, name: str) -> Callable[[Line], Any]:
    return lambda line: line.get(key, {}).get(name)


def _validation(metric: str) -> Callable[[Line], Any]:
    return _of("validation", metric)


def _curves(journal: Iterable[Line], figure: Figure) -> dict[str, list[list[float]]]:
    """Return the points of each curve of a figure that a callback declares."""
    curves: dict[str, list[Line]] = {}
    for line in journal:
        for record in _records(line, figure.key):
            name = figure.curve.format_map(defaultdict(str, record))
            curves.setdefault(name, []).append({"step": line["step"], "value": record.get(figure.value)})
    return {name: _points(lines, lambda line: line["value"]) for name, lines in curves.items()}


def _equal_gates(journal: Iterable[Line], key: str) -> dict[str, Any] | None:
    """Return the entropy of equal gates, that of a router that does not choose."""
    loads = (record["load"] for line in journal for record in _records(line, key) if record.get("load"))
    experts = len(next(loads, ()))
    return {"name": f"equal gates, ln {experts}", "value": math.log(experts)} if experts else None


def _records(line: Line, key: str) -> list[dict[str, Any]]:
    """Return the records of a callback in a line; a plugin may have written something else there."""
    value = line.get(key)
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
