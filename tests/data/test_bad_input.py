"""What a user reads when a source is not what it should be: one sentence, with the place and what to do."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from steermoe_core.data.audio.waveform import load
from steermoe_core.data.config import DiskConfig, FolderConfig, HubConfig, JsonlConfig, ParquetConfig
from steermoe_core.data.sources.folder import read_folder
from steermoe_core.data.sources.jsonl import read_jsonl
from steermoe_core.data.sources.tables import read_disk, read_hub, read_parquet
from steermoe_core.data.usable import usable
from steermoe_core.errors import DataError, SetupError
from tests.sounds import (
    columns,
    processed_mels,
    processed_samples,
    save_dictionary,
    save_to_disk,
    sound,
    write_manifest,
    write_parquet,
)
from tests.tiny import write_folder, write_table, write_wav

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from steermoe_core.data.example import Example

READERS = {
    "folder": (read_folder, FolderConfig),
    "jsonl": (read_jsonl, JsonlConfig),
    "parquet": (read_parquet, ParquetConfig),
    "disk": (read_disk, DiskConfig),
    "hub": (read_hub, HubConfig),
}


def read(use: str, path: Path, **settings: Any) -> list[Example]:
    """Read a source with some settings."""
    reader, config = READERS[use]
    examples: list[Example] = reader(config(path=str(path) if use == "hub" else path, **settings))
    return examples


def read_table(place: Path, values: dict[str, Any], **settings: Any) -> list[Example]:
    """Read a parquet file with some columns."""
    return read("parquet", write_parquet(place / "t.parquet", values), **settings)


def read_lines(place: Path, *lines: Any, **settings: Any) -> list[Example]:
    """Read a manifest with some lines, beside a sound file a.wav."""
    write_wav(place / "a.wav")
    return read("jsonl", write_manifest(place / "m.jsonl", *lines), **settings)


def one(place: Path, values: dict[str, Any], **settings: Any) -> Any:
    """Read a table and hear its first clip."""
    return load(read_table(place, values, **settings)[0].audio, 16_000)


def without(name: str, values: dict[str, Any]) -> dict[str, Any]:
    """Return columns without one."""
    return {key: value for key, value in values.items() if key != name}


def empty_folder(place: Path) -> Path:
    """Write a table of sound files that are not there."""
    return write_table(place, [{"file_name": "x.wav", "text": "a"}]).parent


def broken(path: Path, content: bytes = b"PAR1 and nothing more") -> Path:
    """Write a file that is damaged."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def half_saved(place: Path) -> Path:
    """Write two sets, the second of which was never finished."""
    save_to_disk(place / "batch_0_10", columns())
    (save_to_disk(place / "batch_10_20", columns()) / "state.json").unlink()
    return place


def lost_file(place: Path) -> Path:
    """Write a set whose table is gone."""
    (save_to_disk(place, columns()) / "data-00000-of-00001.arrow").unlink()
    return place


def selection(place: Path) -> Path:
    """Write a set as old versions of datasets wrote a selection of its rows."""
    state = json.loads((save_to_disk(place, columns()) / "state.json").read_text())
    (place / "state.json").write_text(json.dumps({**state, "_indices_data_files": [{"filename": "i.arrow"}]}))
    return place


ONE = {"audio": "a.wav", "text": "one"}

