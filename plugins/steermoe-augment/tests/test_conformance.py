"""What every augmentation of steermoe promises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import soundfile

from steermoe_core.testing import AugmentationSuite

if TYPE_CHECKING:
    from pathlib import Path


class TestSpecAugment(AugmentationSuite):
    """Masks in some of the clips."""

    component = "spec-augment"
    settings: ClassVar = {"probability": 0.8}


class TestSpeed(AugmentationSuite):
    """Much slower or much faster."""

    component = "speed"
    settings: ClassVar = {"min_speed": 0.5, "max_speed": 2.0}


class TestFasterOnly(AugmentationSuite):
    """A clip of a few samples still has one."""

    component = "speed"
    settings: ClassVar = {"min_speed": 4.0, "max_speed": 4.0}

    def waveforms(self) -> list[Any]:
        """Return one sample, too."""
        return [*super().waveforms(), np.ones(1, np.float32)]


class TestGain(AugmentationSuite):
    """Louder or quieter."""

    component = "gain"


class TestNoise(AugmentationSuite):
    """Noise that is longer than some of the clips."""

    component = "noise"

    def settings(self, folder: Path) -> dict[str, Any]:
        """Write a file of noise and one of silence."""
        soundfile.write(folder / "noise.wav", np.random.default_rng(0).normal(size=8000) * 0.1, 16_000)
        soundfile.write(folder / "silence.wav", np.zeros(8000), 16_000)
        return {"path": str(folder)}


class TestReverb(AugmentationSuite):
    """A short response."""

    component = "reverb"

    def settings(self, folder: Path) -> dict[str, Any]:
        """Write an impulse response."""
        decay = np.random.default_rng(0).normal(size=800) * np.exp(-np.arange(800) / 200)
        soundfile.write(folder / "room.wav", decay, 16_000, subtype="FLOAT")
        return {"path": str(folder / "room.wav")}
