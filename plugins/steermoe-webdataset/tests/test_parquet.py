"""The dataset `parquet-url`: rows of parquet shards in memory and behind a web server."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import fsspec
import pyarrow as pa
import pytest
from pyarrow import parquet

from steermoe_core import DataError
from steermoe_webdataset import parquet as module
from steermoe_webdataset.config import ParquetUrlConfig
from steermoe_webdataset.dataset import Samples
from tests.tars import sound

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture(autouse=True)
def _nothing_open() -> None:
    module._sounds.cache_clear()


def write(path: Path, rows: int = 5, **columns: list[Any]) -> Path:
    """Write a shard with two rows in a group, the audio as `datasets` writes it."""
    audio = [{"bytes": sound(0.2 + number / 10), "path": None} for number in range(rows)]
    texts = [f"text {number}" for number in range(rows)]
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.table({"audio": audio, "text": texts, **columns}), path, row_group_size=2)
    return path


def samples(path: Path, **settings: Any) -> Samples:
    """Return the dataset of some local shards."""
    return Samples(ParquetUrlConfig(url=f"file://{path}", **settings))


def test_a_row_is_a_clip(tmp_path: Path) -> None:
    """Shards in the order of their numbers; rows of all groups."""
    for number in (10, 2):
        write(tmp_path / f"s-{number}.parquet", 3)

    found = samples(tmp_path / "s-*.parquet")

    assert [one.id for one in found] == [f"s-{shard}/{row}" for shard in (2, 10) for row in range(3)]
    assert found[2].text == "text 2"
    assert found[2].seconds == pytest.approx(0.4)
    assert found[2].audio.content() == sound(0.4)
    assert str(found[2].audio) == f"row 0 of row group 1 in file://{tmp_path}/s-2.parquet"


def test_it_is_read_from_memory() -> None:
    """Any protocol of fsspec; audio may be plain bytes."""
    file = pa.BufferOutputStream()
    parquet.write_table(pa.table({"flac": [sound()], "said": ["one"], "who": [7]}), file)
    fsspec.filesystem("memory").pipe_file("/p/s.parquet", file.getvalue().to_pybytes())

    settings = {"audio_column": "flac", "text_column": "said", "cluster_column": "who"}
    (one,) = Samples(ParquetUrlConfig(url="memory://p/s.parquet", **settings))

    assert (one.text, one.cluster, one.audio.content()) == ("one", "7", sound())


def test_sounds_are_fetched_by_group_and_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not for the index, where the lengths are known; in any order of clips."""
    write(tmp_path / "s.parquet", seconds=[1.0] * 5)
    fetched: list[int] = []
    fetch = module._fetched
    monkeypatch.setattr(module, "_fetched", lambda *of: fetched.append(of[-1]) or fetch(*of))

    found = samples(tmp_path / "s.parquet", seconds_column="seconds")
    assert fetched == []
    assert [found[number].audio.content() for number in (4, 0, 1, 4)] == [
        sound(0.2 + number / 10) for number in (4, 0, 1, 4)
    ]
    module._sounds.cache_clear()  # as in another process
    assert found[0].audio.content() == sound(0.2)
    assert fetched == [2, 0]


def test_a_shard_that_changed_is_read_again(tmp_path: Path) -> None:
    """Index and sounds."""
    write(tmp_path / "s.parquet", 1)
    assert samples(tmp_path / "s.parquet")[0].audio.content() == sound(0.2)
    audio = [{"bytes": sound(0.7), "path": None}]

    write(tmp_path / "s.parquet", 1, audio=audio)

    (one,) = samples(tmp_path / "s.parquet")
    assert one.seconds == pytest.approx(0.7)
    assert one.audio.content() == sound(0.7)


def test_a_sound_that_is_damaged_has_no_length(tmp_path: Path) -> None:
    """The run counts it; so is one that is missing."""
    write(tmp_path / "s.parquet", 2, audio=[{"bytes": b"no", "path": None}, {"bytes": None, "path": "a.wav"}])

    found = samples(tmp_path / "s.parquet")

    assert all(math.isnan(one.seconds) for one in found)
    with pytest.raises(DataError, match=r"row 1 of row group 0 in .*: column 'audio' has no bytes"):
        found[1].audio.content()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"audio_column": "sound"}, "there is no column 'sound'; its columns are audio, text"),
        ({"prompt_column": "asked"}, "there is no column 'asked'; its columns are audio, text"),
        ({"audio_column": "text"}, "column 'text' has no bytes of sound files, but string"),
    ],
)
def test_a_column_that_is_wrong_is_named(tmp_path: Path, settings: dict[str, str], sentence: str) -> None:
    """With the columns that are there."""
    write(tmp_path / "s.parquet", 1)

    with pytest.raises(DataError, match=f"s.parquet: {sentence}"):
        samples(tmp_path / "s.parquet", **settings)


def test_another_file_is_named(tmp_path: Path) -> None:
    """In a sentence."""
    (tmp_path / "s.parquet").write_bytes(b"no parquet file" * 10)

    with pytest.raises(DataError, match=r"s.parquet: cannot be read as a parquet file"):
        samples(tmp_path / "s.parquet")
