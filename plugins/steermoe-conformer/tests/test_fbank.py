"""Log-mels: Kaldi's numbers, and a count of frames for every length."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.audio_utils import mel_filter_bank, spectrogram, window_function

from steermoe_conformer.fbank import fbank, frame_count
from tests.parts import noise


def kaldi(wave: np.ndarray, bins: int) -> np.ndarray:
    """Return the features (T,bins) by transformers' implementation of Kaldi's filters."""
    filters = mel_filter_bank(
        257, bins, 20, 8000, 16_000, norm=None, mel_scale="kaldi", triangularize_in_mel_space=True
    )
    found = spectrogram(
        wave * 32_768,
        window_function(400, "povey", periodic=False),
        frame_length=400,
        hop_length=160,
        fft_length=512,
        power=2,
        center=False,
        preemphasis=0.97,
        mel_filters=filters,
        log_mel="log",
        mel_floor=1.192092955078125e-07,
        remove_dc_offset=True,
    )
    return found.T


@pytest.mark.parametrize("bins", [40, 80])
def test_features_are_those_of_kaldi(bins: int) -> None:
    """Noise, a tone on a steady offset, and near silence agree with another implementation."""
    time = np.arange(16_000) / 16_000
    tone = (0.3 + 0.1 * np.sin(2 * np.pi * 440 * time) + 0.01 * noise(1.0)).astype(np.float32)
    waves = [0.1 * noise(1.0), tone, 1e-4 * noise(0.3, 1)]

    for wave, row in zip(waves, fbank(waves, bins).rows(), strict=True):
        torch.testing.assert_close(row, torch.from_numpy(kaldi(wave, bins)), rtol=0, atol=1e-3)


def test_noise_agrees_to_four_digits() -> None:
    """Where no bin is empty, fp32 keeps the logarithms equal to 2e-4."""
    wave = 0.1 * noise(2.0)

    found = fbank([wave], 80).values[0]

    torch.testing.assert_close(found, torch.from_numpy(kaldi(wave, 80)), rtol=0, atol=2e-4)


def test_silence_is_the_floor() -> None:
    """Digital silence has no energy; the floor under the logarithm is the smallest step of fp32 at 1."""
    found = fbank([np.zeros(800, dtype=np.float32)], 80).values

    assert found.unique().tolist() == pytest.approx([np.log(2.0**-23)])


@given(st.integers(1, 5_000))
def test_windows_lie_inside_the_clip(samples: int) -> None:
    """One frame each 160 samples, as long as a window of 400 fits; never none."""
    starts = [start for start in range(0, samples, 160) if start + 400 <= samples]

    assert frame_count(samples) == max(len(starts), 1)


@given(st.lists(st.integers(1, 3_000), min_size=1, max_size=4))
@settings(deadline=None, max_examples=30)
def test_a_batch_is_its_clips(counts: list[int]) -> None:
    """Features of a clip do not depend on the batch, and are as many as the count says."""
    waves = [noise(0.2, seed)[:count] for seed, count in enumerate(counts)]

    features = fbank(waves, 80)

    assert features.lengths.tolist() == [frame_count(count) for count in counts]
    for wave, row in zip(waves, features.rows(), strict=True):
        torch.testing.assert_close(row, fbank([wave], 80).values[0], rtol=0, atol=1e-4)


def test_short_clips_are_clips_with_silence() -> None:
    """What a window lacks is silence."""
    wave = noise(0.1)[:90]

    assert torch.equal(fbank([wave], 80).values, fbank([np.pad(wave, (0, 310))], 80).values)
