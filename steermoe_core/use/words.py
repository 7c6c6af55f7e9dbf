"""The times of the words of a transcript.

A projector with a CTC head gives the frames of each token. Its peaks are narrow, so a word begins in the
quietest 0.1 s of the 0.4 s before its first peak, but not before the end of the last word's peaks, and lasts
until the next one begins, without the silence between them. Without such a head, the words share the span's
sound in proportion to their letters.
"""

from __future__ import annotations

import re
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from steermoe_core.data.example import Example
from steermoe_core.data.layout import ids
from steermoe_core.data.padded import Padded
from steermoe_core.model.alignment import forced_alignment
from steermoe_core.use.transcript import Word

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from steermoe_core.data.audio.segments import Span
    from steermoe_core.data.collators import Collator
    from steermoe_core.model.joined import Joined

    #: Start and end in seconds.
    Times = tuple[float, float]

#: Hops a second of the loudness that boundaries are found with, and how many it is the mean of.
HOPS, SMOOTHED = 100, 3
#: Hops before a word's first peak in which its beginning is looked for, and those whose loudness is compared:
#: more than in the closure of a plosive. Both were chosen on single words, joined.
BEFORE, PAUSE = 40, 9
#: Longest time, in hops, that a word lasts after its last peak.
AFTER = 100
#: Loudness that counts as silence, as a share of that of the loudest twentieth of a span.
QUIET = 0.05
_WIDE = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
#: A word as the text is divided: between spaces, or one Chinese or Japanese character with its punctuation.
_WORD = re.compile(rf"[{_WIDE}][^\w\s]*|[^\s{_WIDE}]+")


class Aligner:
    """Finds the times of words.

    :param model: whose projector may have a CTC head.
    """

    def __init__(self, model: Joined, collator: Collator) -> None:
        self.model = model
        self.collator = collator
        self._tokenizer: Any = model.decoder.tokenizer
        self._rate = model.encoder.sample_rate

    @torch.no_grad()
    def words(
        self, span: Span, text: str, frames: torch.Tensor
    ) -> tuple[list[Word], Literal["ctc", "spread"]]:
        """Return the words of a text with their times in the recording, and how those were found.

        :param frames: (T,D) of the span, what the projector reads.
        """
        found = _WORD.findall(text)
        level = _level(span.waveform, self._rate)
        peaks = self._peaks(text, found, frames)
        times = _spread(found, level) if peaks is None else _bounded(peaks, level)
        start = span.start / self._rate
        words = [
            Word(round(start + begin, 3), round(start + end, 3), word)
            for word, (begin, end) in zip(found, times, strict=True)
        ]
        return words, "spread" if peaks is None else "ctc"

    def _peaks(self, text: str, words: Sequence[str], frames: torch.Tensor) -> list[Times] | None:
        """Return from when to when the CTC head gives each word its tokens; None where it cannot tell."""
        tokens = self.collator.reference(Example(id="", audio=Path(), text=text, seconds=0.0))
        places = self._tokens_of(words, tokens)
        if not places or not self.model.projector.ctc:
            return None
        emissions = self.model.projector.emissions(Padded.stack([frames]), ids([tokens]).to(frames.device))
        aligned = forced_alignment(emissions.values[0].cpu().numpy(), tokens)
        if aligned is None:
            return None
        seconds = self._seconds
        return [(aligned[own[0]][0] * seconds, aligned[own[-1]][1] * seconds) for own in places]

    def _tokens_of(self, words: Sequence[str], tokens: Sequence[int]) -> list[range] | None:
        """Return which tokens spell each word; None if they spell another number of words."""
        texts = [self._decoded(tokens[: number + 1]) for number in range(len(tokens))]
        ends = [len(text.rstrip("\ufffd")) for text in texts]  # a character may be spelt by several tokens
        whole = [match.span() for match in _WORD.finditer(texts[-1] if texts else "")]
        spelt = whole[len(whole) - len(words) :]  # without those of an answer prefix
        if len(spelt) != len(words):
            return None
        starts = [0, *ends[:-1]]
        first = [next(n for n, end in enumerate(ends) if end > begin) for begin, _ in spelt]
        last = [max(n for n, start in enumerate(starts) if start < end) for _, end in spelt]
        return [range(begin, max(begin, end) + 1) for begin, end in zip(first, last, strict=True)]

    def _decoded(self, tokens: Sequence[int]) -> str:
        options = {"skip_special_tokens": True, "clean_up_tokenization_spaces": False}
        return str(self._tokenizer.decode(list(tokens), **options))

    @cached_property
    def _seconds(self) -> float:
        """Seconds of a frame of the CTC head, by the laws of encoder and projector."""
        encoder, projector = self.model.encoder, self.model.projector
        third = 10.0 if encoder.max_seconds is None else encoder.max_seconds / 3
        one, two = (projector.tokens(encoder.frames(round(times * third * self._rate))) for times in (1, 2))
        return third / (two - one)


def _level(waveform: NDArray[np.float32], rate: int) -> NDArray[np.float64]:
    """Return the loudness of a waveform, smoothed, at `HOPS` a second; at least one."""
    hop = rate // HOPS
    padded = np.pad(waveform, (0, -len(waveform) % hop)).reshape(-1, hop)
    loudness = np.sqrt(np.square(padded, dtype=np.float64).mean(axis=1))
    return _smoothed(loudness, SMOOTHED)


def _smoothed(level: NDArray[np.float64], hops: int) -> NDArray[np.float64]:
    return np.convolve(np.pad(level, hops // 2, mode="edge"), np.full(hops, 1 / hops), "valid")


def _sounding(level: NDArray[np.float64]) -> NDArray[np.bool_]:
    return level >= QUIET * np.percentile(level, 95)


def _bounded(peaks: Sequence[Times], level: NDArray[np.float64]) -> list[Times]:
    """Return the times of words from those of their peaks: see the top of this file."""
    last = len(level) - 1
    hops = [(min(round(begin * HOPS), last), min(round(end * HOPS), last + 1)) for begin, end in peaks]
    pauses, starts, free = _smoothed(level, PAUSE), [], 0
    for begin, end in hops:
        lowest = max(begin - BEFORE, min(free, begin))
        starts.append(lowest + int(np.argmin(pauses[lowest : begin + 1])))
        free = end
    sounding, found = _sounding(level), []
    for (begin, end), start, following in zip(hops, starts, [*starts[1:], len(level)], strict=True):
        until = max(min(following, end + AFTER), start + 1)
        loud = np.flatnonzero(sounding[start:until]) + start
        first = min(int(loud[0]), begin) if len(loud) else start
        final = max(int(loud[-1]) + 1, min(end, until)) if len(loud) else until
        found.append((first / HOPS, final / HOPS))
    return found


def _spread(words: Sequence[str], level: NDArray[np.float64]) -> list[Times]:
    """Return times in proportion to letters, from where the sound begins to where it ends."""
    loud = np.flatnonzero(_sounding(level))
    begin, end = loud[0] / HOPS, (loud[-1] + 1) / HOPS
    shares = np.cumsum([0, *(len(word) + 1 for word in words)])
    edges = begin + (end - begin) * shares / shares[-1]
    return [(float(one), float(two)) for one, two in pairwise(edges)]
