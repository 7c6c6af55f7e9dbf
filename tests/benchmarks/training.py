"""The engine's training step against a loop by hand, and against the padded baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.benchmarks.bare_loop import BareLoop
from tests.benchmarks.figure import Figure, fastest, timed
from tests.benchmarks.lab import Lab
from tests.benchmarks.padded_baseline import PaddedBaseline

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The engine's step may take so many times a hand-written step.
OVERHEAD = 1.25
#: The engine's step is at least so many times faster than the padded one.
SPEED_UP = 4.0
#: Losses of the engine and of the loop by hand differ by no more than this share: the same mathematics.
SAME = 1e-4
#: Steps that are compared: AdamW divides by a gradient's own size, so rounding grows from step to step.
COMPARED = 2

VARIANTS = {
    "steering + linear": [],
    "linear alone, ridge start": ["adapter.use=none", "projector.start=ridge", "callbacks=[]"],
    "steering + soft-ctc, CTC phase": ["projector.use=soft-ctc", "projector.start_steps=1000"],
    "steering + soft-ctc, joint phase": ["projector.use=soft-ctc", "projector.start=random"],
}
CLIPS = {
    "clips of 1 to 2.5 s": ["data.min_seconds=1.0", "data.max_seconds=2.5"],
    "clips of 5 to 12 s, as 30 s": [
        "data.min_seconds=5.0",
        "data.max_seconds=12.0",
        "encoder.input=30s",
    ],
    "clips of 5 to 12 s": ["data.min_seconds=5.0", "data.max_seconds=12.0"],
}


def overheads(*, quick: bool) -> Iterator[Figure]:
    """Yield the engine's step as a multiple of the hand-written one, for each variant."""
    for name, overrides in VARIANTS.items():
        lab = Lab(f"train.steps={3 if quick else 8}", f"train.batch_size={4 if quick else 8}", *overrides)
        yield _overhead(name, lab, repeats=3)


def speed_ups(*, quick: bool) -> Iterator[Figure]:
    """Yield how many times faster than the padded baseline the engine trains on the same clips."""
    for name, overrides in list(CLIPS.items())[-1 if quick else 0 :]:
        lab = Lab("train.steps=1", f"train.batch_size={2 if quick else 4}", *overrides)
        yield _speed_up(name, lab, repeats=1 if quick else 2)


def _overhead(name: str, lab: Lab, repeats: int) -> Figure:
    batches, bare = lab.batches(), BareLoop(lab)
    assert lab.train()[1][:COMPARED] == pytest.approx(bare.train(batches)[1][:COMPARED], rel=SAME)
    seconds = fastest(repeats, engine=lambda: lab.train()[0], bare=lambda: bare.train(batches)[0])
    engine, by_hand, loading = (
        f"{1000 * one / len(batches):.0f} ms"
        for one in (seconds["engine"], seconds["bare"], timed(lab.batches)[1])
    )
    return Figure(
        name=f"step / loop by hand, {name}",
        value=seconds["engine"] / seconds["bare"],
        bound=OVERHEAD,
        detail=f"{engine} and {by_hand} a step; loading is {loading} of the engine's",
    )


def _speed_up(name: str, lab: Lab, repeats: int) -> Figure:
    batches, baseline = lab.batches(), PaddedBaseline(lab)
    lab.train()  # the first step of a process pays for what is made once
    seconds = fastest(repeats, engine=lambda: lab.train()[0], padded=lambda: baseline.train_on(batches))
    engine, padded = seconds["engine"], seconds["padded"]
    return Figure(
        name=f"speed-up over padding, {name}",
        value=padded / engine,
        bound=SPEED_UP,
        at_least=True,
        detail=f"{engine:.2f} s and {padded:.2f} s a step of {len(batches[0])} clips",
    )
