"""What every dataset and every metric of steermoe promises."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, ClassVar

from steermoe_core.testing import DatasetSuite, MetricSuite
from tests.tiny import write_wav

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS = ("file_name", "QuestionText", "answer", "confidence")
SOUNDS = {"train": "rain.wav", "val": "dog.wav", "test": "cat.wav"}


def clotho(folder: Path) -> str:
    """Write a folder in the published layout: two questions a split, three answers each."""
    for split, sound in SOUNDS.items():
        asked = (("Is it raining?", ("yes", "yes", "no")), ("What is it?", ("rain", "rain", "rain")))
        rows = [(sound, question, answer, "yes") for question, answers in asked for answer in answers]
        with (folder / f"clotho_aqa_{split}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([COLUMNS, *rows])
        write_wav(folder / "audio_files" / sound)
    return str(folder)


class TestTraining(DatasetSuite):
    """Questions to be trained on."""

    component = "clotho-aqa"

    def settings(self, folder: Path) -> dict[str, str]:
        """Return the settings of the training table."""
        return {"path": clotho(folder), "split": "train"}


class TestTest(DatasetSuite):
    """Questions that are only scored, every annotator's row of them."""

    component = "clotho-aqa"

    def settings(self, folder: Path) -> dict[str, str]:
        """Return the settings of the test table."""
        return {"path": clotho(folder), "split": "test", "answers": "each"}


class TestMajority(MetricSuite):
    """The answer of more than half of the annotators."""

    component = "qa-accuracy"


class TestEach(MetricSuite):
    """Every annotator's answer."""

    component = "qa-accuracy"
    settings: ClassVar = {"judge": "each"}


class TestBinary(MetricSuite):
    """Questions that are answered by yes or no."""

    component = "qa-accuracy"
    settings: ClassVar = {"kind": "binary", "judge": "any"}
