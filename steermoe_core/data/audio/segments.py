"""Long recordings cut at their quietest points into spans that fit an encoder.

A span is cut in the second half of the longest one allowed, in the middle of the quietest 0.2 s there: where
energy, summed over 10 ms and then over 0.2 s, is lowest. Of equal points the last is taken, so that silence
makes no more spans than necessary. The cut depends on the samples alone; none is dropped or used twice.

Where speech is detected, a pause of more than 2 s is a span of its own, without speech, and other cuts are in
the longest pause of the second half.
"""

from __future__ import annotations

import math
import sys
from itertools import pairwise
from typing import TYPE_CHECKING

import attrs
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    Waveform = NDArray[np.float32]
    #: Returns the first sample of each stretch of speech, and the one after its last.
    Detector = Callable[[Waveform], Sequence[tuple[int, int]]]

#: Hops a second, and hops in a pause: as long as one between words, longer than the gap of a plosive.
HOPS, PAUSE = 100, 20
#: Shortest limit of a span, in seconds: half of it must hold a pause.
SHORTEST = 1.0
#: Seconds of a pause that becomes a span of its own, what of it stays with the speech before and after, and
#: how much of the end of a waveform without speech may be the beginning of some.
LONG_PAUSE, MARGIN, ONSET = 2.0, 0.3, 0.5
#: Smallest sample that 16 bits can represent.
_FAINTEST = 2.0**-15


@attrs.frozen
class Span:
    """A span of a recording.

    :param start: samples before it.
    :param waveform: (samples,) float32.
    :param last: whether the recording ends with it.
    :param speech: whether there is some in it, where that was detected.
    """

    start: int
    waveform: Waveform
    last: bool
    speech: bool = True

    @property
    def silent(self) -> bool:
        """Whether there is no speech in it, or no sample that reaches the smallest of 16 bits."""
        return not self.speech or bool(np.abs(self.waveform).max() < _FAINTEST)


def spans(
    blocks: Iterable[Waveform],
    rate: int,
    longest: float,
    whole: float | None = None,
    detector: Detector | None = None,
) -> Iterator[Span]:
    """Cut a recording into spans while it is decoded.

    :param blocks: its samples, one channel, in blocks of any length.
    :param rate: samples a second.
    :param longest: seconds of the longest span where a recording is cut, at least `SHORTEST`; inf: no cut.
    :param whole: seconds up to which a recording is not cut, but at long pauses; `longest` by default.
    :param detector: of speech; None: all of it may be speech.
    """
    limit, uncut = (_samples(seconds, rate) for seconds in (longest, whole or longest))
    start, held = 0, np.zeros(0, np.float32)

    def first(samples: int, *, last: bool) -> Span:
        window = held[:samples]
        cut, speech = _cut(window, rate, detector, last=last)
        return Span(start, window[:cut], last=last and cut == len(window), speech=speech)

    for block in blocks:
        held = np.concatenate([held, block])
        if start == 0 and len(held) <= uncut:
            continue
        while len(held) > limit:
            yield (span := first(limit, last=False))
            start, held = start + len(span.waveform), held[len(span.waveform) :]
    while len(held):
        yield (span := first(len(held), last=True))
        start, held = start + len(span.waveform), held[len(span.waveform) :]


def _cut(waveform: Waveform, rate: int, detector: Detector | None, *, last: bool) -> tuple[int, bool]:
    """Return the samples of the first span of a waveform, and whether there is speech in it.

    :param last: whether the recording ends with the waveform.
    """
    if detector is None:
        return len(waveform) if last else quietest(waveform, rate), True
    found, samples = detector(waveform), len(waveform)
    pause, margin, onset = (int(seconds * rate) for seconds in (LONG_PAUSE, MARGIN, ONSET))
    if not found:
        return samples if last else samples - onset, False
    if found[0][0] > pause:
        return found[0][0] - margin, False
    pauses = [(end, begin) for (_, end), (begin, _) in pairwise([*found, (samples, samples)])]
    if long := [end for end, begin in pauses if begin - end > pause]:
        return long[0] + margin, True
    if last:
        return samples, True
    middles = [(begin - end, (begin + end) // 2) for end, begin in pauses[:-1]]
    late = [(length, middle) for length, middle in middles if middle >= samples // 2]
    return max(late)[1] if late else quietest(waveform, rate), True


def _samples(seconds: float, rate: int) -> int:
    return sys.maxsize if seconds == math.inf else int(seconds * rate)


def quietest(waveform: Waveform, rate: int) -> int:
    """Return the sample in the middle of the quietest 0.2 s of a waveform's second half."""
    half, hop = len(waveform) // 2, rate // HOPS
    hops = waveform[half : half + (len(waveform) - half) // hop * hop].reshape(-1, hop)
    energy = np.square(hops, dtype=np.float64).sum(axis=1)
    pauses = np.lib.stride_tricks.sliding_window_view(energy, PAUSE).sum(axis=1)
    last = len(pauses) - 1 - int(np.argmin(pauses[::-1]))
    return half + (last + PAUSE // 2) * hop
