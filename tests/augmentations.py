"""Augmentations for tests; the fake plugin of `tests.rig` offers them."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from steermoe_core.data.augmentation import Augmentation
from steermoe_core.errors import DataError


class Wobble(Augmentation):
    """Changes the volume of a waveform and shifts features.

    :cvar calls: clips whose waveform was changed in this process.
    """

    calls: ClassVar[list[int]] = []

    def __init__(self, config: Any = None) -> None:
        pass

    def waveform(self, waveform, rate, random):
        self.calls.append(len(waveform))
        return waveform * np.float32(random.uniform(0.5, 1.5))

    def features(self, features, random):
        return features + np.float32(random.normal())


class Slow(Augmentation):
    """Makes every clip half as long again, with silence."""

    stretch = 1.5

    def __init__(self, config: Any = None) -> None:
        pass

    def waveform(self, waveform, rate, random):
        return np.concatenate([waveform, np.zeros(len(waveform) // 2, np.float32)])


class Lost(Augmentation):
    """Misses a file."""

    def __init__(self, config: Any) -> None:
        msg = "noise.wav: there is no such file"
        raise DataError(msg)
