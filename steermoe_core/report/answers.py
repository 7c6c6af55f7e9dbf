"""Defects of whole answers: loops, refusals and the like, lengths, and answers to audio without speech."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from steermoe_core.system.records import plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from steermoe_core.report.runs import Run


def answers(found: Sequence[Run]) -> dict[str, Any]:
    """Return the pathologies, lengths and probes of each split that was checked for them."""
    rows = list(_rows(found))
    return {
        "splits": rows,
        "missing": None if rows else "No answer was checked for loops, refusals and the like.",
        "commands": [run.command("evaluate", again=["--again", "--json"]) for run in found if run.card],
    }


def _rows(found: Sequence[Run]) -> Iterator[dict[str, Any]]:
    for run in found:
        for split in run.splits:
            scores = split.scores
            if scores.pathologies or scores.probes or scores.length_ratio:
                yield {
                    "run": run.name,
                    "split": split.name,
                    "clips": scores.examples,
                    "pathologies": [{"name": name, **plain(one)} for name, one in scores.pathologies.items()],
                    "length_ratio": plain(scores.length_ratio),
                    "probes": plain(scores.probes),
                }