FILES = {
    "folder": (lambda p: read("folder", p / "no"), "no: there is no such folder"),
    "folder without table": (
        lambda p: read("folder", p),
        "no metadata.csv; write one with columns file_name",
    ),
    "jsonl": (lambda p: read("jsonl", p / "m.jsonl"), "m.jsonl: there is no such manifest"),
    "jsonl empty": (read_lines, "m.jsonl: the manifest has no lines"),
    "jsonl no json": (
        lambda p: read("jsonl", broken(p / "m.jsonl", b'{"audio": 1}\n{"audio"')),
        "m.jsonl:2: the line is not JSON",
    ),
    "jsonl no object": (
        lambda p: read("jsonl", broken(p / "m.jsonl", b"[1]\n")),
        "m.jsonl:1: the line must be an object in braces, is [1]",
    ),
    "jsonl encoding": (
        lambda p: read("jsonl", broken(p / "m.jsonl", b"\xff\xfe\n")),
        "cannot be read as UTF-8",
    ),
    "parquet": (lambda p: read("parquet", p / "no.parquet"), "no.parquet: there is no parquet file"),
    "parquet folder": (lambda p: read("parquet", p), "there is no parquet file"),
    "parquet damaged": (
        lambda p: read("parquet", broken(p / "a.parquet")),
        "a.parquet: cannot be read as a parquet or Arrow file",
    ),
    "parquet other": (
        lambda p: read("parquet", broken(p / "a.parquet", b"text,audio\n")),
        "a.parquet: cannot be read as a parquet or Arrow file",
    ),
    "parquet no rows": (
        lambda p: read_table(p, {"audio": [], "text": []}),
        "t.parquet: the tables have no rows",
    ),
    "disk": (lambda p: read("disk", p / "no"), "no: there is no such folder"),
    "disk other": (lambda p: read("disk", p), "nothing that save_to_disk wrote is there"),
    "disk unfinished": (
        lambda p: read("disk", half_saved(p)),
        "batch_10_20: no set that save_to_disk wrote (state.json is missing); write it again or move it away",
    ),
    "disk damaged": (
        lambda p: read("disk", broken(p / "state.json", b"{").parent),
        "state.json: is damaged; write the set again",
    ),
    "disk lost": (lambda p: read("disk", lost_file(p)), "data-00000-of-00001.arrow: there is no such file"),
    "disk old": (lambda p: read("disk", selection(p)), "a selection saved by an old version of datasets"),
}

COLUMNS = {
    "folder": (
        lambda p: read("folder", write_folder(p), text_column="said"),
        "no column 'said'; its columns are",
    ),
    "jsonl": (
        lambda p: read_lines(p, {"audio": "a.wav"}),
        "m.jsonl: there is no column 'transcription' or 'text'; its columns are audio; name",
    ),
    "two usual texts": (
        lambda p: read_lines(p, ONE | {"transcription": "1"}),
        "the columns 'transcription' and 'text' may each hold the text; choose one with `text_column`",
    ),
    "two other texts": (
        lambda p: read_table(p, without("text", columns(["a"], sentence=["a"], transcript=["b"]))),
        "t.parquet: the columns 'sentence' and 'transcript' may each hold the text",
    ),
    "jsonl audio": (lambda p: read_lines(p, {"text": "a"}), "there is no column 'audio' or 'audio_filepath'"),
    "jsonl named": (
        lambda p: read_lines(p, ONE, prompt_column="q"),
        "no column 'q'; its columns are audio, text",
    ),
    "jsonl one line": (
        lambda p: read_lines(p, ONE, {"audio": "b.wav"}),
        "m.jsonl:2: column 'text' must hold text, is empty",
    ),
    "jsonl a number": (
        lambda p: read_lines(p, {"audio": "a.wav", "text": 1}),
        "m.jsonl:1: column 'text' must hold text, is 1",
    ),
    "jsonl no name": (
        lambda p: read_lines(p, {"audio": 3, "text": ""}),
        "m.jsonl:1: 'audio' must name a sound file, is 3",
    ),
    "jsonl references": (
        lambda p: read_lines(p, {**ONE, "references": "one"}),
        "m.jsonl:1: column 'references' must hold a list of texts, is 'one'",
    ),
    "parquet": (
        lambda p: read_table(p, {"wav": [b""], "text": ["a"]}),
        "no column 'audio' or 'input_features'",
    ),
    "parquet text": (
        lambda p: read_table(p, {"audio": [sound()]}),
        "no column 'transcription' or 'text'; its columns are audio; name the column with the text",
    ),
    "parquet kind": (
        lambda p: read_table(p, {"audio": [3], "text": ["a"]}),
        "'audio' is int64, which is no audio",
    ),
    "parquet text as audio": (
        lambda p: read_table(p, {"audio": ["hello there", "good morning"], "text": ["a", "b"]}),
        "'audio' holds text, and none of it is the path of a file here (the first is 'hello there', looked",
    ),
    "parquet null": (
        lambda p: read_table(p, columns(["a", "b"]) | {"text": ["a", None]}),
        "t.parquet row 1: column 'text' must hold text, is empty",
    ),
    "parquet ids": (
        lambda p: read_table(p, columns(["a", "b"], key=["x", "x"]), id_column="key"),
        "t.parquet row 1: the id 'x' has a row already",
    ),
    "disk": (
        lambda p: read("disk", save_to_disk(p, columns()), audio_column="wav"),
        "data-00000-of-00001.arrow: there is no column 'wav'; its columns are audio, text",
    ),
    "disk processed": (
        lambda p: read("disk", save_to_disk(p, without("text", processed_samples()))),
        "the texts are token ids in column 'labels'; set `tokenizer` to what made them",
    ),
    "divided twice": (
        lambda p: read_table(p, columns(["a"], fold=["x"]), split_column="fold", parts={"dev": 0.5}),
        "its column 'fold' divides it already; leave out `parts`",
    ),
    "dictionary divided twice": (
        lambda p: read("disk", save_dictionary(p, ["train"]), parts={"dev": 0.5}),
        "its splits train divide it already; leave out `parts`",
    ),
}

