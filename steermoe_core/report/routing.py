"""What the routers do over real clips: by layer, by label, and what goes wrong without a part of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from steermoe_core.report.runs import Run, Split

#: What is shown of a layer; a plugin's adapter may have other statistics.
_KEYS = {"layer", "load", "entropy", "effective", "dead"}


def routing(found: Sequence[Run]) -> dict[str, Any]:
    """Return the use of experts in each split of each run that has any."""
    maps = [one for run in found for split in run.splits for one in _maps(run, split)]
    return {
        "maps": maps,
        "missing": None if maps else "No run has routers with scores: nothing is steered, or not scored yet.",
        "commands": list(_commands(found)),
    }


def _maps(run: Run, split: Split) -> Iterator[dict[str, Any]]:
    found = split.routing.get("layers") or split.scores.get("steering") or []
    layers = [layer for layer in found if layer.keys() >= _KEYS]
    if layers:
        yield {
            "run": run.name,
            "split": split.name,
            "experts": max(len(layer["load"]) for layer in layers),
            "clips": split.routing.get("clips", split.scores["examples"]),
            "layers": layers,
            "by": [
                {"label": label, "values": [{"value": value, **facts} for value, facts in groups.items()]}
                for label, groups in (split.routing.get("by") or {}).items()
            ],
            "knockouts": split.routing.get("knockouts") or [],
        }


def _commands(found: Sequence[Run]) -> Iterator[str]:
    for run in found:
        for split in run.splits:
            if split.scores.get("steering"):
                yield run.command("evaluate", again=["--split", split.name, "--again", "--json"])
            if split.routing:
                looked = ["--split", split.name, *(["--knockout"] if split.routing.get("knockouts") else [])]
                yield run.command("routing", again=looked)
