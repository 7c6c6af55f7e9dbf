"""Sounds without speech, to see what a model makes up.

The same sounds for every model: 16 kHz, 1 and 5 seconds of each.

    silence       nothing but zeros
    white-noise   Gaussian, 20 dB below full scale
    faint-noise   Gaussian, 60 dB below full scale
    tone          a sine of 440 Hz, 20 dB below full scale
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import numpy as np

from steermoe_core.data.audio.stored import StoredAudio
from steermoe_core.data.example import Example

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATE = 16_000
SOUNDS = ("silence", "white-noise", "faint-noise", "tone")
#: Each sound and its seconds.
PROBES = [(sound, seconds) for sound in SOUNDS for seconds in (1.0, 5.0)]
#: Level of each sound (root mean square), full scale being 1.
_LEVELS = {"silence": 0.0, "white-noise": 0.1, "faint-noise": 0.001, "tone": 0.1}


@attrs.frozen
class Probe(StoredAudio):
    """A sound that is generated when it is read.

    :param sound: one of `SOUNDS`.
    :param length: seconds.
    """

    sound: str
    length: float

    @property
    def file(self) -> Path:
        return Path(str(self))  # no such file exists

    def samples(self) -> tuple[NDArray[np.float32], int]:
        count = round(self.length * RATE)
        if self.sound == "tone":
            wave = math.sqrt(2) * np.sin(2 * np.pi * 440 / RATE * np.arange(count))
        else:
            wave = np.random.default_rng([SOUNDS.index(self.sound), count]).standard_normal(count)
        return (_LEVELS[self.sound] * wave).astype(np.float32)[:, None], RATE

    def seconds(self) -> float:
        return self.length

    def __str__(self) -> str:
        """Return the sound and its length."""
        return f"probe {self.sound} of {self.length:g} s"


def probes(longest: float, prompt: str | None) -> dict[Probe, Example]:
    """Return the sounds, each as an example without a text.

    :param longest: longest clip that the encoder takes, in seconds.
    :param prompt: of each example; None where all clips have one prompt.
    """
    sounds = [Probe(sound, seconds) for sound, seconds in PROBES if seconds <= longest]
    return {
        sound: Example(id=str(sound), audio=sound, text="", seconds=sound.length, prompt=prompt)
        for sound in sounds
    }
