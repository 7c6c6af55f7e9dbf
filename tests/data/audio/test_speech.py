"""Speech is found by Silero VAD: none in noise, tones and hum, at any rate of samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from steermoe_core.data.audio.speech import SpeechDetector
from steermoe_core.data.audio.waveform import load

pytest.importorskip("silero_vad", reason="needs the extra vad")
RATE = 16_000
VOICE = Path("/usr/share/pocketsphinx/test/data/librivox/sense_and_sensibility_01_austen_64kb-0880.wav")
TIMES = np.arange(4 * RATE) / RATE
NOISE = np.random.default_rng(0).standard_normal(4 * RATE)
SOUNDS = {
    "silence": 0 * TIMES,
    "faint noise": 0.001 * NOISE,
    "loud noise": 0.3 * NOISE,
    "hum": 0.1 * np.sin(2 * np.pi * 50 * TIMES),
    "tone": 0.3 * np.sin(2 * np.pi * 440 * TIMES),
    "clicks": NOISE * (np.arange(len(NOISE)) % 4000 < 20),
}


@pytest.mark.parametrize("name", SOUNDS)
def test_there_is_none_in_other_sounds(name: str) -> None:
    """The detector keeps no state from one waveform to the next."""
    assert SpeechDetector(RATE)(SOUNDS[name].astype(np.float32)) == []


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000])
def test_a_voice_between_silences(rate: int) -> None:
    """Its first and last sample, at the rate of the waveform."""
    if not VOICE.is_file():
        pytest.skip("needs the Debian package pocketsphinx-testdata")
    voice = load(VOICE, rate)
    sound = np.concatenate([np.zeros(rate, np.float32), voice, np.zeros(rate, np.float32)])

    found = SpeechDetector(rate)(sound)

    assert found[0][0] / rate == pytest.approx(1.0, abs=0.25)
    assert found[-1][1] / rate == pytest.approx(1 + len(voice) / rate, abs=0.35)
    assert SpeechDetector(rate)(sound) == found


def test_torch_keeps_its_threads() -> None:
    """The library sets them to 1 when it is imported."""
    before = torch.get_num_threads()
    SpeechDetector(RATE)
    assert torch.get_num_threads() == before
