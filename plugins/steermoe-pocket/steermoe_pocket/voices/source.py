"""The source `voices`: varied sentences, read by as many voices as an experiment names."""

from __future__ import annotations

import random
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

import attrs

from steermoe_pocket import growing
from steermoe_pocket.config import VOICES
from steermoe_pocket.sentences import sentences
from steermoe_pocket.synthetic import written
from steermoe_pocket.text import part
from steermoe_pocket.voices import corpus

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import ModuleType

    import numpy as np
    from numpy.typing import NDArray

    from steermoe_pocket.clips import Clip

_VERSION = 1
#: Shares of telephone prompts, numbers and letters, of examples and cookies, and of definitions.
_MIX = (0.25, 0.6, 0.15)
#: Clips that are made together: some take a while.
_CHUNK = 20


def recordings(
    names: Sequence[str], split: str, hours: float, seed: int, processes: int | None = None
) -> list[Clip]:
    """Return that much speech of one part, divided equally among the voices, made now if the cache has less.

    :param names: of voices, such as "kokoro-af_heart", or of all of a synthesiser, such as "kokoro".
    :param split: "train", "dev", "test" or "all": whose texts are read.
    :param processes: that speak at once; by default two, where there are two cores.
    :raises SetupError: a package that carries a synthesiser or the texts is not available.
    """
    voices = [voice for voice in VOICES if voice in names or voice.partition("-")[0] in names]
    return [
        clip for voice in voices for clip in _recorded(voice, split, hours / len(voices), seed, processes)
    ]


def texts(seed: str, split: str) -> Iterator[str]:
    """Yield sentences of one part without end, with capitals and signs."""
    chance = random.Random(seed)  # noqa: S311  # no secret
    telephone = (written(sentence, chance) for sentence in sentences(chance.getrandbits(32)))
    streams = [telephone, corpus.texts(seed, "examples"), corpus.texts(seed, "definitions")]
    while True:
        text = next(*chance.choices(streams, _MIX))
        if split in ("all", part(text)):
            yield text


def speak(voice: str, seed: str, text: str, index: str) -> NDArray[np.float32]:
    """Return the waveform (samples,) of a sentence; the same for the same arguments."""
    chance = random.Random(f"{seed} {index}")  # noqa: S311  # no secret
    waveform: NDArray[np.float32] = _synthesiser(voice).speak(voice.partition("-")[2], text, chance)
    return waveform


def _recorded(voice: str, split: str, hours: float, seed: int, processes: int | None) -> list[Clip]:
    key = f"{seed} {split} {voice}"
    engine = f"{_VERSION} {voice} {_synthesiser(voice).version()}"
    place = growing.folder(f"voices-{seed}-{split}-{voice}", texts(key, split), engine)
    spoken = partial(speak, voice, key)
    found = growing.grow(place, texts(key, split), spoken, hours, processes, chunk=_CHUNK)
    return [attrs.evolve(clip, id=f"{voice}/{clip.id}", voice=voice) for clip in found]


def _synthesiser(voice: str) -> ModuleType:
    """Return the module with `speak` and `version` of the voice's synthesiser."""
    return import_module(f"{__package__}.{voice.partition('-')[0]}")
