"""The times of words: how far their starts are from known ones, for each method."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import numpy as np
import torch

from steermoe_core.data.audio.segments import Span
from steermoe_core.data.padded import Padded
from steermoe_core.use.transcriber import load
from steermoe_core.use.words import Aligner
from steermoe_pocket import clips, human
from steermoe_pocket.digits import _trimmed
from tests.benchmarks.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from steermoe_core.use.transcriber import Transcriber

MODEL, SHARE = "pocket/asr", Path("/usr/share")
#: Longest recording of a word, words joined to a clip, and seconds of the pauses between them.
LONGEST, TOGETHER = 2.0, 6
PAUSES = {"without pauses": (0.0, 0.0), "with pauses": (0.1, 0.4)}
#: Largest mean error, in seconds; a share by letters has 0.13 and 0.22.
BOUNDS = {"ctc": 0.1, "attention": 0.12}


@attrs.frozen(eq=False)
class Joined:
    """Recordings of single words, joined.

    :param starts: where each word begins, in seconds.
    """

    words: Sequence[str]
    starts: Sequence[float]
    waveform: NDArray[np.float32]


def starts(*, quick: bool) -> Iterator[Figure]:
    """Yield the mean error of word starts by CTC, by attention, and for comparison by letters."""
    torch.set_num_threads(1)
    model = load(MODEL)
    aligner = Aligner(model.model, model.collator)
    for kind, pauses in PAUSES.items():
        sounds = list(_joined(pauses))[: 5 if quick else None]
        for method, bound in BOUNDS.items():
            model.model.projector.ctc = method == "ctc"
            yield _figure(f"{method}, {kind}", [_found(model, aligner, one) for one in sounds], sounds, bound)
        yield _figure(f"letters, {kind}", [_by_letters(one) for one in sounds], sounds, None)


def _joined(pauses: tuple[float, float]) -> Iterator[Joined]:
    chance, spoken = random.Random(0), []
    for clip in human.prompts(SHARE):
        text = clip.example("spelled").text
        if text.isalpha() and clip.seconds < LONGEST:
            spoken.append((text, _trimmed(clips.load(clip.audio))))
    chance.shuffle(spoken)
    for begin in range(0, len(spoken), TOGETHER):
        part = spoken[begin : begin + TOGETHER]
        pieces = [_silence(0.3)]
        places = []
        for _, wave in part:
            places.append(sum(map(len, pieces)) / clips.RATE)
            pieces += [wave, _silence(chance.uniform(*pauses))]
        yield Joined([word for word, _ in part], places, np.concatenate([*pieces, _silence(0.3)]))


def _silence(seconds: float) -> NDArray[np.float32]:
    return np.zeros(round(seconds * clips.RATE), np.float32)


@torch.no_grad()
def _found(model: Transcriber, aligner: Aligner, sound: Joined) -> list[float]:
    row = model.collator.prompt_batch([sound.waveform])
    frames = Padded.stack(model.model.frames(row.features).rows())
    span = Span(0, sound.waveform, last=True)
    words, _ = aligner.words(span, " ".join(sound.words), replace(row, features=frames))
    return [word.start for word in words]


def _by_letters(sound: Joined) -> list[float]:
    """Return starts that share the sound in proportion to letters."""
    loud = np.flatnonzero(np.abs(sound.waveform) > 1e-3)
    begin, end = loud[0] / clips.RATE, (loud[-1] + 1) / clips.RATE
    shares = np.cumsum([0, *(len(word) + 1 for word in sound.words)])
    return [float(begin + (end - begin) * one / shares[-1]) for one, _ in pairwise(shares)]


def _figure(
    name: str, found: Sequence[Sequence[float]], sounds: Sequence[Joined], bound: float | None
) -> Figure:
    off = np.abs(np.concatenate(found) - np.concatenate([one.starts for one in sounds]))
    detail = f"{len(off)} words, median {np.median(off):.3f} s, {np.mean(off < 0.1):.0%} within 0.1 s"
    return Figure(name=f"start of a word is off by, s: {name}", value=off.mean(), bound=bound, detail=detail)
