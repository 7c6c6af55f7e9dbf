"""Numbers put together from the human recordings of number words: any amount of speech, few words.

"three thousand five hundred eighty four" is six recordings in a row. The numbers of the test part are never
heard in training, but the recordings of their words are: this is composition, not new audio.
"""

from __future__ import annotations

import random
from functools import cache, partial
from itertools import repeat
from typing import TYPE_CHECKING

import numpy as np

from steermoe_pocket import clips, debian, growing, human
from steermoe_pocket.sentences import divided
from steermoe_pocket.text import NUMBER_WORDS, spell

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

_VERSION = "1"
#: Numbers have up to this many digits.
_LONGEST = 6
#: Silence between two words, in seconds.
_GAPS = (0.0, 0.08)
#: What is quieter than this share of a word's peak, before and after it, is cut off.
_QUIET = 0.02


def recordings(hours: float, seed: int, share: Path) -> list[clips.Clip]:
    """Return that much composed speech, made now if the cache has less.

    :raises SpeechMissingError: when the human recordings are not installed.
    """
    debian.require(share, "asterisk-core-sounds-en-g722", "asterisk-core-sounds-en")
    place = growing.folder(f"digits-{seed}", numbers(seed), _VERSION)
    return growing.grow(place, numbers(seed), partial(speak, share, seed), hours, processes=1)


def numbers(seed: int) -> Iterator[str]:
    """Yield random numbers in words, without end."""
    chance = random.Random(seed)  # noqa: S311  # no secret
    return divided(spell(chance.randrange(10 ** chance.randint(1, _LONGEST))) for _ in repeat(None))


def speak(share: Path, seed: int, text: str, index: str) -> NDArray[np.float32]:
    """Return the waveform (samples,) of a number in words; the same for the same arguments."""
    chance = random.Random(f"{seed} {index}")  # noqa: S311  # no secret
    words = _words(share)
    pieces = [piece for word in text.split() for piece in (words[word], _gap(chance))]
    return np.concatenate(pieces[:-1])


def _gap(chance: random.Random) -> NDArray[np.float32]:
    return np.zeros(int(clips.RATE * chance.uniform(*_GAPS)), np.float32)


@cache
def _words(share: Path) -> Mapping[str, NDArray[np.float32]]:
    """Return the recording of each number word, without silence around it."""
    spoken = {clip.text.lower(): clip.audio for clip in human.prompts(share) if clip.id.startswith("digits/")}
    return {word: _trimmed(clips.load(spoken[word])) for word in NUMBER_WORDS if word in spoken}


def _trimmed(waveform: NDArray[np.float32]) -> NDArray[np.float32]:
    loud = np.flatnonzero(np.abs(waveform) > _QUIET * np.abs(waveform).max())
    return waveform[loud[0] : loud[-1] + 1]
