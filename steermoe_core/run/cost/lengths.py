"""The clips that a step trains on: the experiment's own, or a published distribution of lengths."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Literal

import attrs
import numpy as np

from steermoe_core.data.batches import Epochs
from steermoe_core.train.epochs import budget_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from steermoe_core.config.experiment import TrainConfig

#: Lengths of training clips: the experiment's own, or a distribution of `DISTRIBUTIONS`.
Lengths = Literal["data", "librispeech"]
#: Lengths in seconds at shares of the clips. "librispeech": train-clean-360 with speeds 0.9, 1 and 1.1, as
#: the recipe of icefall prints them (egs/librispeech/ASR/local/display_manifest_statistics.py). Interpolated,
#: their mean is 12.6 s, that of the clips themselves.
DISTRIBUTIONS = {
    "librispeech": (
        (0.0, 0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 1.0),
        (1.0, 1.8, 2.2, 2.5, 4.2, 6.2, 11.2, 13.7, 15.3, 16.6, 17.3, 18.1, 18.4, 18.8, 33.0),
    )
}
#: Clips that stand for a distribution, and batches at most that stand for an epoch.
_CLIPS, _BATCHES = 8192, 4096


@attrs.frozen(kw_only=True)
class Clips:
    """The lengths of training clips.

    :param origin: where they come from, for people.
    """

    seconds: Sequence[float]
    origin: str

    @classmethod
    def like(cls, name: str, longest: float) -> Clips:
        """Return clips of a distribution, without those that are longer than `longest` seconds."""
        shares, lengths = DISTRIBUTIONS[name]
        found = np.interp((np.arange(_CLIPS) + 0.5) / _CLIPS, shares, lengths)
        return cls(seconds=found[found <= longest].tolist(), origin=f"like {name}")

    def batches(
        self, train: TrainConfig, seed: int, costs: Sequence[float] = (), ranks: int = 1
    ) -> list[list[float]]:
        """Return the clips' lengths in the batches of a first epoch, in their order.

        :param costs: of each clip, if there is a budget.
        :param ranks: that the batches of a step are dealt to.
        """
        epochs = Epochs(
            lengths=self.seconds if train.batch_tokens is None else costs,
            limit=budget_of(train),
            bucket=train.bucket,
            seed=seed,
            costs=costs,
            parts=train.accumulation * ranks if train.budget else 1,
        )
        size = len(self.seconds)
        return [[self.seconds[i % size] for i in one] for one in islice(epochs.batches(0), _BATCHES)]


def padded(batch: Sequence[float]) -> float:
    """Return the seconds that a batch is padded to."""
    return len(batch) * max(batch)


def spread(batches: Sequence[Sequence[float]], number: int) -> list[Sequence[float]]:
    """Return batches that stand for all: the middle ones of equal shares, by padded length."""
    ordered = sorted(batches, key=padded)
    number = min(number, len(ordered))
    return [ordered[round((i + 0.5) * len(ordered) / number - 0.5)] for i in range(number)]


def idle(costs: Sequence[float], ranks: int) -> float:
    """Return the share of time that ranks wait for the slowest of each step.

    :param costs: of the batches in their order, which ranks take in turn.
    """
    steps = [costs[i : i + ranks] for i in range(0, len(costs) - ranks + 1, ranks)]
    most = sum(max(step) * ranks for step in steps)
    return 1.0 - sum(map(sum, steps)) / most if most else 0.0
