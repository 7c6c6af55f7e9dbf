"""Curves of the cost of a training step, computed from traces of a full-size experiment.

``python -m docs.generate.curves > docs/reference/curves.md`` renews the page. It takes some minutes.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from steermoe_core.config.resolve import resolve
from steermoe_core.plugins import load_registry
from steermoe_core.run.console import Console
from steermoe_core.run.cost.gpus import gpu_called
from steermoe_core.run.preview.costs import Machines, rooflines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from steermoe_core.run.cost.roofline import Roofline

FILE = Path("experiments/paper/whisper_layer_wise_librispeech.toml")
GPU = "h100"
LAYERS = 32
_BAR = 30
_INTRODUCTION = f"""\
# Curves of the cost of a step

This page is generated: `python -m docs.generate.curves > docs/reference/curves.md`. Every point is computed
by `steermoe bench {FILE} --roofline {GPU} --lengths librispeech --steps 1`
with the setting of its row; none is measured on a GPU. Each point, except those of ranks, is one batch of
median length. [Performance](performance.md) explains the figures, and has the
[cost against rows](performance.md#cost-against-rows).
"""


def rooflined(*sets: str, ranks: Sequence[int] = (1,), batches: int = 1) -> list[Roofline]:
    """Return the step of the experiment with some settings, for each number of ranks."""
    registry = load_registry()
    machines = Machines(
        gpus=[gpu_called(GPU)],
        console=Console(quiet=True),
        ranks=ranks,
        lengths="librispeech",
        batches=batches,
    )
    return rooflines(resolve(FILE, sets, registry), registry, machines)


def reference() -> str:
    """Return the page."""
    clips = {n: rooflined(f"train.batch_seconds={30 * n}")[0] for n in (1, 2, 4, 8, 16)}  # of 30 s each
    layers = {0: rooflined('adapter={use="none"}', "callbacks=[]")[0]}
    for number in (1, 8, 16, LAYERS):
        chosen = list(range(LAYERS - number, LAYERS))
        layers[number] = rooflined(f"adapter.layers={chosen}")[0]
    experts = {n: rooflined(f"adapter.experts={n}")[0] for n in (2, 8, 32, 128)}
    ranks = rooflined(ranks=(1, 2, 4, 8, 16, 32), batches=3)
    return (
        "\n\n".join(
            (
                _INTRODUCTION.strip(),
                "## Clips in a batch",
                _table("clips", clips, per_clip=True),
                "## Steered layers, from the last one down",
                _table("layers", layers),
                "## Experts",
                _table("experts", experts),
                "## Ranks",
                "Waiting is the share of time in which ranks wait for the one with the longest clips.",
                _ranks(ranks),
            )
        )
        + "\n"
    )


def _table(name: str, points: dict[int, Roofline], *, per_clip: bool = False) -> str:
    """Return a row for each point, with a bar for its time."""
    times = {point: one.step / (one.clips if per_clip else 1) for point, one in points.items()}
    head = [name, "step (ms)", "matrix", "memory-bound", "kernels", "memory (GiB)"]
    head += ["ms a clip" if per_clip else "", *([""] if per_clip else [])]

    def rows() -> Iterator[list[str]]:
        for point, one in points.items():
            cells = [str(point), *(f"{1000 * value:.1f}" for value in (one.step, one.matrix, one.memory))]
            cells += [f"{one.kernels:,.0f}", f"{one.peak_bytes / 2**30:.1f}"]
            cells += [f"{1000 * times[point]:.1f}"] if per_clip else []
            yield [*cells, _bar(times[point], max(times.values()))]

    return _markdown(head, list(rows()))


def _ranks(points: Sequence[Roofline]) -> str:
    most = max(one.waiting for one in points)
    rows = [
        [
            str(one.ranks),
            f"{1000 * one.step / (1 - one.waiting):.1f}",
            f"{one.utterances_per_second:,.0f}",
            f"{one.waiting:.1%}",
            _bar(one.waiting, most),
        ]
        for one in points
    ]
    return _markdown(["ranks", "step with waiting (ms)", "utterances/s", "waiting", ""], rows)


def _bar(value: float, most: float) -> str:
    return "█" * round(_BAR * value / most) if most else ""


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rules = ["---:"] * (len(head) - 1) + ["---"]
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, rules, *rows))


if __name__ == "__main__":
    sys.stdout.write(reference())
