"""Probes: sounds without a word, the same for every model."""

from __future__ import annotations

import numpy as np
import pytest

from steermoe_core.data.audio import waveform
from steermoe_core.evaluate.probes import PROBES, RATE, SOUNDS, Probe, probes


@pytest.mark.parametrize(("sound", "seconds"), PROBES)
def test_a_probe_is_a_clip_like_any_other(sound: str, seconds: float) -> None:
    """It is loaded at any rate, as long as it says, below full scale, and the same each time."""
    probe = Probe(sound, seconds)
    wave = waveform.load(probe, 8_000)

    assert len(wave) == pytest.approx(8_000 * seconds, abs=2)
    assert waveform.duration(probe) == seconds
    assert np.abs(wave).max() < 1.0
    assert np.array_equal(wave, waveform.load(Probe(sound, seconds), 8_000))


@pytest.mark.parametrize(
    ("sound", "level"), [("silence", 0.0), ("white-noise", 0.1), ("faint-noise", 0.001), ("tone", 0.1)]
)
def test_levels_are_as_documented(sound: str, level: float) -> None:
    """Root mean square, full scale being 1: nothing, 20 or 60 dB below it."""
    samples, rate = Probe(sound, 5.0).samples()

    assert rate == RATE
    assert np.sqrt(np.mean(samples**2)) == pytest.approx(level, rel=0.02)


def test_the_tone_has_440_hertz() -> None:
    """And nothing else."""
    spectrum = np.abs(np.fft.rfft(Probe("tone", 1.0).samples()[0][:, 0]))

    assert spectrum.argmax() == 440


def test_an_encoder_gets_what_it_takes() -> None:
    """No probe is longer than the longest clip; the question is that of the clips."""
    assert [probe.sound for probe in probes(2.0, "what is it ?")] == list(SOUNDS)
    assert len(probes(30.0, None)) == len(PROBES)
    assert {example.prompt for example in probes(2.0, "what is it ?").values()} == {"what is it ?"}
    assert {example.text for example in probes(2.0, None).values()} == {""}
