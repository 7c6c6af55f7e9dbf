"""Lines of JSON become examples: whole files, and spans of files."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soundfile

from steermoe_core.data.audio.stored import Segment
from steermoe_core.data.audio.waveform import duration, load
from steermoe_core.data.config import JsonlConfig
from steermoe_core.data.sources.jsonl import read_jsonl
from tests.sounds import write_manifest
from tests.tiny import write_wav

if TYPE_CHECKING:
    from pathlib import Path

    from steermoe_core.data.example import Example


def read(path: Path, **settings: Any) -> list[Example]:
    """Read a manifest with some settings."""
    return read_jsonl(JsonlConfig(path=path, **settings))


@pytest.fixture
def steps(tmp_path: Path) -> Path:
    """Write a sound of two seconds, whose loudness rises by a tenth each tenth of a second."""
    soundfile.write(tmp_path / "a.wav", np.repeat(np.arange(20) / 20, 800), 8_000, subtype="FLOAT")
    return tmp_path


def test_the_standard_keys(tmp_path: Path) -> None:
    """They mean something without a setting; a blank line does not."""
    write_wav(tmp_path / "clips" / "a.wav")
    line = {
        "audio": "clips/a.wav", "text": " yes ", "id": "x", "seconds": 0.5, "prompt": "is it?",
        "speaker": "anna", "split": "dev", "references": ["yes", "no"], "labels": {"kind": "binary"},
    }  # fmt: skip
    path = write_manifest(tmp_path / "m.jsonl", line)
    path.write_text(path.read_text() + "\n\n", encoding="utf-8")

    (example,) = read(path)

    assert example.audio == tmp_path / "clips" / "a.wav"
    assert (example.id, example.text, example.prompt, example.cluster) == ("x", "yes", "is it?", "anna")
    assert (example.split, example.references) == ("dev", ("yes", "no"))
    assert (example.seconds, example.labels) == (0.5, {"kind": "binary"})
    assert read(path, split="dev") == [example]


def test_keys_of_other_tools(steps: Path) -> None:
    """`audio_filepath` and `duration` are known; any other names can be given."""
    path = write_manifest(steps / "m.jsonl", {"audio_filepath": "a.wav", "duration": 2.0, "text": "one"})
    other = write_manifest(steps / "n.jsonl", {"wav": "a.wav", "from": 0.5, "len": 0.25, "said": "one"})

    assert read(path)[0].audio == steps / "a.wav"
    names = {
        "audio_column": "wav",
        "offset_column": "from",
        "seconds_column": "len",
        "text_column": "said",
    }
    assert read(other, **names)[0].audio == Segment(steps / "a.wav", 0.5, 0.25)


def test_spans_of_a_file(steps: Path) -> None:
    """A line with an offset is heard from there, for its seconds or to the end."""
    lines = [
        {"audio": "a.wav", "text": "one", "offset": 0.5, "duration": 0.1},
        {"audio": "a.wav", "text": "two", "offset": 1.5},
        {"audio": "a.wav", "text": "all"},
    ]

    first, second, third = read(write_manifest(steps / "m.jsonl", *lines))

    np.testing.assert_allclose(load(first.audio, 8_000), np.full(800, 0.25), atol=1e-6)
    assert load(second.audio, 8_000)[[0, -1]].tolist() == pytest.approx([0.75, 0.95])
    assert [len(load(e.audio, 16_000)) for e in (first, second, third)] == [1_600, 8_000, 32_000]
    assert [e.seconds for e in (first, second, third)] == [0.1, 0.5, 2.0]
    assert [e.id for e in (first, second, third)] == ["a.wav@0.5", "a.wav@1.5", "a.wav"]
    assert duration(first.audio) == pytest.approx(0.1)


@pytest.mark.parametrize("suffix", ["flac", "ogg", "mp3"])
def test_spans_of_compressed_files(tmp_path: Path, suffix: str) -> None:
    """Any format is cut at the right place."""
    quiet_then_loud = np.concatenate([np.zeros(16_000), 0.5 * np.sin(np.arange(16_000))])
    soundfile.write(tmp_path / f"a.{suffix}", quiet_then_loud, 16_000)

    quiet = load(Segment(tmp_path / f"a.{suffix}", 0.2, 0.5), 16_000)
    loud = load(Segment(tmp_path / f"a.{suffix}", 1.2, 0.5), 16_000)

    assert len(quiet) == len(loud) == 8_000
    assert quiet.std() < 0.01
    assert loud.std() == pytest.approx(0.35, abs=0.05)


def test_a_given_duration_is_not_measured(tmp_path: Path) -> None:
    """A manifest that knows its seconds is read without opening a file, but a file has to be there."""
    (tmp_path / "a.wav").write_bytes(b"not looked into")
    lines = [{"audio": f"{name}.wav", "text": name, "seconds": 3.5} for name in "ab"]

    present, absent = read(write_manifest(tmp_path / "m.jsonl", *lines))

    assert present.seconds == 3.5
    assert math.isnan(absent.seconds)


def test_a_span_beyond_the_end_has_no_duration(steps: Path) -> None:
    """Where nothing says how long it is, it is measured; a span that is not there is a bad clip."""
    (example,) = read(write_manifest(steps / "m.jsonl", {"audio": "a.wav", "text": "one", "offset": 2.5}))

    assert math.isnan(example.seconds)
