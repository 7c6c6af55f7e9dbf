"""What the routers do over real clips: by layer, by label, and what goes wrong without a part of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from steermoe_core.system.records import plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from steermoe_core.evaluate.scores import LayerStatistics
    from steermoe_core.report.runs import Run, Split


def routing(found: Sequence[Run]) -> dict[str, Any]:
    """Return the use of experts in each split of each run that has any."""
    maps = [one for run in found for split in run.splits for one in _maps(run, split)]
    return {
        "maps": maps,
        "missing": None if maps else "No run has routers with scores: nothing is steered, or not scored yet.",
        "commands": list(_commands(found)),
    }


def _maps(run: Run, split: Split) -> Iterator[dict[str, Any]]:
    routing, scores = split.routing, split.scores
    found = routing.layers if routing and routing.layers else scores.steering
    layers = [layer for layer in found if _drawn(layer)]
    if layers:
        yield {
            "run": run.name,
            "split": split.name,
            "experts": max(len(layer.load) for layer in layers),
            "clips": routing.clips if routing else scores.examples,
            "layers": plain(layers),
            "by": [
                {
                    "label": label,
                    "values": [{"value": value, **plain(one)} for value, one in groups.items()],
                }
                for label, groups in (routing.by if routing else {}).items()
            ],
            "knockouts": plain(routing.knockouts) if routing else [],
        }


def _drawn(layer: LayerStatistics) -> bool:
    """Return whether a layer has the figures of a map; a plugin's adapter may have other statistics."""
    return bool(layer.load) and None not in (layer.entropy, layer.effective, layer.dead)


def _commands(found: Sequence[Run]) -> Iterator[str]:
    for run in found:
        for split in run.splits:
            if split.scores.steering:
                yield run.command("evaluate", again=["--split", split.name, "--again", "--json"])
            if split.routing:
                knockout = ["--knockout"] if split.routing.knockouts else []
                yield run.command("routing", again=["--split", split.name, *knockout])