LENGTHS = {
    "jsonl": (
        lambda p: read_lines(p, {**ONE, "seconds": "long"}),
        "m.jsonl:1: 'seconds' must be a number of seconds, is 'long'",
    ),
    "jsonl offset": (
        lambda p: read_lines(p, {**ONE, "offset": -1}),
        "m.jsonl:1: 'offset' must be a number of seconds, is -1",
    ),
    "parquet": (
        lambda p: read_table(p, columns(["a"], length=["x"]), seconds_column="length"),
        "t.parquet row 0: length must be a number of seconds, is 'x'",
    ),
    "log-mels null": (
        lambda p: read_table(p, processed_mels(["a"]) | {"input_length": [None]}),
        "t.parquet row 0: input_length must be a number of seconds, is None",
    ),
    "cut off": (
        lambda p: read_table(p, processed_mels(["a"], seconds=3.5))[0].audio.features(),
        "t.parquet row 0: the features end after 3 s, the clip after 3.5 s",
    ),
}

RATES = {
    "missing": (
        lambda p: read_table(p, without("sample_rate", processed_samples())),
        "t.parquet row 0: samples need their rate, but column 'sample_rate' is missing",
    ),
    "null": (
        lambda p: read_table(p, processed_samples(["a", "b"]) | {"sample_rate": [16_000, None]}),
        "t.parquet row 1: samples need their rate, but column 'sample_rate' is None",
    ),
    "nonsense": (
        lambda p: read_table(p, processed_samples(["a"]) | {"sample_rate": [0]}),
        "t.parquet row 0: samples need their rate, but column 'sample_rate' is 0",
    ),
}

