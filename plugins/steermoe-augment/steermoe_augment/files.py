"""Sound files from which noise and impulse responses are drawn."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from steermoe_core import DataError, durations

if TYPE_CHECKING:
    import numpy as np

SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".aif", ".m4a", ".mp4", ".webm"})


class SoundFiles:
    """The sound files of a folder in the order of their paths, or one file.

    :param path: the folder, searched with its sub-folders, or the file.
    :raises DataError: there is none, or one of them cannot be read.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            msg = f"{path}: there is no such file or folder; set path to a folder with sound files"
            raise DataError(msg)
        found = [path] if path.is_file() else [file for file in path.rglob("*") if _is_sound(file)]
        self.files = sorted(found, key=Path.as_posix)
        if not self.files:
            msg = f"{path}: the folder has no sound file ({', '.join(sorted(SUFFIXES))})"
            raise DataError(msg)
        self.seconds = durations(self.files)
        for file, seconds in zip(self.files, self.seconds, strict=True):
            if math.isnan(seconds):
                msg = f"{file}: the sound file cannot be read; replace or remove it"
                raise DataError(msg)

    def draw(self, random: np.random.Generator) -> tuple[Path, float]:
        """Return a random file and its length in seconds."""
        number = int(random.integers(len(self.files)))
        return self.files[number], self.seconds[number]


def _is_sound(file: Path) -> bool:
    return file.suffix.lower() in SUFFIXES and file.is_file()
