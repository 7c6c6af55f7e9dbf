"""Changes of the waveform: noise, reverberation, speed, gain."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from steermoe_augment.files import SoundFiles
from steermoe_core import Augmentation, DataError, read_audio, resample

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from steermoe_augment.config import GainConfig, NoiseConfig, ReverbConfig, SpeedConfig

    Waveform = NDArray[np.float32]


class Sometimes(Augmentation):
    """Changes a clip with the probability of its settings."""

    def __init__(self, config: Any) -> None:
        self.config = config

    def waveform(self, waveform: Waveform, rate: int, random: np.random.Generator) -> Waveform:
        if random.random() >= self.config.probability:
            return waveform
        return self.change(waveform, rate, random)

    @abstractmethod
    def change(self, waveform: Waveform, rate: int, random: np.random.Generator) -> Waveform:
        """Return a changed waveform."""


class Noise(Sometimes):
    """Adds a random span of a random file."""

    config: NoiseConfig

    def __init__(self, config: NoiseConfig) -> None:
        super().__init__(config)
        self.sounds = SoundFiles(config.path)

    def change(self, waveform: Waveform, rate: int, random: np.random.Generator) -> Waveform:
        noise = self._span(len(waveform), rate, random)
        snr = random.uniform(self.config.min_snr, self.config.max_snr)
        ours, its = _power(waveform), _power(noise)
        if not ours or not its:
            return waveform
        return waveform + noise * np.float32(np.sqrt(ours / its / 10 ** (snr / 10)))

    def _span(self, samples: int, rate: int, random: np.random.Generator) -> Waveform:
        """Return so many samples of a random file from a random place on, repeated where it ends."""
        file, whole = self.sounds.draw(random)
        place, wanted = random.random(), samples / rate
        if whole > wanted:
            span = read_audio(file, rate, start=place * (whole - wanted), seconds=wanted)
        else:
            span = read_audio(file, rate)
            span = np.roll(span, int(place * len(span)))
        return np.resize(span, samples)


class Reverb(Sometimes):
    """Convolves the clip with a random impulse response."""

    config: ReverbConfig

    def __init__(self, config: ReverbConfig) -> None:
        super().__init__(config)
        self.sounds = SoundFiles(config.path)

    def change(self, waveform: Waveform, rate: int, random: np.random.Generator) -> Waveform:
        file, _ = self.sounds.draw(random)
        response = read_audio(file, rate)
        if not response.any():
            msg = f"{file}: the impulse response is silent; replace or remove it"
            raise DataError(msg)
        direct = int(np.abs(response).argmax())
        wet = _convolved(waveform, response)[direct : direct + len(waveform)]
        ours, its = _power(waveform), _power(wet)
        return (wet * np.sqrt(ours / its)).astype(np.float32) if ours and its else waveform


class Speed(Sometimes):
    """Resamples the clip."""

    config: SpeedConfig

    def __init__(self, config: SpeedConfig) -> None:
        super().__init__(config)
        self.stretch = max(1.0 / config.min_speed, 1.0)

    def change(self, waveform: Waveform, rate: int, random: np.random.Generator) -> Waveform:
        speed = random.uniform(self.config.min_speed, self.config.max_speed)
        changed = resample(waveform, rate, int(rate / speed))
        return changed if len(changed) else waveform


class Gain(Sometimes):
    """Multiplies the clip with a random factor."""

    config: GainConfig

    def change(self, waveform: Waveform, rate: int, random: np.random.Generator) -> Waveform:  # noqa: ARG002
        decibels = random.uniform(self.config.min_db, self.config.max_db)
        return waveform * np.float32(10 ** (decibels / 20))


def _power(waveform: NDArray[Any]) -> float:
    """Return the mean of the squared samples."""
    return float(np.square(waveform, dtype=np.float64).mean())


def _convolved(one: Waveform, other: Waveform) -> NDArray[np.float64]:
    """Return the whole convolution of two waveforms."""
    size = len(one) + len(other) - 1
    spectrum = np.fft.rfft(one.astype(np.float64), size) * np.fft.rfft(other.astype(np.float64), size)
    return np.fft.irfft(spectrum, size)
