"""Long recordings cut at their quietest places into spans that an encoder takes.

A span ends in the second half of what it may last, in the middle of the quietest 0.2 s there: where energy,
summed over 10 ms and then over 0.2 s, is least; of equal places the last, so that silence makes no more spans
than it needs. The cut depends on the samples alone, and no sample is dropped or heard twice.
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

#: Hops a second, and hops whose energy is taken together: a pause between words, not the gap of a plosive.
HOPS, PAUSE = 100, 20
#: Shortest limit of a span, in seconds: half of it must hold a pause.
SHORTEST = 1.0
#: Softest sample that 16 bits can hold.
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
        """Whether it holds no sound at all: nothing that a 16-bit sample could hold."""
        return bool(np.abs(self.waveform).max() < _FAINTEST)


def spans(
    blocks: Iterable[Waveform], rate: int, longest: float, whole: float | None = None
) -> Iterator[Span]:
    """Cut a recording into spans as it comes.

    :param blocks: its samples, one channel, in blocks of any length.
    :param rate: samples a second.
    :param longest: seconds that no span of what is cut exceeds, at least `SHORTEST`; inf cuts nothing.
    :param whole: a recording of so many seconds is not cut yet; `longest` by default.
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
