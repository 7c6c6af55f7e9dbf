"""Long recordings cut at their quietest points into spans that fit an encoder.

A span is cut in the second half of the longest one allowed, in the middle of the quietest 0.2 s there: where
energy, summed over 10 ms and then over 0.2 s, is lowest. Of equal points the last is taken, so that silence
makes no more spans than necessary. The cut depends on the samples alone; none is dropped or used twice.
"""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING

import attrs
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    Waveform = NDArray[np.float32]

#: Hops a second, and hops in a pause: as long as one between words, longer than the gap of a plosive.
HOPS, PAUSE = 100, 20
#: Shortest limit of a span, in seconds: half of it must hold a pause.
SHORTEST = 1.0
#: Smallest sample that 16 bits can represent.
_FAINTEST = 2.0**-15


@attrs.frozen
class Span:
    """A span of a recording.

    :param start: samples before it.
    :param waveform: (samples,) float32.
    :param last: whether the recording ends with it.
    """

    start: int
    waveform: Waveform
    last: bool

    @property
    def silent(self) -> bool:
        """Whether no sample reaches the smallest that 16 bits can represent."""
        return bool(np.abs(self.waveform).max() < _FAINTEST)


def spans(
    blocks: Iterable[Waveform], rate: int, longest: float, whole: float | None = None
) -> Iterator[Span]:
    """Cut a recording into spans while it is decoded.

    :param blocks: its samples, one channel, in blocks of any length.
    :param rate: samples a second.
    :param longest: seconds of the longest span where a recording is cut, at least `SHORTEST`; inf: no cut.
    :param whole: seconds up to which a recording is not cut at all; `longest` by default.
    """
    limit, uncut = (_samples(seconds, rate) for seconds in (longest, whole or longest))
    start, held = 0, np.zeros(0, np.float32)
    for block in blocks:
        held = np.concatenate([held, block])
        if start == 0 and len(held) <= uncut:
            continue
        while len(held) > limit:
            cut = quietest(held[:limit], rate)
            yield Span(start, held[:cut], last=False)
            start, held = start + cut, held[cut:]
    if len(held):
        yield Span(start, held, last=True)


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