SHAPES = {
    "not audio": (lambda p: one(p, {"audio": [b"text"], "text": ["a"]}), "row 0: cannot be read as audio"),
    "no bytes": (
        lambda p: one(p, {"audio": [{"bytes": None, "path": None}], "text": ["a"]}),
        "row 0: column 'audio' has neither bytes nor a path",
    ),
    "null": (
        lambda p: load(read_table(p, {"audio": [sound(), None], "text": ["a", "b"]})[1].audio, 16_000),
        "row 1: column 'audio' is empty",
    ),
    "no samples": (
        lambda p: one(p, {"audio": [[], [0.5]], "text": ["a", "b"], "sample_rate": [8, 8]}),
        "no samples",
    ),
    "too loud": (
        lambda p: one(p, {"audio": [[40_000]], "text": ["a"], "sample_rate": [8]}),
        "row 0: whole numbers in 'audio' must be 16-bit samples, but some are larger",
    ),
    "not finite": (
        lambda p: one(p, {"audio": [[0.0, float("nan")]], "text": ["a"], "sample_rate": [8]}),
        "row 0: the audio holds values that are not finite",
    ),
    "mels as sound": (lambda p: one(p, processed_mels()), "holds log-mel features, which cannot be played"),
    "uneven mels": (
        lambda p: read_table(
            p, {"audio": [[[1.0, 2.0], [1.0]]], "text": ["a"], "s": [0.01]}, seconds_column="s"
        )[0].audio.features(),
        "row 0: 'audio' must be a list of bins with equally many frames each",
    ),
    "mels not finite": (
        lambda p: read_table(p, processed_mels(["a"]) | {"input_features": [np.full((8, 300), np.inf)]})[
            0
        ].audio.features(),
        "row 0: the features hold values that are not finite",
    ),
    "mels at speeds": (
        lambda p: read_table(p, processed_mels(), speeds=[1.1]),
        "log-mel features cannot be played at other speeds; leave out `speeds`",
    ),
    "a deeper list": (lambda p: read_table(p, {"audio": [[[[1]]]], "text": ["a"]}), "which is no audio"),
    "folder": (
        lambda p: usable(read("folder", empty_folder(p)), 0.1, 30.0, 0.0),
        "1 of 1 clips cannot be read, more than the share 0 that data.max_bad allows (",
    ),
}


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        pytest.param(*case, id=f"{group}-{name}")
        for group, cases in {
            "file": FILES, "column": COLUMNS, "length": LENGTHS, "rate": RATES, "shape": SHAPES,
        }.items()
        for name, case in cases.items()
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(tmp_path: Path, fault: Callable[[Path], object], sentence: str) -> None:
    """File, row and fault are in one sentence."""
    with pytest.raises(DataError) as caught:
        fault(tmp_path)

    assert sentence in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("use", ["jsonl", "parquet", "disk"])
def test_a_part_that_is_not_there(tmp_path: Path, use: str) -> None:
    """The parts that there are are named, or how to get some."""
    path = {
        "jsonl": partial(write_manifest, tmp_path / "m.jsonl", {**ONE, "split": "train"}),
        "parquet": partial(write_parquet, tmp_path / "t.parquet", columns(fold=["train"] * 3)),
        "disk": partial(save_dictionary, tmp_path, ["train"]),
    }[use]()
    settings = {"split_column": "fold"} if use == "parquet" else {}
    write_wav(tmp_path / "a.wav")

    with pytest.raises(DataError, match="no clip belongs to split 'dev'; its parts are train"):
        read(use, path, split="dev", **settings)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [({"split": "nope"}, 'Unknown split "nope"'), ({"name": "nope"}, "BuilderConfig 'nope' not found")],
)
def test_what_a_hub_set_does_not_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], sentence: str
) -> None:
    """A configuration or split that is not there is told with those that are."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    write_parquet(tmp_path / "set" / "data" / "train-0.parquet", columns())

    with pytest.raises(DataError, match=sentence):
        read("hub", tmp_path / "set", **settings)


@pytest.mark.parametrize("error", [ConnectionError("Couldn't reach it"), OSError(), RuntimeError("a\nb")])
def test_a_hub_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """It is the machine's fault, not the data's, and a copy is the way out."""

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("huggingface_hub.hf_hub_download", fail)
    monkeypatch.setattr("datasets.load_dataset", fail)

    with pytest.raises(
        SetupError, match=r"'a/b' is not available from the hub \(.*use = \"parquet\""
    ) as caught:
        read_hub(HubConfig(path="a/b"))

    assert "\n" not in str(caught.value)
