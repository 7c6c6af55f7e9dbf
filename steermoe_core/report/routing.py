"""What the routers do: by layer, by label, and what changes without a part of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from steermoe_core.report.section import Section

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from steermoe_core.evaluate.scores import LayerStatistics
    from steermoe_core.report.runs import Run, Split
    from steermoe_core.system.records import Json


def routing(runs: Sequence[Run]) -> Section:
    """Return the use of experts on each split of each run that has any."""
    maps = [one for run in runs for split in run.splits for one in _maps(run, split)]
    return Section(
        content={"maps": maps},
        missing=None if maps else "No run has routers with scores: nothing is steered, or not scored yet.",
        commands=list(_commands(runs)),
    )


def _maps(run: Run, split: Split) -> Iterator[Json]:
    observed, scores = split.routing, split.scores
    layers = observed.layers if observed and observed.layers else scores.steering
    if drawn := [layer for layer in layers if _complete(layer)]:
        yield {
            "run": run.name,
            "split": split.name,
            "experts": max(len(layer.load) for layer in drawn),
            "clips": observed.clips if observed else scores.examples,
            "layers": drawn,
            "by": [
                {
                    "label": label,
                    "values": [
                        {"value": value, **attrs.asdict(one, recurse=False)} for value, one in groups.items()
                    ],
                }
                for label, groups in (observed.by if observed else {}).items()
            ],
            "knockouts": observed.knockouts if observed else [],
        }


def _complete(layer: LayerStatistics) -> bool:
    """Return whether a layer has the figures of a map; a plugin's adapter may have other statistics."""
    return bool(layer.load) and None not in (layer.entropy, layer.effective, layer.dead)


def _commands(runs: Sequence[Run]) -> Iterator[str]:
    for run in runs:
        for split in run.splits:
            if split.scores.steering:
                yield run.command("evaluate", flags=["--split", split.name, "--again", "--json"])
            if split.routing:
                knockout = ["--knockout"] if split.routing.knockouts else []
                yield run.command("routing", flags=["--split", split.name, *knockout])
