"""The numbers of each augmentation: ratios of energies, lengths, pitches, factors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soundfile

from steermoe_augment.config import GainConfig, NoiseConfig, ReverbConfig, SpeedConfig
from steermoe_augment.waveforms import Gain, Noise, Reverb, Speed
from steermoe_core import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

RATE = 16_000
TONE = (0.3 * np.sin(2 * np.pi * 440.0 * np.arange(RATE) / RATE)).astype(np.float32)


def applied(part: Any, seed: int = 0, clip: NDArray[np.float32] = TONE) -> NDArray[np.float32]:
    """Return a changed clip."""
    changed: NDArray[np.float32] = part.waveform(clip, RATE, np.random.default_rng(seed))
    return changed


def power(clip: NDArray[Any]) -> float:
    """Return the mean of the squared samples."""
    return float(np.square(clip, dtype=np.float64).mean())


class TestNoise:
    """Files at a signal-to-noise ratio."""

    @pytest.mark.parametrize("snr", [-5.0, 0.0, 10.0, 30.0])
    @pytest.mark.parametrize("seconds", [0.05, 1.0, 3.0])
    def test_ratio(self, noises: Path, snr: float, seconds: float) -> None:
        """Within 0.1 dB, in clips that are shorter or longer than the noise."""
        noise = Noise(NoiseConfig(path=noises, min_snr=snr, max_snr=snr))
        clip = np.resize(TONE, round(seconds * RATE))

        for seed in range(6):
            added = applied(noise, seed, clip).astype(np.float64) - clip
            assert 10 * np.log10(power(clip) / power(added)) == pytest.approx(snr, abs=0.1)

    def test_ratios_are_uniform(self, noises: Path) -> None:
        """Between the two limits."""
        noise = Noise(NoiseConfig(path=noises, min_snr=0.0, max_snr=20.0))

        found = [
            10 * np.log10(power(TONE) / power(applied(noise, seed).astype(np.float64) - TONE))
            for seed in range(200)
        ]

        assert min(found) == pytest.approx(0.0, abs=1.0)
        assert max(found) == pytest.approx(20.0, abs=1.0)
        assert np.mean(found) == pytest.approx(10.0, abs=1.5)

    def test_spans_differ(self, noises: Path) -> None:
        """Of a long file, another part each time."""
        noise = Noise(NoiseConfig(path=noises / "long.wav", min_snr=0.0, max_snr=0.0))

        added = [applied(noise, seed) - TONE for seed in range(10)]

        assert len({round(float(one[0]), 6) for one in added}) == 10

    def test_silence(self, noises: Path, tmp_path: Path) -> None:
        """A silent clip has no ratio to anything, and silence adds nothing."""
        soundfile.write(tmp_path / "silence.wav", np.zeros(RATE), RATE)
        silence = np.zeros(RATE, np.float32)

        assert np.array_equal(applied(Noise(NoiseConfig(path=noises)), clip=silence), silence)
        assert np.array_equal(applied(Noise(NoiseConfig(path=tmp_path))), TONE)


class TestReverb:
    """Convolution with impulse responses."""

    def test_length_and_energy_stay(self, responses: Path) -> None:
        """To 0.01 dB."""
        changed = applied(Reverb(ReverbConfig(path=responses)))

        assert changed.shape == TONE.shape
        assert power(changed) == pytest.approx(power(TONE), rel=2e-3)
        assert np.abs(changed - TONE).max() > 0.05

    def test_is_the_convolution(self, responses: Path) -> None:
        """A click becomes the response from its strongest sample on."""
        click = np.zeros(RATE, np.float32)
        click[1000] = 0.5
        response, _ = soundfile.read(responses / "hall.wav")

        changed = applied(Reverb(ReverbConfig(path=responses)), clip=click)

        expected = response[160:] / np.sqrt(np.square(response[160:]).sum()) * 0.5
        np.testing.assert_allclose(changed[1000 : 1000 + len(expected)], expected, atol=2e-3)
        np.testing.assert_allclose(changed[:1000], 0.0, atol=1e-6)

    def test_the_speech_is_not_delayed(self, responses: Path) -> None:
        """The direct sound stays where it was, though the response begins with 10 ms of silence."""
        click = np.zeros(RATE, np.float32)
        click[5000] = 0.5

        assert np.abs(applied(Reverb(ReverbConfig(path=responses)), clip=click)).argmax() == 5000

    def test_a_silent_response(self, tmp_path: Path) -> None:
        """It is named."""
        soundfile.write(tmp_path / "silence.wav", np.zeros(RATE), RATE)

        with pytest.raises(
            DataError, match=r"silence\.wav: the impulse response is silent; replace or remove"
        ):
            applied(Reverb(ReverbConfig(path=tmp_path)))


class TestSpeed:
    """Tempo and pitch."""

    @pytest.mark.parametrize("speed", [0.8, 0.9, 1.0, 1.1, 1.37, 2.0])
    def test_length_and_pitch(self, speed: float) -> None:
        """One second becomes 1 / speed seconds, 440 Hz become 440 · speed."""
        changed = applied(Speed(SpeedConfig(min_speed=speed, max_speed=speed)))

        assert len(changed) == pytest.approx(RATE / speed, rel=1e-4)
        spectrum = np.abs(np.fft.rfft(changed * np.hanning(len(changed)), 16 * RATE))
        assert spectrum.argmax() / 16 == pytest.approx(440.0 * speed, abs=1.0)

    def test_never_longer_than_it_says(self) -> None:
        """For any length and speed, as the limits of the experiment rely on it."""
        speed = Speed(SpeedConfig(min_speed=0.83, max_speed=1.2))

        for seed in range(60):
            clip = TONE[: 1 + 131 * seed]
            assert 0 < len(applied(speed, seed, clip)) <= len(clip) * speed.stretch + 1

    @pytest.mark.parametrize(("slowest", "stretch"), [(0.8, 1.25), (1.0, 1.0), (1.1, 1.0)])
    def test_stretch(self, slowest: float, stretch: float) -> None:
        """By the slowest speed; clips that are not always changed keep their length at least."""
        assert Speed(SpeedConfig(min_speed=slowest, max_speed=1.2)).stretch == stretch


class TestGain:
    """Volume."""

    def test_decibels(self) -> None:
        """Uniform between the limits; 6 dB are about twice the amplitude."""
        gain = Gain(GainConfig(min_db=-6.0, max_db=6.0))

        found = [10 * np.log10(power(applied(gain, seed)) / power(TONE)) for seed in range(200)]

        assert min(found) == pytest.approx(-6.0, abs=0.5)
        assert max(found) == pytest.approx(6.0, abs=0.5)
        assert np.mean(found) == pytest.approx(0.0, abs=0.8)

    def test_probability(self) -> None:
        """The other clips are not changed."""
        gain = Gain(GainConfig(probability=0.25))

        assert np.mean([applied(gain, seed) is not TONE for seed in range(400)]) == pytest.approx(
            0.25, abs=0.06
        )


class TestFiles:
    """Folders of sound files."""

    def test_folder_or_file(self, noises: Path) -> None:
        """In the order of the paths, sub-folders included; what is no sound is ignored."""
        files = Noise(NoiseConfig(path=noises)).sounds

        assert [file.name for file in files.files] == ["long.wav", "short.flac"]
        assert files.seconds == [2.0, 0.5]
        assert Noise(NoiseConfig(path=noises / "long.wav")).sounds.seconds == [2.0]

    def test_nothing_there(self, tmp_path: Path) -> None:
        """No such folder, no sound in it, a sound that cannot be read."""
        (tmp_path / "empty").mkdir()
        (tmp_path / "broken").mkdir()
        (tmp_path / "broken" / "a.wav").write_text("no sound")

        for name, sentence in (
            ("gone", r"gone: there is no such file or folder; set path to a folder with sound files"),
            ("empty", r"empty: the folder has no sound file \(\.aif, "),
            ("broken", r"broken/a\.wav: the sound file cannot be read; replace or remove it"),
        ):
            with pytest.raises(DataError, match=sentence):
                Noise(NoiseConfig(path=tmp_path / name))
