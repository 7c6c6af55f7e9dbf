"""A folder in Clotho-AQA's layout, written in a moment."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import pytest

from tests.tiny import write_wav

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

COLUMNS = ("file_name", "QuestionText", "answer", "confidence")
#: Three people on three questions to a clip.
RAIN = [
    ("rain.wav", "Is it raining?", "yes", "yes"),
    ("rain.wav", "Is it raining?", "Yes", "yes"),
    ("rain.wav", "is it raining", "no", "maybe"),
    ("rain.wav", "What is it?", "rain", "yes"),
    ("rain.wav", "What is it?", "rain", "yes"),
    ("rain.wav", "What is it?", "rain", "no"),
    ("rain.wav", "How many cars?", "2", "no"),
    ("rain.wav", "How many cars?", "three", "maybe"),
    ("rain.wav", "How many cars?", "none", "no"),
]
DOG = [("dog.wav", "Is it a dog?", answer, "yes") for answer in ("yes", "yes", "no")]
CAT = [("cat.wav", "Is it a dog?", "no", "yes")] * 3

Rows = "Sequence[tuple[str, str, str, str]]"


@pytest.fixture
def clotho(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes the folder: rows of each split; their sound files unless told not to."""

    def write(train: Rows = RAIN, val: Rows = DOG, test: Rows = CAT, *, sounds: bool = True) -> Path:
        for split, rows in (("train", train), ("val", val), ("test", test)):
            with (tmp_path / f"clotho_aqa_{split}.csv").open("w", encoding="utf-8", newline="") as file:
                csv.writer(file).writerows([COLUMNS, *rows])
            for name in {row[0] for row in rows} if sounds else ():
                write_wav(tmp_path / "audio_files" / name)
        return tmp_path

    return write
