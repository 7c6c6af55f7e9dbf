"""What happens in a scene, and its waveform.

Every sound of a kind is a variant: a number that fixes pitch, timbre and pace. A variant belongs to one
split, so that no sound of the test was heard in training; what is spoken belongs to the split of its text.
"""

from __future__ import annotations

import random
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING

import attrs
import numpy as np

from steermoe_pocket.clips import RATE
from steermoe_pocket.scenes import sounds
from steermoe_pocket.sentences import sentences
from steermoe_pocket.synthetic import speak
from steermoe_pocket.text import part

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

#: What is heard, in the words of questions and answers; these can be counted, and these go up or down.
KINDS = ("beep", "knock", "chirp", "siren", "bell", "hum", "hiss", "voice")
COUNTED = ("beep", "knock", "chirp")
#: Variants of each kind, and the tenths of them that each split has.
_VARIANTS = 1000
_TENTHS = {"train": range(8), "val": range(8, 9), "test": range(9, 10)}
_PARTS = {"train": "train", "val": "dev", "test": "test"}
_SHORTEST = 2.0
#: Texts to choose what is spoken from, and how many words it has at most.
_TEXTS, _WORDS = 4000, 3


@attrs.frozen
class Event:
    """A sound in a scene.

    :param kind: one of `KINDS`.
    :param variant: fixes how exactly it sounds.
    :param count: how often it comes, for those that are counted.
    :param up: whether a siren rises.
    """

    kind: str
    variant: int
    count: int = 1
    up: bool = False


@attrs.frozen
class Scene:
    """Sounds one after another.

    :param name: of the clip.
    :param events: two or three, of different kinds, in order.
    :param seed: of pauses, loudness and background.
    """

    name: str
    events: Sequence[Event]
    seed: int

    def has(self, kind: str) -> bool:
        """Tell whether a kind is heard."""
        return any(event.kind == kind for event in self.events)


def draw(split: str, number: int, seed: int) -> Scene:
    """Return a scene of a split; the same arguments, the same scene."""
    chance = random.Random(f"{seed} {split} {number}")  # noqa: S311  # no secret
    kinds = chance.sample(KINDS, chance.choice((2, 2, 3)))
    events = [_event(kind, split, chance) for kind in kinds]
    return Scene(f"scene-{split}-{number:04d}", events, chance.getrandbits(32))


def waveform(scene: Scene, split: str, seed: int) -> NDArray[np.float32]:
    """Return the scene as it sounds (samples,), two to seven seconds."""
    chance = np.random.default_rng(scene.seed)
    pieces = [_silence(chance, 0.1, 0.4)]
    for event in scene.events:
        loudness = 10 ** chance.uniform(-0.8, -0.1)
        pieces += [loudness * _sound(event, split, seed), _silence(chance, 0.15, 0.5)]
    whole = np.concatenate(pieces)
    background = 10 ** chance.uniform(-3.5, -2.3) * chance.normal(
        size=max(len(whole), round(_SHORTEST * RATE))
    )
    background[: len(whole)] += whole
    return background.clip(-1, 1).astype(np.float32)


def _event(kind: str, split: str, chance: random.Random) -> Event:
    variant = chance.choice([v for v in range(_VARIANTS) if v % 10 in _TENTHS[split]])
    count = chance.choice((2, 3, 4)) if kind in COUNTED else 1
    return Event(kind, variant, count, up=chance.random() < 0.5)  # noqa: PLR2004


def _sound(event: Event, split: str, seed: int) -> NDArray[np.float32]:
    if event.kind == "voice":
        texts = _texts(split)
        return speak(seed, texts[event.variant % len(texts)], f"scene {event.variant}")
    chance = np.random.default_rng([seed, KINDS.index(event.kind), event.variant])
    if event.kind in COUNTED:
        return {"beep": sounds.beeps, "knock": sounds.knocks, "chirp": sounds.chirps}[event.kind](
            chance, event.count
        )
    if event.kind == "siren":
        return sounds.siren(chance, up=event.up)
    return {"bell": sounds.bell, "hum": sounds.hum, "hiss": sounds.hiss}[event.kind](chance)


@cache
def _texts(split: str) -> list[str]:
    """Return short texts of a split."""
    found = (text for text in islice(sentences(0), _TEXTS) if len(text.split()) <= _WORDS)
    return [text for text in found if part(text) == _PARTS[split]]


def _silence(chance: np.random.Generator, shortest: float, longest: float) -> NDArray[np.float32]:
    return np.zeros(round(chance.uniform(shortest, longest) * RATE), np.float32)
