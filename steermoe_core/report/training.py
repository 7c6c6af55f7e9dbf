"""What metrics.jsonl tells: figures over steps."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from steermoe_core.report.runs import Run

    Line = dict[str, Any]

#: Figures of the routers: key of a layer's record, title, unit.
_STEERING = (
    ("entropy", "Gate entropy", "nats, mean over frames"),
    ("effective", "Experts in use", "effective number"),
    ("relative_norm", "Size of the shift", "shift / frame"),
)


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
    yield from _figure("Learning rate", "by group of parameters", _groups(run, "learning_rate"))
    yield from _figure("Gradient norm", "by group, before clipping", _groups(run, "gradient_norm"), log=True)
    for key, title, unit in _STEERING:
        lines = {f"layer {layer}": points for layer, points in _layers(run.journal, key)}
        mark = _uniform(run.journal) if key == "entropy" else None
        yield from _figure(title, unit, lines, log=key == "relative_norm", mark=mark)
    lora = _adapted(run.journal)
    yield from _figure("Size of the low-rank change", "norm, beside that of the matrix", lora, log=True)
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


def _layers(journal: Iterable[Line], key: str) -> Iterator[tuple[Any, list[list[float]]]]:
    """Yield each steered layer with its points."""
    found: dict[Any, list[Line]] = {}
    for line in journal:
        for layer in line.get("steering") or ():
            found.setdefault(layer["layer"], []).append({**layer, "step": line["step"]})
    for layer, lines in found.items():
        yield layer, _points(lines, lambda line: line.get(key))


def _uniform(journal: Iterable[Line]) -> dict[str, Any] | None:
    """Return the entropy of gates that are all equal: what a router that chooses nothing has."""
    sizes = (len(layer.get("load", ())) for line in journal for layer in line.get("steering") or ())
    experts = next(sizes, 0)
    if not experts:
        return None
    return {"name": f"equal gates, ln {experts}", "value": math.log(experts)}


def _adapted(journal: Iterable[Line]) -> dict[str, list[list[float]]]:
    """Return the points of each low-rank map."""
    found: dict[str, list[list[float]]] = {}
    for line in journal:
        for one in line.get("lora") or ():
            name = f"layer {one['layer']} {one['map']}"
            found.setdefault(name, []).append([line["step"], one["relative"]])
    return found
