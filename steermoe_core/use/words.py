"""The times of the words of a transcript.

A projector with a CTC head gives the frames of each token; elsewhere, they are those of the audio token that
the text token attends to. Both are narrow, so a word begins in the quietest 0.1 s of the 0.4 s before its
first frame, but not before the last frame of the word before, and lasts until the next one begins, without
the silence between them.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cached_property
from itertools import groupby, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from steermoe_core.data.example import Example
from steermoe_core.data.layout import ids
from steermoe_core.model.alignment import attended, forced_alignment
from steermoe_core.use.transcript import Word

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from steermoe_core.data.audio.segments import Span
    from steermoe_core.data.collator import Collator
    from steermoe_core.data.layout import Batch
    from steermoe_core.data.padded import Padded
    from steermoe_core.model.joined import Joined

    #: Start and end.
    Times = tuple[float, float]
    #: What finds the times of words.
    Method = Literal["ctc", "attention"]

#: Hops a second of the loudness that boundaries are found with, and how many it is the mean of.
HOPS, SMOOTHED = 100, 3
#: Hops before a word's first peak in which its beginning is looked for, and those whose loudness is compared:
#: more than in the closure of a plosive. Both were chosen on single words, joined.
BEFORE, PAUSE = 40, 9
#: Longest time, in hops, that a word lasts after its last peak.
AFTER = 100
#: A row of this many times the frames has many units, if more frames have more.
_LONG = 1000
#: Loudness that counts as silence, as a share of that of the loudest twentieth of a span.
QUIET = 0.05
_WIDE = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
#: A word as the text is divided: between spaces, or one Chinese or Japanese character with its punctuation.
_WORD = re.compile(rf"[{_WIDE}][^\w\s]*|[^\s{_WIDE}]+")


class Aligner:
    """Finds the times of words.

    :param model: asked about one span at a time, so that times do not depend on what is transcribed with it.
    """

    def __init__(self, model: Joined, collator: Collator) -> None:
        self.model = model
        self.collator = collator
        self._tokenizer: Any = model.decoder.tokenizer
        self._rate = model.encoder.sample_rate

    @torch.no_grad()
    def words(self, span: Span, text: str, row: Batch) -> tuple[list[Word], Method | None]:
        """Return the words of a text with their times in the recording, and how those were found.

        There are none where neither method finds times.

        :param row: the span with its prompt; its features are the frames (1,T,D) that the projector reads.
        """
        tokens = self.collator.reference(Example(id="", audio=Path(), text=text, seconds=0.0))
        found = _WORD.findall(text)
        places = self._tokens_of(found, tokens)
        frames, method = self._frames(row, tokens) if places else (None, None)
        if not places or frames is None:
            return [], None
        seconds = self._seconds(int(row.features.host_lengths))
        heard = [(frames[own[0]][0] * seconds, frames[own[-1]][1] * seconds) for own in places]
        start = span.start / self._rate
        times = _bounded(heard, _level(span.waveform, self._rate))
        words = [
            Word(round(start + begin, 3), round(start + end, 3), word)
            for word, (begin, end) in zip(found, times, strict=True)
        ]
        return words, method

    def _frames(self, row: Batch, tokens: list[int]) -> tuple[Sequence[Times] | None, Method | None]:
        """Return from where to where each token is heard, in units of `Projector.tokens`."""
        aligned = self._by_ctc(row.features, tokens) if self.model.projector.ctc else None
        return (aligned, "ctc") if aligned else (self._by_attention(row, tokens), "attention")

    def _by_ctc(self, frames: Padded, tokens: list[int]) -> Sequence[Times] | None:
        """Return the frames that CTC aligns each token with; None where there are too few."""
        emissions = self.model.projector.emissions(frames, ids([tokens]).to(frames.values.device))
        return forced_alignment(emissions.values[0].cpu().numpy(), tokens)

    def _by_attention(self, row: Batch, tokens: list[int]) -> Sequence[Times] | None:
        """Return where the audio token is that each token attends to; None where that cannot be read."""
        audio = self.model.projector(row.features)[0]
        answered = replace(row, answer=ids([[*tokens, self.model.decoder.eos]]))
        weights = self.model.answer_attention(answered, audio)
        if weights is None:
            return None
        (spans,) = self.model.projector.spans(row.features, audio)
        places = attended(weights.cpu().numpy())
        return [part for place, same in groupby(places) for part in _divided(spans[place], len(list(same)))]

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

    def _seconds(self, frames: int) -> float:
        """Return the seconds of a unit of `Projector.tokens` in a row of some frames.

        By the law for long rows, whose last unit is whole; a projector may also make the same number of each.
        """
        law = self.model.projector.tokens
        length = frames if law(frames) == law(_LONG * frames) else _LONG * frames
        return self._frame * length / law(length)

    @cached_property
    def _frame(self) -> float:
        """Seconds of a frame of the encoder, by its law."""
        encoder = self.model.encoder
        third = 10.0 if encoder.max_seconds is None else encoder.max_seconds / 3
        one, two = (encoder.frames(round(times * third * self._rate)) for times in (1, 2))
        return third / (two - one)


def _divided(whole: Times, parts: int) -> list[Times]:
    """Return equal parts of a span, for tokens that share it."""
    edges = np.linspace(*whole, parts + 1).tolist()
    return list(pairwise(edges))


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
    sounding, free = _sounding(level), 0
    found: list[Times] = []
    for (begin, end), start, following in zip(hops, starts, [*starts[1:], len(level)], strict=True):
        until = max(min(following, end + AFTER), start + 1)
        loud = np.flatnonzero(sounding[start:until]) + start
        first = min(int(loud[0]), begin) if len(loud) else start
        final = max(int(loud[-1]) + 1, min(end, until)) if len(loud) else until
        first = max(first, free)  # more words than hops have no time of their own
        free = max(final, first)
        found.append((first / HOPS, free / HOPS))
    return found
