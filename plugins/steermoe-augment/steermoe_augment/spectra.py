"""SpecAugment (Park et al., 2019) without time warping."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from steermoe_core import Augmentation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from steermoe_augment.config import SpecAugmentConfig


class SpecAugment(Augmentation):
    """Masks bands of bins, then spans of frames."""

    def __init__(self, config: SpecAugmentConfig) -> None:
        self.config = config

    def features(self, features: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
        config = self.config
        if random.random() >= config.probability:
            return features
        frames, bins = features.shape
        masked, mean = features.copy(), np.float32(features.mean(dtype=np.float64))
        for band in _masks(random, config.frequency_masks, bins, config.frequency_width):
            masked[:, band] = mean
        longest = min(config.time_width, int(config.time_share * frames))
        for span in _masks(random, config.time_masks, frames, longest):
            masked[span] = mean
        return masked


def _masks(random: np.random.Generator, count: int, size: int, widest: int) -> Iterator[slice]:
    """Yield spans of random width, 0 included, at random places."""
    for _ in range(count):
        width = int(random.integers(min(widest, size) + 1))
        start = int(random.integers(size - width + 1))
        yield slice(start, start + width)
