"""What is wrong with answers beside single words, and what is said where nothing is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from steermoe_core.report.runs import Run


def answers(found: Sequence[Run]) -> dict[str, Any]:
    """Return the pathologies, the lengths and the probes of each split that was searched for them."""
    rows = list(_rows(found))
    return {
        "splits": rows,
        "missing": None if rows else "The scores hold no search for loops, refusals and the like.",
        "commands": [run.command("evaluate", again=["--again", "--json"]) for run in found if run.card],
    }


def _rows(found: Sequence[Run]) -> Iterator[dict[str, Any]]:
    for run in found:
        for split in run.splits:
            pathologies = split.scores.get("pathologies") or {}
            probes, ratio = split.scores.get("probes") or [], split.scores.get("length_ratio")
            if "pathologies" in split.scores or probes or ratio:
                yield {
                    "run": run.name,
                    "split": split.name,
                    "clips": split.scores["examples"],
                    "pathologies": [{"name": name, **facts} for name, facts in pathologies.items()],
                    "length_ratio": ratio,
                    "probes": probes,
                }
