"""A large source is read once; what comes from its index is what reading it gives."""

from __future__ import annotations

import math
import multiprocessing
import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from steermoe_core.data import index
from steermoe_core.data.config import DiskConfig, FolderConfig, HubConfig, JsonlConfig, ParquetConfig
from steermoe_core.data.examples import Examples, Listed
from steermoe_core.data.sources import rows
from steermoe_core.data.sources.folder import read_folder
from steermoe_core.data.sources.jsonl import read_jsonl
from steermoe_core.data.sources.tables import read_disk, read_hub, read_parquet
from steermoe_core.errors import CheckpointError, DataError
from tests.sounds import (
    columns,
    processed_mels,
    processed_samples,
    save_dictionary,
    save_to_disk,
    write_manifest,
    write_parquet,
)
from tests.tiny import write_folder, write_wav

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


NAMES = [f"text {number}" for number in range(7)]


@pytest.fixture(autouse=True)
def tables(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let every source have an index, in chunks of three rows; return their folder."""
    monkeypatch.setattr(index, "LEAST", 1)
    for module in ("index_rows", "examples", "sources.rows"):
        monkeypatch.setattr(f"steermoe_core.data.{module}.CHUNK", 3)
    return own_cache / "tables"


def manifest(place: Path, count: int = 7, **more: Any) -> Path:
    """Write a manifest of whole files and spans, with all that a line may say."""
    lines = []
    for number in range(count):
        write_wav(place / f"{number}.wav", 0.5 + number / 10)
        span = {"offset": 0.1, "seconds": 0.25} if number % 3 == 1 else {}
        said = {"references": ["yes", "no"], "labels": {"b": "1", "a": "2"}} if number % 2 else {}
        lines.append(
            {
                "audio": f"{number}.wav",
                "text": f"Text {number}",
                "speaker": f"s{number % 2}",
                **span,
                **said,
                **more,
            }
        )
    (place / "3.wav").unlink()
    return write_manifest(place / "m.jsonl", *lines)


def questions(place: Path) -> Path:
    """Write a manifest with questions, several of one file."""
    write_wav(place / "a.wav")
    write_wav(place / "b.wav")
    lines = [{"audio": f"{name}.wav", "text": "yes", "prompt": f"{n}?"} for n in range(3) for name in "abaa"]
    return write_manifest(place / "m.jsonl", *lines)


def dictionary(place: Path) -> Path:
    """Write a dictionary of sets."""
    save_dictionary(place / "d", ["train", "dev", "test"])
    return place / "d"


#: What writes a source, and what reads it.
SOURCES: dict[str, Any] = {
    "jsonl": (manifest, lambda p: read_jsonl(JsonlConfig(path=p))),
    "jsonl with questions": (questions, lambda p: read_jsonl(JsonlConfig(path=p))),
    "jsonl, divided": (
        manifest,
        lambda p: read_jsonl(JsonlConfig(path=p, parts={"dev": 0.5}, split="dev")),
    ),
    "jsonl, at speeds": (manifest, lambda p: read_jsonl(JsonlConfig(path=p, speeds=[1.0, 1.1, 0.9]))),
    "folder": (lambda p: write_folder(p, NAMES), lambda p: read_folder(FolderConfig(path=p))),
    "parquet": (
        lambda p: write_parquet(p / "t.parquet", columns(NAMES)),
        lambda p: read_parquet(ParquetConfig(path=p)),
    ),
    "disk": (
        lambda p: save_to_disk(p / "set", columns(NAMES), 2),
        lambda p: read_disk(DiskConfig(path=p)),
    ),
    "disk, parts": (dictionary, lambda p: read_disk(DiskConfig(path=p, split="train+dev"))),
    "disk, samples": (
        lambda p: save_to_disk(p / "set", processed_samples(NAMES)),
        lambda p: read_disk(DiskConfig(path=p)),
    ),
    "disk, log-mels": (
        lambda p: save_to_disk(p / "set", processed_mels(NAMES)),
        lambda p: read_disk(DiskConfig(path=p)),
    ),
    "hub": (
        lambda p: write_parquet(p / "h" / "train.parquet", columns(NAMES)).parent,
        lambda p: read_hub(HubConfig(path=str(p))),
    ),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", SOURCES)
def test_lazy_is_eager(tmp_path: Path, tables: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The examples of an index, new or old, sent to another process or not, are those of the list."""
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "datasets")
    monkeypatch.setattr(index, "LEAST", 1_000)
    write, read = SOURCES[kind]
    path = write(tmp_path)
    eager = list(read(path))
    assert not tables.exists()
    monkeypatch.setattr(index, "LEAST", 1)

    made, opened = read(path), read(path)

    (folder,) = [path for path in tables.iterdir() if path.is_dir()]
    assert (folder / "examples.arrow").is_file()
    for lazy in (made, opened, pickle.loads(pickle.dumps(opened))):  # noqa: S301 - our own
        assert lazy == eager
        assert [repr(example) for example in lazy] == [repr(example) for example in eager]
        for column in ("id", "text", "prompt", "cluster", "references", "labels", "split", "audio", "speed"):
            assert list(lazy.values(column)) == [getattr(example, column) for example in eager]
        assert list(lazy.values("kind")) == [type(example.audio) for example in eager]
        for column in ("address", "file", "size"):
            assert list(lazy.values(column)) == list(Examples.of(eager).values(column))
        assert lazy.audio_kinds() == Examples.of(eager).audio_kinds()
        np.testing.assert_array_equal(lazy.seconds, [example.seconds for example in eager])


