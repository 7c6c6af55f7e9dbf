"""The American voice of hibari that its package carries."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING

from steermoe_pocket.synthetic import varied, voice

if TYPE_CHECKING:
    import random

    import numpy as np
    from numpy.typing import NDArray

_SPEEDS = (0.75, 1.3)
_PITCH = 3.0


def version() -> str:
    """Return what names the voice."""
    return metadata.version("hibari-tts")


def speak(_name: str, text: str, chance: random.Random) -> NDArray[np.float32]:
    """Return the waveform (samples,) of a sentence."""
    heart = voice()
    spoken = heart(text, speed=chance.uniform(*_SPEEDS), seed=chance.getrandbits(32))
    return varied(spoken, heart.sample_rate, _PITCH, chance)
