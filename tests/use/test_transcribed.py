"""A folder of transcripts knows which of them are complete."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from steermoe_core.errors import CheckpointError
from steermoe_core.use.transcribed import NAME, Transcribed

if TYPE_CHECKING:
    from pathlib import Path

    from steermoe_core.system.records import Json


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    """Return an adapter's folder."""
    folder = tmp_path / "adapter"
    folder.mkdir()
    for name in ("experiment.toml", "adapter.json", "adapter.safetensors"):
        (folder / name).write_text(name)
    return folder


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """Return a sound file."""
    file = tmp_path / "a.wav"
    file.write_bytes(b"sound")
    return file


def folder(tmp_path: Path, adapter: Path, **options: Json) -> Transcribed:
    """Return the folder of transcripts as the next call finds it."""
    return Transcribed(tmp_path, adapter, options)


def test_what_was_written_is_there(tmp_path: Path, adapter: Path, sound: Path) -> None:
    """For a later call with the same model and options, in subfolders too."""
    folder(tmp_path, adapter, words=True).write("deep/a.txt", sound, "text\n")

    assert (tmp_path / "deep" / "a.txt").read_text() == "text\n"
    assert folder(tmp_path, adapter, words=True).has("deep/a.txt", sound)
    assert not folder(tmp_path, adapter, words=True).has("a.txt", sound)
    assert not folder(tmp_path, adapter, words=False).has("deep/a.txt", sound)


@pytest.mark.parametrize("changed", ["adapter.safetensors", "experiment.toml", "a.wav", "a.txt"])
def test_a_change_counts(tmp_path: Path, adapter: Path, sound: Path, changed: str) -> None:
    """Of the model, of the sound, and a transcript that is gone."""
    folder(tmp_path, adapter).write("a.txt", sound, "text\n")
    if changed == "a.txt":
        (tmp_path / changed).unlink()
    else:
        (adapter / changed if changed.startswith(("adapter", "exp")) else sound).write_bytes(
            b"something else"
        )

    assert not folder(tmp_path, adapter).has("a.txt", sound)


def test_a_line_that_was_cut_off(tmp_path: Path, adapter: Path, sound: Path) -> None:
    """Counts as none; the others stay."""
    folder(tmp_path, adapter).write("a.txt", sound, "text\n")
    with (tmp_path / NAME).open("a") as file:
        file.write('{"output": "b.t')

    assert folder(tmp_path, adapter).has("a.txt", sound)
    assert not folder(tmp_path, adapter).has("b.txt", sound)


def test_a_stream_is_never_there(tmp_path: Path, adapter: Path) -> None:
    """It is written, and nothing is noted."""
    one = folder(tmp_path, adapter)
    one.write("stdin.txt", None, "text\n")
    assert (tmp_path / "stdin.txt").is_file()
    assert not (tmp_path / NAME).exists()
    assert not folder(tmp_path, adapter).has("stdin.txt", None)


def test_a_folder_that_cannot_be_made(tmp_path: Path, adapter: Path, sound: Path) -> None:
    """The file that was not saved, and what to do."""
    (tmp_path / "deep").write_text("a file")
    with pytest.raises(CheckpointError, match=r"deep/a\.txt was not saved .* another --output folder"):
        folder(tmp_path, adapter).write("deep/a.txt", sound, "text\n")
