"""Augmentations that are wrong in one way each."""

from __future__ import annotations

import numpy as np
import torch

from steermoe_core.data.augmentation import Augmentation


class Right(Augmentation):
    """Changes the volume of waveforms and shifts features."""

    caught_by = None

    def __init__(self, config):
        pass

    def waveform(self, waveform, rate, random):
        return waveform * np.float32(random.uniform(0.5, 1.5))

    def features(self, features, random):
        return features + np.float32(random.normal())


class Longer(Right):
    """Repeats the first half."""

    caught_by = None
    stretch = 1.5

    def waveform(self, waveform, rate, random):
        return np.concatenate([waveform[: int(random.uniform(0, 0.5) * len(waveform))], waveform])


class NoAugmentation:
    """Is something else."""

    caught_by = "builds"

    def __init__(self, config):
        pass


class Idle(Augmentation):
    """Overrides nothing."""

    caught_by = "declares"

    def __init__(self, config):
        pass


class Shorter(Right):
    """Says that clips only ever become shorter."""

    caught_by = "declares"
    stretch = 0.5


class Double(Right):
    """Computes in float64 and leaves it so."""

    caught_by = "waveform"

    def waveform(self, waveform, rate, random):
        return waveform * np.float64(random.uniform(0.5, 1.5))


class TooLong(Right):
    """Appends what its `stretch` does not say."""

    caught_by = "waveform"

    def waveform(self, waveform, rate, random):
        return np.concatenate([waveform, waveform[: len(waveform) // 10]])


class Empty(Right):
    """Removes all of a short clip."""

    caught_by = "waveform"

    def waveform(self, waveform, rate, random):
        return waveform[500:]


class SilenceIsNotANumber(Right):
    """Normalises a clip of zeros."""

    caught_by = "waveform"

    def waveform(self, waveform, rate, random):
        with np.errstate(invalid="ignore"):
            return waveform / np.abs(waveform).max() * np.float32(random.uniform(0.5, 1.0))


class Frames(Right):
    """Removes frames."""

    caught_by = "features"

    def features(self, features, random):
        return features[random.integers(len(features)) :]


class OneFrame(Right):
    """Normalises by the deviation over time, which a single frame does not have."""

    caught_by = "features"

    def features(self, features, random):
        with np.errstate(invalid="ignore", divide="ignore"):
            return (features - features.mean(0)) / features.std(0)


class InPlace(Right):
    """Writes into the array that it is given."""

    caught_by = "inputs"

    def features(self, features, random):
        features[:, random.integers(features.shape[1])] = 0.0
        return features


class Remembers(Right):
    """Mixes a clip with the one before it."""

    caught_by = "determinism"
    last = np.float32(0.0)

    def waveform(self, waveform, rate, random):
        before, self.last = self.last, waveform.mean()
        return waveform + before


class OwnNumbers(Right):
    """Has a generator of its own."""

    caught_by = "determinism"

    def waveform(self, waveform, rate, random):
        return waveform * np.float32(np.random.default_rng().uniform(0.5, 1.5))


class Draws(Right):
    """Draws random numbers that belong to training."""

    caught_by = "chance"

    def waveform(self, waveform, rate, random):
        torch.randn(3)
        return super().waveform(waveform, rate, random)


class Never(Right):
    """Copies every clip."""

    caught_by = "changes"

    def waveform(self, waveform, rate, random):
        return waveform.copy()

    def features(self, features, random):
        return features.copy()


class Bound(Right):
    """Holds what cannot be sent to another process."""

    caught_by = "copies"

    def __init__(self, config):
        self.volume = lambda random: np.float32(random.uniform(0.5, 1.5))

    def waveform(self, waveform, rate, random):
        return waveform * self.volume(random)
