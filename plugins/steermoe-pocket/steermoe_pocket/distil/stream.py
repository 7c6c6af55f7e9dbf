"""Batches of speech with what the teacher makes of it; a pure function of settings and step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import attrs
import numpy as np
import torch
from torch.utils.data import Dataset

from steermoe_conformer.fbank import RATE, fbank
from steermoe_core.data.audio.waveform import load, resample
from steermoe_core.data.padded import Padded
from steermoe_pocket import whisper
from steermoe_pocket.config import SpeechConfig, WeightsConfig
from steermoe_pocket.speech import examples
from steermoe_whisper.config import WhisperConfig
from steermoe_whisper.encoder import WhisperEncoder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from steermoe_core.data.example import Example
    from steermoe_pocket.distil.settings import Settings

    Wave = NDArray[np.float32]

BINS = 80
#: Batches of clips of like length are cut from so many at random.
_BUCKET = 20
#: Ranges of the variations: speed (and pitch), powers of ten of the volume, first-order tilt, noise in dB.
_SPEEDS, _VOLUMES, _TILTS, _NOISE = (0.85, 1.2), (-0.7, 0.3), (-0.5, 0.5), (10.0, 40.0)


@attrs.frozen(eq=False)
class Lesson:
    """A batch: what the student hears, what the teacher gives, what is said.

    :param features: log-mels (B,T,80), not normalised.
    :param targets: pairs of the teacher's frames (B,T/4,2D).
    :param texts: transcripts in words.
    """

    features: Padded
    targets: Padded
    texts: tuple[str, ...]


class Teacher:
    """The frozen Whisper tiny.en, on true lengths.

    :param bf16: computes in bf16.
    """

    def __init__(self, *, bf16: bool = False) -> None:
        folder = whisper.whisper_tiny_en(WeightsConfig())
        dtype: Literal["bfloat16", "float32"] = "bfloat16" if bf16 else "float32"
        self.encoder = WhisperEncoder(WhisperConfig(weights=str(folder), input="true-length", dtype=dtype))
        self.width = 2 * self.encoder.width

    @torch.no_grad()
    def __call__(self, waves: Sequence[Wave]) -> Padded:
        """Return pairs of frames (B,T,2D), 25 a second."""
        frames = self.encoder(self.encoder.features(waves)).zeroed()
        lengths = frames.lengths // 2
        values = frames.values[:, : 2 * int(lengths.max())].float()
        return Padded(values.unflatten(1, (-1, 2)).flatten(2), lengths)


class Lessons(Dataset[Lesson]):
    """The lessons of a training, by step."""

    def __init__(self, settings: Settings, clips: Sequence[Example], teacher: Teacher) -> None:
        self.settings, self.clips, self.teacher = settings, clips, teacher
        self._batches = batches(settings, [clip.seconds for clip in clips])

    def __getitem__(self, step: int) -> Lesson:
        """Return the lesson of a step: the student hears variations, the teacher the same undisturbed."""
        chance = np.random.default_rng([self.settings.seed, step])
        clips = [self.clips[number] for number in self._batches[step]]
        waves = [varied(load(clip.audio, RATE), chance) for clip in clips]
        lesson = self._lesson(clips, waves, [noisy(wave, chance) for wave in waves])
        return attrs.evolve(lesson, features=masked(lesson.features, self.settings.mask, chance))

    def plain(self, clips: Sequence[Example]) -> Lesson:
        """Return a lesson of clips as they are."""
        waves = [load(clip.audio, RATE) for clip in clips]
        return self._lesson(clips, waves, waves)

    def _lesson(self, clips: Sequence[Example], clean: list[Wave], heard: list[Wave]) -> Lesson:
        return Lesson(fbank(heard, BINS), self.teacher(clean), tuple(clip.text for clip in clips))


def batches(settings: Settings, seconds: Sequence[float]) -> list[list[int]]:
    """Return the clips of every step, of like length; each epoch has every clip once, in a new order."""
    chance = np.random.default_rng(settings.seed)
    durations, found = np.asarray(seconds), list[list[int]]()
    while len(found) < settings.steps:
        order = chance.permutation(len(durations))
        for window in np.array_split(order, -(-len(order) // (_BUCKET * settings.batch))):
            cut = window[np.argsort(durations[window], kind="stable")]
            parts = np.array_split(cut, -(-len(cut) // settings.batch))
            found += [parts[number].tolist() for number in chance.permutation(len(parts))]
    return found[: settings.steps]


def clips(source: str, split: str, settings: Settings) -> list[Example]:
    """Return one part of a source: `human`, `synthetic`, the quick `voices`, or `kokoro`.

    :raises SpeechMissingError: human speech is not installed; nothing stands in for it here.
    """
    hours = {"voices": settings.voices, "kokoro": settings.kokoro}.get(source, settings.hours)
    if not hours:
        return []
    config = SpeechConfig(
        source="voices" if source == "kokoro" else source,  # type: ignore[arg-type]
        split=split,  # type: ignore[arg-type]
        voices=["kokoro"] if source == "kokoro" else ["flite", "hibari"],
        hours=hours,
        numbers="spelled",
        fallback="none",
    )
    return [clip for clip in examples(config) if clip.seconds <= settings.longest]


def varied(wave: Wave, chance: np.random.Generator) -> Wave:
    """Return a waveform at another speed, volume and tilt of its spectrum."""
    faster = resample(wave, round(RATE * chance.uniform(*_SPEEDS)), RATE)
    tilted = faster + chance.uniform(*_TILTS) * np.append(0, faster[:-1])
    return (tilted * 10 ** chance.uniform(*_VOLUMES)).astype(np.float32)


def masked(features: Padded, share: float, chance: np.random.Generator) -> Padded:
    """Return features with spans of time and bands of bins set to the clip's mean (SpecAugment).

    Two of each; together they cover up to twice `share`, on average `share`, of a clip.
    """
    values, lengths = features.values.clone(), features.lengths.tolist()
    for row, length in zip(values, lengths, strict=True):
        mean = row[:length].mean()
        for size, part in ((length, row), (BINS, row.T)) * 2:
            span = int(chance.uniform(0, share) * size)
            start = int(chance.integers(0, size - span + 1))
            part[start : start + span] = mean
    return Padded(values, features.lengths)


def noisy(wave: Wave, chance: np.random.Generator) -> Wave:
    """Return a waveform under white noise; half of them as they are."""
    level = np.sqrt(np.square(wave).mean()) * 10 ** (-chance.uniform(*_NOISE) / 20)
    noise = chance.normal(0, level, len(wave)) if chance.random() < 0.5 else 0.0  # noqa: PLR2004  # half
    return (wave + noise).astype(np.float32)
