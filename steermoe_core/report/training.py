"""The figures of training, over optimizer steps, from metrics.jsonl."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from steermoe_core.report.charts import Mark, Plot, Series
from steermoe_core.report.section import Section
from steermoe_core.system.records import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from steermoe_core.report.charts import Point
    from steermoe_core.report.runs import Run
    from steermoe_core.system.records import Json
    from steermoe_core.train.journal import Step


def training(runs: Sequence[Run]) -> Section:
    """Return the figures that all runs share, then those of each run; of one run, all together."""
    shared, own = list(_shared(runs)), [(run.name, list(_own(run))) for run in runs]
    if len(runs) == 1:
        shared, own = [*shared, *own[0][1]], []
    groups = [{"run": name, "figures": plots} for name, plots in [(None, shared), *own] if plots]
    return Section(
        content={"groups": groups},
        missing=None if groups else "No step has been logged yet.",
        commands=[
            run.command("run", file="experiment.toml", flags=["--runs", "again"])
            for run in runs
            if run.files.metrics
        ],
    )


def _shared(runs: Sequence[Run]) -> Iterator[Plot]:
    steps = [(run.name, step) for run in runs for step in run.files.metrics]
    losses = _series((name, step, step.loss) for name, step in steps)
    yield from _plot("Loss", "mean over answer tokens", losses, log=True)
    for metric in dict.fromkeys(metric for _, step in steps for metric in step.validation or {}):
        values = _series((name, step, (step.validation or {}).get(metric)) for name, step in steps)
        yield from _plot(f"Validation {metric.upper()}", "on clips that are not trained on", values)


def _own(run: Run) -> Iterator[Plot]:
    steps = run.files.metrics
    losses = _series((key, step, value) for step in steps for key, value in (step.losses or {}).items())
    yield from _plot("Added losses", "what each adds to the loss, by name", losses, log=True)
    rates = _series((key, step, rate) for step in steps for key, rate in (step.learning_rate or {}).items())
    yield from _plot("Learning rate", "by group of parameters", rates)
    norms = _series((key, step, norm) for step in steps for key, norm in (step.gradient_norm or {}).items())
    yield from _plot("Gradient norm", "by group, before clipping", norms, log=True)
    for figure in run.figures:
        records = [(step, record) for step in steps for record in _records(step, figure.key)]
        curves = _series(
            (figure.curve.format_map(defaultdict(str, record)), step, record.get(figure.value))
            for step, record in records
        )
        mark = _equal_gates(record for _, record in records) if figure.value == "entropy" else None
        yield from _plot(figure.title, figure.unit, curves, log=figure.log, mark=mark)
    pace = _series((run.name, step, step.seconds_per_step) for step in steps)
    yield from _plot("Pace", "seconds a step", pace)


def _plot(
    title: str, unit: str, series: Mapping[str, list[Point]], *, log: bool = False, mark: Mark | None = None
) -> Iterator[Plot]:
    """Yield a plot, if there is anything to draw."""
    lines = [Series(name, points) for name, points in series.items() if points]
    if lines:
        yield Plot(title=title, unit=unit, series=lines, log=log, mark=mark)


def _series(values: Iterable[tuple[str, Step, Any]]) -> dict[str, list[Point]]:
    """Return the finite values by name, each with the number of its step."""
    series: dict[str, list[Point]] = {}
    for name, step, value in values:
        points = series.setdefault(name, [])
        if isinstance(value, (int, float)) and math.isfinite(value):
            points.append((step.step, value))
    return series


def _equal_gates(records: Iterable[Json]) -> Mark | None:
    """Return the entropy of equal gates, that of a router that does not choose."""
    experts = len(next((record["load"] for record in records if record.get("load")), ()))
    return Mark(f"equal gates, ln {experts}", math.log(experts)) if experts else None


def _records(step: Step, key: str) -> list[Json]:
    """Return the records of a callback in a line; a plugin may have written something else there."""
    value = plain(getattr(step, key, step.others.get(key)))
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
