"""Small tables of sound as people have them: parquet, `save_to_disk`, manifests, processed speech."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile

from tests.tiny import RATE, sine

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

TEXTS = ("one", "two", "three")
#: FFmpeg's names of containers.
FORMATS = {".m4a": "ipod", ".mp4": "mp4", ".mov": "mov", ".webm": "webm", ".mka": "matroska"}


def sound(seconds: float = 0.5, rate: int = RATE, kind: str = "FLAC", hertz: float = 440.0) -> bytes:
    """Return the content of a sound file."""
    file = io.BytesIO()
    soundfile.write(file, sine(seconds, rate, hertz), rate, format=kind)
    return file.getvalue()


def write_container(
    path: Path, codec: str, seconds: float = 2.0, rate: int = 48_000, *, seekable: bool = True, **options: str
) -> Path:
    """Write a stereo sine wave with PyAV.

    :param seekable: False writes as into a pipe, where the header cannot say how long it is.
    :param options: of the container's writer.
    """
    import av

    class Pipe:
        """Takes bytes in their order."""

        def __init__(self, file: Any) -> None:
            self.write = file.write

    wave = np.stack([sine(seconds, rate)] * 2)
    with path.open("wb") as file:
        place = file if seekable else Pipe(file)
        with av.open(place, "w", format=FORMATS[path.suffix], options=options) as container:
            stream = container.add_stream(codec, rate=rate, layout="stereo")
            for start in range(0, wave.shape[1], 960):
                frame = av.AudioFrame.from_ndarray(
                    np.ascontiguousarray(wave[:, start : start + 960]), "fltp", "stereo"
                )
                frame.sample_rate = rate
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return path


def columns(texts: Iterable[str] = TEXTS, seconds: float = 0.5, **more: Any) -> dict[str, list[Any]]:
    """Return columns as `datasets` has them: pairs of bytes and path, and texts; each clip has its tone."""
    texts = list(texts)
    pairs = [{"bytes": sound(seconds, hertz=200.0 + 40 * n), "path": f"{n}.flac"} for n in range(len(texts))]
    return {"audio": pairs, "text": texts, **more}


def processed_samples(texts: Iterable[str] = TEXTS, seconds: float = 0.5, rate: int = RATE) -> dict[str, Any]:
    """Return columns of speech that was processed to 16-bit samples; labels are of some other tokenizer."""
    texts = list(texts)
    samples = (sine(seconds, rate) * 2**15).astype(np.int16)
    return {
        "input_features": [samples for _ in texts],
        "labels": [[9999, 1] for _ in texts],
        "input_length": [seconds for _ in texts],
        "attention_mask": [[1, 1] for _ in texts],
        "text": texts,
        "sample_rate": [rate for _ in texts],
    }


def processed_mels(
    texts: Iterable[str] = TEXTS, seconds: float = 0.5, bins: int = 8, frames: int = 300
) -> dict[str, Any]:
    """Return columns of speech that was processed to padded log-mels (bins, frames)."""
    texts = list(texts)
    mel = np.arange(bins * frames, dtype=np.float32).reshape(bins, frames)
    return {
        "input_features": [mel + number for number, _ in enumerate(texts)],
        "labels": [[9999, 1] for _ in texts],
        "input_length": [seconds for _ in texts],
        "text": texts,
    }


def write_parquet(path: Path, values: Mapping[str, Any], rows_a_group: int = 2) -> Path:
    """Write a parquet file of several row groups."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    plain = {name: [_plain(value) for value in column] for name, column in values.items()}
    pq.write_table(pa.table(plain), path, row_group_size=rows_a_group)
    return path


def save_to_disk(path: Path, values: Mapping[str, Any], shards: int | None = None) -> Path:
    """Write a set as `datasets` does."""
    from datasets import Audio, Dataset

    found = Dataset.from_dict(dict(values))
    if "audio" in values:
        found = found.cast_column("audio", Audio(decode=False))
    found.save_to_disk(path, num_shards=shards)
    return path


def save_dictionary(path: Path, parts: Iterable[str]) -> Path:
    """Write a dictionary of sets as `datasets` does."""
    from datasets import Dataset, DatasetDict

    DatasetDict({part: Dataset.from_dict(columns()) for part in parts}).save_to_disk(path)
    return path


def write_manifest(path: Path, *lines: Mapping[str, Any]) -> Path:
    """Write a JSON object a line."""
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) and value.ndim > 1 else value
