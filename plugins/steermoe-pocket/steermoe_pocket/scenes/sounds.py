"""Eight kinds of sound, each endlessly varied: pitch, timbre, pace and noise are drawn from a generator.

All return mono float32 at `RATE`, full scale at most ±1, faded at both ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from steermoe_pocket.clips import RATE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Waveform = NDArray[np.float32]
    Chance = np.random.Generator

_FADE = round(0.01 * RATE)


def beeps(chance: Chance, count: int) -> Waveform:
    """Return short pure tones of one pitch."""
    hertz = chance.uniform(700, 1800)
    one = _shaped(np.sin(2 * np.pi * hertz * _seconds(chance.uniform(0.08, 0.16))))
    return _repeated(one, count, chance.uniform(0.1, 0.2))


def knocks(chance: Chance, count: int) -> Waveform:
    """Return dull thumps, as on wood."""
    time = _seconds(0.15)
    hertz, decay = chance.uniform(90, 260), chance.uniform(25, 50)
    body = np.sin(2 * np.pi * hertz * time) + 0.5 * np.sin(2 * np.pi * 2.3 * hertz * time)
    click = chance.normal(size=len(time)) * np.exp(-400 * time)
    return _repeated(_shaped((body + click) * np.exp(-decay * time)), count, chance.uniform(0.08, 0.2))


def chirps(chance: Chance, count: int) -> Waveform:
    """Return quick upward sweeps, high as a bird's."""
    low = chance.uniform(2500, 3800)
    one = _swept(low, low + chance.uniform(800, 2500), chance.uniform(0.06, 0.12))
    return _repeated(_shaped(one), count, chance.uniform(0.1, 0.22))


def siren(chance: Chance, *, up: bool) -> Waveform:
    """Return a slow sweep with overtones, rising or falling."""
    low, high = chance.uniform(350, 550), chance.uniform(900, 1500)
    start, end = (low, high) if up else (high, low)
    length = chance.uniform(0.9, 1.5)
    return _mixed([_swept(n * start, n * end, length) / n**2 for n in (1, 2, 3)])


def bell(chance: Chance) -> Waveform:
    """Return inharmonic partials that die away."""
    time = _seconds(chance.uniform(0.8, 1.3))
    hertz, decay = chance.uniform(400, 900), chance.uniform(3, 6)
    partials = ((1.0, 1.0), (2.0, 0.6), (2.76, 0.5), (5.4, 0.25))
    return _mixed(
        [a * np.sin(2 * np.pi * r * hertz * time) * np.exp(-decay * r**0.7 * time) for r, a in partials]
    )


def hum(chance: Chance) -> Waveform:
    """Return a low tone with many harmonics, as of a motor."""
    time = _seconds(chance.uniform(0.9, 1.5))
    hertz, beat = chance.uniform(55, 120), chance.uniform(4, 9)
    tones = [np.sin(2 * np.pi * n * hertz * time + chance.uniform(0, 6)) / n for n in range(1, 8)]
    return _mixed([tone * (1 + 0.3 * np.sin(2 * np.pi * beat * time)) for tone in tones])


def hiss(chance: Chance) -> Waveform:
    """Return steady noise above a random frequency, as of steam."""
    samples = round(chance.uniform(0.8, 1.4) * RATE)
    spectrum = np.fft.rfft(chance.normal(size=samples))
    spectrum[: round(chance.uniform(1000, 3000) / RATE * samples)] *= 0.05
    return _shaped(np.fft.irfft(spectrum, samples))


def _seconds(length: float) -> NDArray[np.float64]:
    return np.arange(round(length * RATE)) / RATE


def _swept(start: float, end: float, length: float) -> NDArray[np.float64]:
    """Return a sine whose frequency goes evenly from one to the other."""
    time = _seconds(length)
    return np.asarray(np.sin(2 * np.pi * (start * time + (end - start) / (2 * length) * time**2)))


def _shaped(wave: NDArray[np.float64]) -> Waveform:
    """Return the wave at full scale with soft ends."""
    fade = np.minimum(1.0, np.arange(1, len(wave) + 1) / _FADE)
    shaped: Waveform = (wave / np.abs(wave).max() * fade * fade[::-1]).astype(np.float32)
    return shaped


def _mixed(waves: Sequence[NDArray[np.float64]]) -> Waveform:
    """Return several waves of one length together."""
    return _shaped(np.sum(waves, axis=0))


def _repeated(one: Waveform, count: int, gap: float) -> Waveform:
    """Return a sound so many times, the same silence between."""
    pause = np.zeros(round(gap * RATE), np.float32)
    return np.concatenate([one, *[pause, one] * (count - 1)])
