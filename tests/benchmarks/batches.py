"""How much of a step is padding, and how long ranks wait for the slowest: simulated, on lengths alone.

The work of a batch is its seconds with padding; a rank waits while its batches of a step are less work than
those of the rank with the most. The lengths are drawn with the shape of LibriSpeech's 460 hours: 56 % around
15 seconds, the others below down to 1.5, the mean a little above 12.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from steermoe_core.data.batches import Epochs
from tests.benchmarks.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Seconds = NDArray[np.float64]

#: Largest share of padding, and of waiting.
PADDING, IDLE = 0.02, 0.03
RANKS, SEED = 8, 17
CLIPS = 132_553


def shares(*, quick: bool) -> Iterator[Figure]:
    """Yield the shares of padding and waiting, by a number of clips and by a budget of the same mean."""
    seconds = librispeech(CLIPS // 10 if quick else CLIPS)
    for clips, accumulation in ((4, 1), (4, 4), (16, 1)):
        parts, budget = RANKS * accumulation, clips * float(seconds.mean())
        ways = {
            f"{clips} clips, bucket 16": (Epochs(seconds, clips, 16, SEED), False),
            f"{clips} clips, bucket 1": (Epochs(seconds, clips, 1, SEED), False),
            f"{budget:.0f} s, bucket 128": (
                Epochs(seconds, budget, 128, SEED, costs=seconds, parts=parts), True,
            ),
        }  # fmt: skip
        for name, (epochs, bound) in ways.items():
            padding, idle, steps = wasted(epochs, seconds, accumulation)
            where = f"{name}, accumulation {accumulation}"
            detail = f"{steps:,} steps of {RANKS} ranks an epoch"
            yield Figure(
                name=f"padding, {where}", value=padding, bound=PADDING if bound else None, detail=detail
            )
            yield Figure(name=f"waiting, {where}", value=idle, bound=IDLE if bound else None, detail=detail)


def wasted(epochs: Epochs, seconds: Seconds, accumulation: int) -> tuple[float, float, int]:
    """Return the share of padding, that of waiting and the steps of an epoch."""
    batches, parts = epochs.batches(0), RANKS * accumulation
    real = padded = slowest = 0.0
    steps = 0
    while len(step := list(islice(batches, parts))) == parts:
        lengths = [seconds[np.asarray(batch) % len(seconds)] for batch in step]
        work = np.array([len(batch) * batch.max() for batch in lengths])
        real += sum(batch.sum() for batch in lengths)
        padded += work.sum()
        slowest += work.reshape(accumulation, RANKS).sum(0).max()  # a step's batches go to the ranks in turn
        steps += 1
    return 1 - real / padded, 1 - padded / RANKS / slowest, steps


def librispeech(clips: int) -> Seconds:
    """Return drawn durations."""
    draw = np.random.default_rng(0)
    long = draw.normal(14.9, 1.0, clips)
    short = draw.triangular(1.5, 12.0, 13.5, clips)
    found: Seconds = np.where(draw.random(clips) < 0.56, long, short).clip(1.4, 24.5).round(3)
    return found