def unread(*_: Any, **__: Any) -> Any:
    """Refuse to read a source."""
    msg = "the source was read again"
    raise AssertionError(msg)


def test_it_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second time, neither a row nor a readable clip is looked into; other parts need no other index."""
    path = manifest(tmp_path)
    first = read_jsonl(JsonlConfig(path=path))
    monkeypatch.setattr(rows, "examples", unread)
    monkeypatch.setattr("steermoe_core.data.sources.jsonl.examples", unread)

    assert read_jsonl(JsonlConfig(path=path)) == first
    assert len(read_jsonl(JsonlConfig(path=path, speeds=[0.9, 1.1]))) == 14
    with pytest.raises(AssertionError, match="read again"):
        read_jsonl(JsonlConfig(path=path, parts={"dev": 0.5}))


CHANGES: dict[str, Any] = {
    "another row": lambda p: manifest(p, 6),
    "another text": lambda p: (p / "m.jsonl").write_text(
        (p / "m.jsonl").read_text().replace("Text 2", "Text 9")
    ),
    "another clip of the same size": lambda p: write_wav(p / "2.wav", 1.4, rate=8_000),
    "a longer clip": lambda p: write_wav(p / "2.wav", 0.9),
    "a clip that went": lambda p: (p / "2.wav").unlink(),
    "a clip that came": lambda p: write_wav(p / "3.wav", 0.9),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_source_is_read_again(
    tmp_path: Path, tables: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its new index takes the place of the old one."""
    path = manifest(tmp_path)
    before = list(read_jsonl(JsonlConfig(path=path)))
    CHANGES[change](tmp_path)

    after = read_jsonl(JsonlConfig(path=path))

    monkeypatch.setattr(index, "LEAST", 1_000)
    monkeypatch.setenv("STEERMOE_CACHE", str(tmp_path / "other"))
    assert after == read_jsonl(JsonlConfig(path=path))
    assert after != before
    assert len([folder for folder in tables.iterdir() if folder.is_dir()]) == 1


