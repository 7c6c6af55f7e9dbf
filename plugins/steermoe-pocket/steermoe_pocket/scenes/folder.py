"""The folder of scenes: clotho_aqa_{train,val,test}.csv and audio_files/, as Clotho-AQA is published."""

from __future__ import annotations

import csv
import hashlib
import random
from importlib.metadata import version
from typing import TYPE_CHECKING

import soundfile

from steermoe_core import cache_folder
from steermoe_pocket import cache
from steermoe_pocket.clips import RATE
from steermoe_pocket.progress import counting
from steermoe_pocket.scenes.questions import answered, asked
from steermoe_pocket.scenes.scene import draw, waveform

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from steermoe_pocket.scenes.scene import Scene

_VERSION = 1
#: Clips of each split.
SIZES = {"train": 600, "val": 100, "test": 150}
_COLUMNS = ("file_name", "QuestionText", "answer", "confidence")


def folder(seed: int) -> Path:
    """Return the folder of scenes of a seed, made now if it is not in the cache."""
    engine = hashlib.sha256(f"{_VERSION} hibari-tts {version('hibari-tts')}".encode()).hexdigest()[:12]
    return cache.made_once(cache_folder() / f"scenes-{seed}-{engine}", lambda place: write(place, seed))


def write(place: Path, seed: int) -> None:
    """Write tables and clips (FLAC, 16 bit) into an empty folder."""
    (place / "audio_files").mkdir(parents=True)
    with counting("making sound scenes", sum(SIZES.values()), "clips") as told:
        done = 0
        for split, size in SIZES.items():
            with (place / f"clotho_aqa_{split}.csv").open("w", encoding="utf-8", newline="") as file:
                table = csv.writer(file)
                table.writerow(_COLUMNS)
                for number in range(size):
                    table.writerows(_clip(place, split, number, seed))
                    done += 1
                    told(done)


def clip(place: Path, scene: Scene) -> Path:
    """Return the sound file of a scene."""
    return place / "audio_files" / f"{scene.name}.flac"


def _clip(place: Path, split: str, number: int, seed: int) -> Iterator[tuple[str, str, str, str]]:
    """Write a clip and yield its rows."""
    scene = draw(split, number, seed)
    audio = clip(place, scene)
    soundfile.write(audio, waveform(scene, split, seed), RATE, subtype="PCM_16")
    chance = random.Random(f"{scene.seed} questions")  # noqa: S311  # no secret
    for question in asked(scene, chance):
        for answer, sure in answered(question, chance):
            yield audio.name, question.question, answer, sure
