"""routing.json as tables for a terminal of 80 columns: the fuller an expert, the darker its cell."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.style import Style
from rich.table import Table
from rich.text import Text

from steermoe_core.model.knockouts import ALL_LAYERS, EXPERT, LAYER, MEAN_GATES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

    from steermoe_core.evaluate.scores import LayerStatistics
    from steermoe_core.run.folder.records import Information, KnockoutScore, LabelValue, Routing

#: Experts beside one another in a table; more of them go into further tables.
_BESIDE = 8
#: Cells darker than this, from 0 to 1, have white letters.
_DARK = 0.55
#: Letters of a label's value.
_VALUE = 18


def tables(found: Routing, by: Sequence[str]) -> Iterator[RenderableType]:
    """Yield the layers, what the labels tell, the labels that were asked for, and the knockouts."""
    yield from _layers(found)
    if found.information:
        yield _information(found.information)
    for label in by:
        yield from _by(label, found.by[label])
    if found.knockouts:
        yield from _knockouts(found)


def _layers(found: Routing) -> Iterator[RenderableType]:
    layers = found.layers
    for start in range(0, len(layers[0].load), _BESIDE):
        table, experts = _table(), _experts(layers, start)
        for name in ("layer", *experts, *(() if start else ("nats", "in use", "dead", "shift", "scale"))):
            table.add_column(name, justify="right", no_wrap=True)
        for layer in layers:
            figures = [
                f"{layer.entropy:.2f}",
                f"{layer.effective:.1f}",
                str(layer.dead),
                f"{layer.relative_norm:.3f}",
                f"{layer.scale:.3f}",
            ]
            table.add_row(str(layer.layer), *_shares(layer, start), *([] if start else figures))
        yield _titled(f"{found.split}, {found.clips} clips: share of each expert (%)", table)


def _information(information: dict[str, list[Information]]) -> RenderableType:
    """Return for each label the layer in which it tells most of the expert."""
    table = _table()
    for name in ("label", "layer", "tells", "95 % of chance", "layers above chance"):
        table.add_column(name, justify="left" if name == "label" else "right", no_wrap=True)
    for label, layers in information.items():
        most = max(layers, key=lambda one: one.nats - one.chance)
        above = sum(one.nats > one.chance for one in layers)
        figures = f"{most.nats:.4f}", f"{most.chance:.4f}"
        table.add_row(label[:_VALUE], str(most.layer), *figures, f"{above} of {len(layers)}")
    return _titled("what a label tells of the expert, in nats", table)


def _by(label: str, values: dict[str, LabelValue]) -> Iterator[RenderableType]:
    first = next(iter(values.values())).layers
    for start in range(0, len(first[0].load), _BESIDE):
        table = _table()
        table.add_column("layer", justify="right")
        table.add_column(label[:_VALUE], no_wrap=True)
        for name in ("clips", *_experts(first, start), "nats"):
            table.add_column(name, justify="right", no_wrap=True)
        for row, layer in enumerate(first):
            for number, (value, one) in enumerate(values.items()):
                shown = one.layers[row]
                table.add_row(
                    "" if number else str(layer.layer),
                    value[:_VALUE],
                    str(one.clips),
                    *_shares(shown, start),
                    f"{shown.entropy:.2f}",
                    end_section=number == len(values) - 1,
                )
        yield _titled(f"by {label}: share of each expert (%)", table)


def _knockouts(found: Routing) -> Iterator[RenderableType]:
    rows = found.knockouts
    by_place = {(row.what, row.layer, row.expert): row for row in rows}
    layers = [record.layer for record in found.layers]
    experts = len(found.layers[0].load)
    for start in range(0, experts, _BESIDE):
        numbers = range(start, min(start + _BESIDE, experts))
        table = _table()
        for name in ("layer", *(f"-e{number}" for number in numbers), *(() if start else ("-layer",))):
            table.add_column(name, justify="right", no_wrap=True)
        for layer in layers:
            places: list[Any] = [(EXPERT, layer, number) for number in numbers]
            places += [] if start else [(LAYER, layer, None)]
            table.add_row(str(layer), *(_change(by_place.get(place)) for place in places))
        yield _titled(f"{rows[0].metric}: what changes without an expert, or without a whole layer", table)
    yield Text("\n".join(_sentences(found, by_place)))


def _sentences(found: Routing, by_place: dict[Any, KnockoutScore]) -> Iterator[str]:
    rows, base = found.knockouts, found.baseline
    if base:
        yield f"{base.metric} without a knockout: {base.value:.3f} on {base.clips} clips"
    for what, name in ((ALL_LAYERS, "unsteered"), (MEAN_GATES, "with mean gates")):
        if row := by_place.get((what, None, None)):
            yield f"{name}: {row.value:.3f} ({row.difference:+.3f}{_interval(row)}), {row.verdict}"
    sure = sum(row.distinguishable for row in rows)
    chance = f"about {0.05 * len(rows):.0f} would by chance"
    yield f"*: its 95 % interval excludes 0: {sure} of {len(rows)} knockouts; {chance}"


def _interval(row: KnockoutScore) -> str:
    found = row.interval
    return "" if found is None else f", {found.low:+.3f} to {found.high:+.3f}"


def _change(row: KnockoutScore | None) -> Text:
    if row is None:
        return Text("–", "dim")
    style = {"better": "green", "worse": "red"}.get(row.verdict, "dim")
    figure = re.sub(r"(?<=[+-])0(?=\.)", "", f"{row.difference:+.3f}")  # no room for +0.123
    return Text(figure + ("*" if row.distinguishable else " "), style)


def _shares(layer: LayerStatistics, start: int) -> list[Text]:
    """Return cells of a heat map: the share in per cent, on grey that is as dark as the share is large."""
    shares = layer.load[start : start + _BESIDE]
    top = max(*layer.load, 1e-9)
    return [Text(f"{100 * share:3.0f}", _shade(share / top)) for share in shares]


def _shade(level: float) -> Style:
    """Return the style of a cell, from light (0) to dark (1)."""
    grey = round(235 - 150 * level)
    text = "white" if level > _DARK else "black"
    return Style(color=text, bgcolor=f"rgb({grey},{grey},{min(grey + 20, 255)})")


def _experts(layers: Sequence[LayerStatistics], start: int) -> list[str]:
    count = len(layers[0].load)
    return [f"e{number}" for number in range(start, min(start + _BESIDE, count))]


def _table() -> Table:
    return Table(box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))


def _titled(title: str, table: Table) -> Group:
    """Put a title above a table that may be narrower."""
    return Group(Text(title, "italic"), table)
