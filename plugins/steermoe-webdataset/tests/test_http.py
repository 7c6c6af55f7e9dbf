"""Shards behind a real web server: the same run, few bytes, and sentences for what goes wrong."""

from __future__ import annotations

import csv
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from pyarrow import parquet

from steermoe_core import DataError
from steermoe_webdataset.config import ParquetUrlConfig, WebdatasetUrlConfig
from steermoe_webdataset.dataset import Samples
from tests.rig import metrics, trained
from tests.tars import sound, tar

from .web import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.rig import Rig

    from .web import Web

pytest.importorskip("aiohttp", reason="fsspec reads http with it")
pytestmark = pytest.mark.usefixtures("own_cache")
QUICK = ("evaluate.controls=[]", "evaluate.probes=false", "train.steps=4", "train.save_every=2")


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    """Serve a folder."""
    (tmp_path / "www").mkdir()
    with serving(tmp_path / "www") as found:
        yield found


def test_only_the_clips_that_are_needed_are_sent(web: Web, tmp_path: Path) -> None:
    """With known lengths, the index takes no sound, and a clip its own bytes."""
    clips = {f"{number}__wav": sound(20.0) for number in range(40)}  # 25 MB
    texts = {f"{number}__json": '{"text": "one", "s": 20.0}' for number in range(40)}
    members = {name: one for pair in zip(clips.items(), texts.items(), strict=True) for name, one in pair}
    (tmp_path / "www" / "s.tar").write_bytes(tar(**members))

    found = Samples(WebdatasetUrlConfig(url=f"{web.url}/s.tar", seconds_column="s"))
    before = web.sent["s.tar"]
    assert before < 2e6
    content = found[7].audio.content()

    assert content == clips["7__wav"]
    assert web.sent["s.tar"] - before == len(content)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_run_resumes_on_shards_as_on_files(rig: Rig, web: Web, tmp_path: Path) -> None:
    """Killed and resumed, tar and parquet shards train the adapter that the local files do, to the byte."""
    _shards(Path(rig.folder) / "train", tmp_path / "www")
    plain = rig.run(*QUICK)
    for source in (
        f'{{use="webdataset-url", url="{web.url}/train-{{0..1}}.tar"}}',
        f'{{use="parquet-url", url="{web.url}/train-{{0..1}}.parquet"}}',
    ):
        sets = (*QUICK, f"data.train={source}")
        process = rig.process(*sets, RIG="kill@3")
        _, err = process.communicate(timeout=120)
        assert process.returncode == -9, err

        resumed = rig.run(*sets)

        assert trained(resumed) == trained(plain)
        assert [line["loss"] for line in metrics(resumed)] == [line["loss"] for line in metrics(plain)]


@pytest.mark.parametrize("config", [WebdatasetUrlConfig, ParquetUrlConfig])
@pytest.mark.parametrize(
    ("name", "sentence"),
    [("none.x", r"none.x: there is no such file$"), ("broken", r"broken: cannot be read \(500, .*\)$")],
)
def test_what_the_server_refuses_is_named(web: Web, config: type, name: str, sentence: str) -> None:
    """A file that is missing, an error of the server."""
    with pytest.raises(DataError, match=sentence):
        Samples(config(url=f"{web.url}/{name}"))


def test_a_server_that_is_away_is_named() -> None:
    """With what the transport says."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    with pytest.raises(DataError, match=rf"127.0.0.1:{port}/s.tar: cannot be read \(.*\)$"):
        Samples(WebdatasetUrlConfig(url=f"http://127.0.0.1:{port}/s.tar"))


def _shards(corpus: Path, folder: Path) -> None:
    """Write the clips of a corpus as two tar and two parquet shards."""
    with (corpus / "metadata.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for number, some in enumerate((rows[:5], rows[5:])):
        members: dict[str, bytes | str] = {}
        table: dict[str, list[object]] = {"audio": [], "text": []}
        for row in some:
            content, text = (corpus / row["file_name"]).read_bytes(), row["transcription"]
            stem = Path(row["file_name"]).stem
            members |= {f"{stem}__wav": content, f"{stem}__txt": text}
            table["audio"].append({"bytes": content, "path": None})
            table["text"].append(text)
        (folder / f"train-{number}.tar").write_bytes(tar(**members))
        parquet.write_table(pa.table(table), folder / f"train-{number}.parquet", row_group_size=2)
