"""Whole runs on tiny parts, as the engine's own tests have them, and small sets as the leaderboard's."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from tests.conftest import decoder_folder, finished, rig, rig_plugin, site, trained_once
from tests.tiny import RATE, sine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["decoder_folder", "finished", "rig", "rig_plugin", "site", "trained_once"]

EARNINGS = "earnings22_cleaned_aa_chunked"


def write_set(folder: Path, rows: Sequence[Mapping[str, Any]], audio: bytes = b"") -> None:
    """Write a set with an audio column; each clip has its own length and tone, or the given content."""
    folder.mkdir(parents=True)
    audios = [
        {"bytes": audio or flac(0.3 + 0.1 * n, 200.0 + 50.0 * n), "path": f"{n}.flac"}
        for n in range(len(rows))
    ]
    table = pa.Table.from_pylist([{**row, "audio": one} for row, one in zip(rows, audios, strict=True)])
    pq.write_table(table, folder / "test-00000-of-00001.parquet")


def flac(seconds: float, hertz: float, rate: int = RATE) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, sine(seconds, rate, hertz), rate, format="FLAC")
    return file.getvalue()


def session(parent: str, text: str, chunks: Sequence[int]) -> list[dict[str, Any]]:
    return [
        {"parent_id": parent, "chunk_index": n, "text": text, "file_name": f"{parent}-{n}.flac"}
        for n in chunks
    ]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a folder with two sets: one of clips, two of which are not scored, and one of sessions."""
    folder = tmp_path / "data"
    texts = ("Three, four!", "uh", "one two", "ignore time segment in scoring", "Alan said OK")
    write_set(folder / "ami_cleaned", [{"id": f"ami/{n}.wav", "text": text} for n, text in enumerate(texts)])
    rows = [*session("b", "seven eight nine", (2, 0, 1)), *session("a", "four five", (1, 0))]
    write_set(folder / EARNINGS, rows)
    return folder
