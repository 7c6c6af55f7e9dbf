"""The tables of routing.json for a terminal of 80 columns; larger shares have darker cells."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from steermoe_core.cli.shared.table import Cell, Column, Table, figures, tags
from steermoe_core.model.knockouts import ALL_LAYERS, EXPERT, LAYER, MEAN_GATES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from steermoe_core.evaluate.scores import LayerStatistics
    from steermoe_core.run.folder.records import Information, KnockoutScore, LabelValue, Routing

#: Experts in a table; further experts are in further tables.
_EXPERTS = 8
#: Cells darker than this, from 0 to 1, have white text.
_DARK = 0.55
#: Characters of a label and of its values.
_LABEL = 18


def tables(found: Routing, by: Sequence[str]) -> Iterator[Table]:
    """Yield the layers, the information in the labels, the layers by each of `by`, and the knockouts."""
    yield from _layers(found)
    if found.information:
        yield _information(found.information)
    for label in by:
        yield from _by(label, found.by[label])
    if found.knockouts:
        yield from _knockouts(found)


def sentences(found: Routing) -> Iterator[str]:
    """Yield what the knockouts of the whole model changed."""
    rows, base = found.knockouts, found.baseline
    if base is None:
        return
    yield f"{base.metric} without a knockout: {base.value:.3f} on {base.clips} clips"
    for what, name in ((ALL_LAYERS, "unsteered"), (MEAN_GATES, "with mean gates")):
        for row in (row for row in rows if row.what == what):
            yield f"{name}: {row.value:.3f} ({row.difference:+.3f}{_interval(row)}), {row.verdict}"
    sure = sum(row.distinguishable for row in rows)
    chance = f"about {0.05 * len(rows):.0f} would by chance"
    yield f"*: its 95 % interval excludes 0: {sure} of {len(rows)} knockouts; {chance}"


def _layers(found: Routing) -> Iterator[Table]:
    layers = found.layers
    for start in range(0, len(layers[0].load), _EXPERTS):
        further = () if start else ("nats", "in use", "dead", "shift", "scale")
        rows: list[Sequence[str | Cell]] = []
        for layer in layers:
            statistics = [
                f"{layer.entropy:.2f}",
                f"{layer.effective:.1f}",
                str(layer.dead),
                f"{layer.relative_norm:.3f}",
                f"{layer.scale:.3f}",
            ]
            rows.append([str(layer.layer), *_shares(layer, start), *statistics[: len(further)]])
        yield Table(
            title=f"{found.split}, {found.clips} clips: share of each expert (%)",
            columns=figures("layer", *_experts(layers, start), *further),
            rows=rows,
        )


def _information(information: dict[str, list[Information]]) -> Table:
    """Return for each label the layer whose experts have the most information about it."""
    rows = []
    for label, layers in information.items():
        most = max(layers, key=lambda one: one.nats - one.chance)
        above = sum(one.nats > one.chance for one in layers)
        numbers = f"{most.nats:.4f}", f"{most.chance:.4f}", f"{above} of {len(layers)}"
        rows.append([label[:_LABEL], str(most.layer), *numbers])
    return Table(
        title="what a label tells of the expert, in nats",
        columns=[*tags("label"), *figures("layer", "tells", "95 % of chance", "layers above chance")],
        rows=rows,
    )


def _by(label: str, values: dict[str, LabelValue]) -> Iterator[Table]:
    first = next(iter(values.values())).layers
    for start in range(0, len(first[0].load), _EXPERTS):
        rows: list[Sequence[str | Cell]] = []
        for number, layer in enumerate(first):
            rows += [[]] * bool(number)
            names = [str(layer.layer), *[""] * (len(values) - 1)]
            for name, (value, one) in zip(names, values.items(), strict=True):
                shown = one.layers[number]
                entropy = f"{shown.entropy:.2f}"
                rows.append([name, value[:_LABEL], str(one.clips), *_shares(shown, start), entropy])
        numbers = figures("clips", *_experts(first, start), "nats")
        yield Table(
            title=f"by {label}: share of each expert (%)",
            columns=[Column("layer", "right"), *tags(label[:_LABEL]), *numbers],
            rows=rows,
        )


def _knockouts(found: Routing) -> Iterator[Table]:
    by_place = {(row.what, row.layer, row.expert): row for row in found.knockouts}
    layers = [record.layer for record in found.layers]
    experts = len(found.layers[0].load)
    for start in range(0, experts, _EXPERTS):
        numbers = range(start, min(start + _EXPERTS, experts))
        rows: list[Sequence[str | Cell]] = []
        for layer in layers:
            places: list[Any] = [(EXPERT, layer, number) for number in numbers]
            places += [] if start else [(LAYER, layer, None)]
            rows.append([str(layer), *(_change(by_place.get(place)) for place in places)])
        metric = found.knockouts[0].metric
        yield Table(
            title=f"{metric}: what changes without an expert, or without a whole layer",
            columns=figures("layer", *(f"-e{number}" for number in numbers), *(() if start else ("-layer",))),
            rows=rows,
        )


def _interval(row: KnockoutScore) -> str:
    found = row.interval
    return "" if found is None else f", {found.low:+.3f} to {found.high:+.3f}"


def _change(row: KnockoutScore | None) -> Cell:
    if row is None:
        return Cell("–", "dim")
    sure = row.distinguishable
    style = {"better": "green", "worse": "red"}.get(row.verdict, "dim")
    figure = re.sub(r"(?<=[+-])0(?=\.)", "", f"{row.difference:+.3f}")  # no room for +0.123
    return Cell(figure + ("*" if sure else " "), style)


def _shares(layer: LayerStatistics, start: int) -> list[Cell]:
    """Return the cells of a heat map: shares in per cent, on a darker grey where they are larger."""
    shares = layer.load[start : start + _EXPERTS]
    top = max(*layer.load, 1e-9)
    return [Cell(f"{100 * share:3.0f}", _shade(share / top)) for share in shares]


def _shade(level: float) -> str:
    """Return the style of a cell, from light (0) to dark (1)."""
    grey = round(235 - 150 * level)
    text = "white" if level > _DARK else "black"
    return f"{text} on rgb({grey},{grey},{min(grey + 20, 255)})"


def _experts(layers: Sequence[LayerStatistics], start: int) -> list[str]:
    count = len(layers[0].load)
    return [f"e{number}" for number in range(start, min(start + _EXPERTS, count))]
