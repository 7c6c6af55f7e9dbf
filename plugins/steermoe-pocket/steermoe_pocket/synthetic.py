"""Sentences spoken by hibari's American voice, at random speeds, pitches and volumes."""

from __future__ import annotations

import random
import re
from functools import cache, partial
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np
import soxr

from steermoe_pocket import clips, growing
from steermoe_pocket.sentences import sentences

if TYPE_CHECKING:
    from hibari import Hibari
    from numpy.typing import NDArray

_VERSION = 1
#: Relative to the voice's own pace.
_SPEEDS = (0.75, 1.3)
#: Semitones up or down, of pitch and formants together.
_PITCH = 3.0
#: Powers of ten of the amplitude.
_VOLUMES = (-0.5, 0.2)
#: Longest silence in front, in seconds.
_SILENCE = 0.15
_ENDS = (".", ".", ".", "", "!")


def recordings(hours: float, seed: int, processes: int | None = None) -> list[clips.Clip]:
    """Return that much synthetic speech, made now if the cache has less."""
    engine = f"{_VERSION} hibari-tts {version('hibari-tts')}"
    place = growing.folder(f"synthetic-{seed}", sentences(seed), engine)
    return growing.grow(place, sentences(seed), partial(speak, seed), hours, processes)


def speak(seed: int, text: str, index: str) -> NDArray[np.float32]:
    """Return the waveform (samples,) of a sentence; the same for the same arguments."""
    chance = random.Random(f"{seed} {index}")  # noqa: S311  # no secret
    heart = voice()
    spoken = heart(written(text, chance), speed=chance.uniform(*_SPEEDS), seed=chance.getrandbits(32))
    return varied(spoken, heart.sample_rate, _PITCH, chance)


def varied(
    spoken: NDArray[np.float32], rate: int, semitones: float, chance: random.Random
) -> NDArray[np.float32]:
    """Return a voice's waveform (samples,) at `clips.RATE`, at a random pitch and volume, after some silence.

    :param rate: of `spoken`, in hertz.
    :param semitones: that pitch and formants go up or down, at most.
    """
    pitch = 2 ** (chance.uniform(-semitones, semitones) / 12)
    volume = 10 ** chance.uniform(*_VOLUMES)
    waveform = volume * soxr.resample(spoken, rate * pitch, clips.RATE)
    silence = np.zeros(int(clips.RATE * chance.uniform(0, _SILENCE)))
    return np.concatenate([silence, waveform.clip(-1, 1)]).astype(np.float32)


def written(text: str, chance: random.Random) -> str:
    """Return the sentence as it is written for reading aloud: letters as capitals, pauses, an end."""
    words = text.split()
    following = [*words[1:], ""]
    shown = [_letter(word, after) for word, after in zip(words, following, strict=True)]
    pauses = chance.choice((0.0, 0.15))
    line = "".join(word + (", " if chance.random() < pauses else " ") for word in shown).strip(" ,")
    return line[:1].upper() + line[1:] + chance.choice(_ENDS)


def _letter(word: str, after: str) -> str:
    article = word == "a" and len(after) > 1
    return word.upper() if re.fullmatch("[a-z]", word) and not article else word


@cache
def voice() -> Hibari:
    """Return the voice `heart`, opened once a process."""
    from hibari import Hibari  # opens the model

    return Hibari(threads=1)
