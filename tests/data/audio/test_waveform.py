"""Every kind of sound file becomes one mono float32 waveform of the wanted rate, or a clear error."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from steermoe_core.data.audio.stored import Encoded
from steermoe_core.data.audio.waveform import duration, load, resample
from steermoe_core.errors import DataError
from tests.sounds import columns, write_parquet
from tests.tiny import sine, write_wav

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "PCM_U8"])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
def test_any_wav_is_the_same_sound(tmp_path: Path, rate: int, channels: int, subtype: str) -> None:
    """Rate, channels and sample format make no difference to what is heard."""
    path = write_wav(tmp_path / "a.wav", 0.5, rate, channels, subtype)

    waveform = load(path, 16_000)

    assert waveform.dtype == np.float32
    assert waveform.shape == (8_000,)
    middle = slice(1_000, 7_000)  # the resampler's filter rings at the ends
    np.testing.assert_allclose(waveform[middle], sine(0.5)[middle], atol=0.01)
    assert duration(path) == pytest.approx(0.5)


@pytest.mark.parametrize(("suffix", "tolerance"), [("flac", 1e-3), ("ogg", 0.1), ("mp3", 0.2)])
def test_compressed_files(tmp_path: Path, suffix: str, tolerance: float) -> None:
    """Compressed formats have the loudness and the length of what went in."""
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, sine(1.0), 16_000)

    assert load(path, 16_000).std() == pytest.approx(sine(1.0).std(), abs=tolerance)
    assert duration(path) == pytest.approx(1.0, abs=0.1)


def test_channels_are_averaged(tmp_path: Path) -> None:
    """A sound on one of two channels comes at half its height."""
    soundfile.write(tmp_path / "a.wav", np.stack([sine(0.1), 0 * sine(0.1)], axis=1), 16_000, subtype="FLOAT")

    np.testing.assert_allclose(load(tmp_path / "a.wav", 16_000), sine(0.1) / 2, atol=1e-6)


@given(st.integers(1, 3_000), st.sampled_from([8_000, 11_025, 22_050, 44_100, 48_000]))
def test_resampled_length(samples: int, rate: int) -> None:
    """The length is that of the same time at the new rate, to the nearest sample."""
    resampled = resample(np.ones(samples, dtype=np.float32), rate, 16_000)

    assert abs(len(resampled) - samples * 16_000 / rate) <= 0.5
    assert resampled.dtype == np.float32


def broken(path: Path, kind: str) -> Path:
    """Write a file that cannot be used."""
    if kind == "garbage":
        path.write_bytes(b"not a sound" * 50)
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "no samples":
        soundfile.write(path, np.zeros(0, dtype=np.float32), 16_000)
    elif kind == "nan":
        soundfile.write(path, np.array([0.0, np.nan, 0.0]), 16_000, subtype="FLOAT")
    elif kind == "cut off":
        soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 48_000), 16_000, format="FLAC")
        path.write_bytes(path.read_bytes()[:20_000])
    return path


@pytest.mark.parametrize(
    ("kind", "complaint"),
    [
        ("missing", "no such audio file"),
        ("garbage", "cannot be read as audio"),
        ("empty", "cannot be read as audio"),
        ("no samples", "holds no samples"),
        ("nan", "not finite"),
        ("cut off", "cannot be read as audio"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, kind: str, complaint: str) -> None:
    """The error says which file and what is wrong with it."""
    path = broken(tmp_path / "clip.wav", kind)

    with pytest.raises(DataError, match=complaint) as caught:
        load(path, 16_000)

    assert "clip.wav" in str(caught.value)


@pytest.mark.parametrize("kind", ["missing", "garbage", "empty", "no samples", "cut off"])
def test_a_broken_file_has_no_duration(tmp_path: Path, kind: str) -> None:
    """What cannot be loaded is found out without decoding it all."""
    with pytest.raises(DataError, match=r"clip\.wav"):
        duration(broken(tmp_path / "clip.wav", kind))


def test_one_sample_that_resampling_swallows(tmp_path: Path) -> None:
    """A clip too short for one sample at the new rate is empty, not a waveform of length zero."""
    soundfile.write(tmp_path / "a.wav", np.zeros(1), 48_000)

    with pytest.raises(DataError, match="no samples"):
        load(tmp_path / "a.wav", 16_000)


def test_a_table_that_changed_since(tmp_path: Path) -> None:
    """A row that is gone when it is wanted is named."""
    path = write_parquet(tmp_path / "t.parquet", columns())

    with pytest.raises(DataError, match=r"t\.parquet row 99: cannot be read"):
        load(Encoded(path, 99, "audio"), 16_000)


def test_a_file_that_breaks_off_in_the_middle(tmp_path: Path) -> None:
    """A clip whose header is whole and whose content is not is named when it is decoded."""
    soundfile.write(tmp_path / "a.flac", np.random.default_rng(0).normal(0, 0.1, 48_000), 16_000)
    content = bytearray((tmp_path / "a.flac").read_bytes())
    content[20_000:40_000] = bytes(20_000)
    (tmp_path / "a.flac").write_bytes(content)

    with pytest.raises(DataError, match=r"a\.flac: cannot be read as audio"):
        load(tmp_path / "a.flac", 16_000)