def test_a_clip_that_became_readable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing package is not remembered."""
    path = manifest(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("steermoe_core.data.sources.rows.durations", lambda clips: [math.nan for _ in clips])
        assert np.isnan(Examples.of(read_jsonl(JsonlConfig(path=path))).seconds).sum() == 5

    assert np.isnan(Examples.of(read_jsonl(JsonlConfig(path=path))).seconds).sum() == 1


def test_warnings_are_repeated(tmp_path: Path) -> None:
    """What reading it reported is reported whenever it is used."""
    folder = write_folder(tmp_path, NAMES)
    write_wav(folder / "extra.wav")

    for _ in range(2):
        with pytest.warns(UserWarning, match=r"1 sound files without a row .*extra\.wav"):
            read_folder(FolderConfig(path=folder))


def test_errors_leave_no_index(tmp_path: Path, tables: Path) -> None:
    """A bad row is an error each time, at any place in the table."""
    path = manifest(tmp_path)
    path.write_text(path.read_text() + '{"audio": "6.wav", "text": "again"}\n')

    for _ in range(2):
        with pytest.raises(DataError, match=r"m\.jsonl:8: 6\.wav has a row already"):
            read_jsonl(JsonlConfig(path=path))
    assert not [folder for folder in tables.iterdir() if folder.is_dir()]


def test_a_damaged_index_is_made_again(tmp_path: Path, tables: Path) -> None:
    """Whatever happened to it."""
    path = manifest(tmp_path)
    before = list(read_jsonl(JsonlConfig(path=path)))
    (file,) = tables.glob("*/examples.arrow")
    file.write_bytes(b"ARROW1 no more")

    assert read_jsonl(JsonlConfig(path=path)) == before


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says so, and what to do."""
    path = manifest(tmp_path)
    (tmp_path / "file").touch()
    monkeypatch.setenv("STEERMOE_CACHE", str(tmp_path / "file"))

    with pytest.raises(CheckpointError, match=r"was not saved .* set STEERMOE_CACHE to another folder"):
        read_jsonl(JsonlConfig(path=path))


def _read(path: Path, results: Any) -> None:
    results.put([example.id for example in read_jsonl(JsonlConfig(path=path))])


def test_several_processes_at_once(tmp_path: Path, tables: Path) -> None:
    """They end with one index, and all read the same."""
    path, context = manifest(tmp_path), multiprocessing.get_context("fork")
    results = context.Queue()
    processes = [context.Process(target=_read, args=(path, results)) for _ in range(3)]
    for process in processes:
        process.start()
    found = [results.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()

    assert found[0] == found[1] == found[2] == [one.id for one in read_jsonl(JsonlConfig(path=path))]
    assert len(list(tables.glob("*/index.json"))) == 1


def test_numbers_are_kept(tmp_path: Path, tables: Path) -> None:
    """What is computed for all rows is computed once, by its name; a part of the rows needs no other."""
    calls: list[Sequence[str]] = []

    def lengths(texts: Sequence[str]) -> list[int]:
        calls.append(texts)
        return [len(text) for text in texts]

    config = JsonlConfig(path=manifest(tmp_path), speeds=[1.0, 2.0])
    examples = Examples.of(read_jsonl(config))
    assert examples.derived("length", ["text"], lengths).tolist() == [6] * 14
    assert [len(texts) for texts in calls] == [3, 3, 1]

    again = Examples.of(read_jsonl(config)).take(np.array([8, 2]))
    assert again.derived("length", ["text"], lengths).tolist() == [6, 6]
    assert len(calls) == 3
    again.derived("another", ["text"], lengths)
    assert len(calls) == 6
    again.derived("", ["text"], lengths)
    again.derived("", ["text"], lengths)
    assert len(calls) == 12
    assert len(list(tables.glob("*/*.npy"))) == 3  # and the seconds


def test_the_rows_take_little_memory(tmp_path: Path) -> None:
    """Sent to a worker, examples are their numbers: no text is copied."""
    path = manifest(tmp_path)
    few = len(pickle.dumps(read_jsonl(JsonlConfig(path=path))))

    assert few < len(pickle.dumps(list(read_jsonl(JsonlConfig(path=path)))))


def test_files_are_listed_once(tmp_path: Path, tables: Path) -> None:
    """A table of audio has its name once in each batch of rows, not in every row."""
    path = write_parquet(tmp_path / "t.parquet", columns(NAMES))
    read_parquet(ParquetConfig(path=path))

    (file,) = tables.glob("*/examples.arrow")
    batches = list(pa.ipc.open_stream(file.read_bytes()))
    assert [len(batch) for batch in batches] == [3, 3, 1]
    assert [batch.column("file").dictionary.to_pylist() for batch in batches] == [[str(path)]] * 3
    assert isinstance(Listed([]).seconds, np.ndarray)
