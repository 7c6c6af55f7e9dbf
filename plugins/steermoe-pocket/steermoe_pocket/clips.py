"""A folder of clips: FLAC files and a `metadata.csv`, as audio folders have it."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import attrs
import soundfile

from steermoe_core.data.example import Example
from steermoe_core.data.split import normalise_text
from steermoe_pocket.text import part, spelled

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    #: Id, text and waveform (samples,) at `RATE`.
    Recording = tuple[str, str, NDArray[np.float32]]

#: Samples a second of every clip in the cache.
RATE = 16_000
_TABLE = "metadata.csv"
_COLUMNS = ("file_name", "transcription", "seconds")


@attrs.frozen
class Clip:
    """One recording.

    :param id: unique within its source.
    :param audio: the sound file.
    :param text: the transcript as it was written.
    :param seconds: duration.
    :param part: the part that it belongs to whatever its text is; None leaves it to the law of `text.part`.
    :param language: of the text, as an ISO code.
    :param voice: name of the synthetic voice, where a source has several.
    """

    id: str
    audio: Path
    text: str
    seconds: float
    part: str | None = None
    language: str = "en"
    voice: str | None = None

    def example(self, numbers: str) -> Example:
        """Return the clip for training or scoring.

        :param numbers: "written" keeps digits, "spelled" puts them in words.
        """
        words = spelled(self.text, self.language)
        return Example(
            id=self.id,
            audio=self.audio,
            text=words if numbers == "spelled" else normalise_text(self.text),
            seconds=self.seconds,
            cluster=words,
            labels={"language": self.language, **({"voice": self.voice} if self.voice else {})},
            split=self.part or part(self.text, self.language),
        )


def write(folder: Path, clips: Iterable[Recording]) -> None:
    """Write FLAC files (16 bit) and their table.

    :param clips: slashes in an id become folders.
    """
    with (folder / _TABLE).open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(_COLUMNS)
        for name, text, waveform in clips:
            path = folder / f"{name}.flac"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, waveform, RATE, subtype="PCM_16")
            table.writerow([f"{name}.flac", text, f"{len(waveform) / RATE:.4f}"])


def read(folder: Path) -> list[Clip]:
    """Return the clips of a folder that `write` made, in the order that they were written."""
    with (folder / _TABLE).open(encoding="utf-8", newline="") as file:
        return [_clip(folder, row) for row in csv.DictReader(file)]


def load(audio: Path) -> NDArray[np.float32]:
    """Return the waveform (samples,) of a file that `write` made."""
    waveform: NDArray[np.float32] = soundfile.read(audio, dtype="float32")[0]
    return waveform


def _clip(folder: Path, row: dict[str, str]) -> Clip:
    name = row["file_name"]
    return Clip(name.removesuffix(".flac"), folder / name, row["transcription"], float(row["seconds"]))
