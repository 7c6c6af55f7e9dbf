"""The datasets `webdataset` and `webdataset-url`: the examples of all shards, and the run that they make."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import fsspec
import pytest

from steermoe_core import DataError, read_audio
from steermoe_core.data.audio.waveform import load
from steermoe_webdataset.config import WebdatasetConfig, WebdatasetUrlConfig
from steermoe_webdataset.dataset import Samples
from tests.rig import metrics, trained
from tests.tars import sound, tar, write_tar
from tests.tiny import RATE

if TYPE_CHECKING:
    from tests.rig import Rig

pytestmark = pytest.mark.usefixtures("own_cache")


def one_clip(columns: str, **settings: object) -> Samples:
    """Return the dataset of a shard in memory with a clip that has a JSON object."""
    fsspec.filesystem("memory").pipe_file("/one/s.tar", tar(a__wav=sound(), a__json=columns))
    return Samples(WebdatasetUrlConfig(url="memory://one/s.tar", **settings))


class TestSamples:
    """The sequence of examples."""

    def test_is_a_sequence(self, tmp_path: Path) -> None:
        """Of all shards in their order; an example is the same whichever way it is asked for."""
        for number in (10, 2):
            write_tar(tmp_path / f"s-{number}.tar", b="one", a=f"two {number}")

        samples = Samples(WebdatasetConfig(path=tmp_path / "s-*.tar"))

        assert [example.id for example in samples] == ["s-2/b", "s-2/a", "s-10/b", "s-10/a"]
        assert [samples[number] for number in range(len(samples))] == list(samples) == samples[:]
        assert samples[-1].text == "two 10"
        assert samples[3].seconds == pytest.approx(0.3)
        assert str(samples[3].audio) == f"a.wav in {tmp_path / 's-10.tar'}"
        assert samples[3].audio.file == tmp_path / "s-10.tar"
        with pytest.raises(IndexError):
            samples[4]

    def test_a_url_is_as_good_as_a_path(self, tmp_path: Path) -> None:
        """The same examples, with the same sound."""
        shard = write_tar(tmp_path / "s.tar", a="one", b="two")
        fsspec.filesystem("memory").pipe_file("/some/s.tar", shard.read_bytes())

        local = Samples(WebdatasetConfig(path=shard))
        for url in ("memory://some/s.tar", f"file://{tmp_path}/s.tar"):
            remote = Samples(WebdatasetUrlConfig(url=url))

            for one, other in zip(local, remote, strict=True):
                assert attrs.evolve(one, audio=None) == attrs.evolve(other, audio=None)
                assert (load(one.audio, RATE) == load(other.audio, RATE)).all()

    def test_columns_are_found(self) -> None:
        """By the keys of the settings."""
        samples = one_clip(
            '{"text": "one", "asked": "what?", "speaker": 7, "lang": "en", "length": 3}',
            prompt_column="asked",
            cluster_column="speaker",
            label_columns=["lang"],
            seconds_column="length",
            split="dev",
        )

        (example,) = samples
        assert (example.text, example.prompt, example.cluster, example.seconds) == ("one", "what?", "7", 3.0)
        assert (example.labels, example.split) == ({"lang": "en"}, "dev")

    @pytest.mark.parametrize(
        ("columns", "settings", "sentence"),
        [
            (
                '{"words": "one"}',
                {},
                "a.wav in memory://one/s.tar: there is no column 'txt'; its columns are words",
            ),
            ("{}", {"text_column": "t"}, "there is no column 't'; its columns are none"),
            ('{"text": 3}', {}, "column 'text' must hold text, is 3"),
            ('{"text": "one", "s": "x"}', {"seconds_column": "s"}, "column 's' must hold a number, is 'x'"),
        ],
    )
    def test_a_column_that_is_missing_is_named(
        self, columns: str, settings: dict[str, str], sentence: str
    ) -> None:
        """With the clip, the shard, and the columns that are there."""
        with pytest.raises(DataError, match=sentence):
            list(one_clip(columns, **settings))

    def test_shards_of_one_name_are_refused(self, tmp_path: Path) -> None:
        """Their ids could be the same."""
        for folder in ("x", "y"):
            write_tar(tmp_path / folder / "s.tar", a="one")

        with pytest.raises(DataError, match="2 shards are called 's'"):
            Samples(WebdatasetConfig(path=tmp_path / "*" / "s.tar"))

    def test_a_clip_that_is_damaged_has_no_length(self, tmp_path: Path) -> None:
        """As in every other source."""
        (tmp_path / "s.tar").write_bytes(tar(a__wav=b"no", a__txt="one"))

        assert math.isnan(Samples(WebdatasetConfig(path=tmp_path / "s.tar"))[0].seconds)


def test_a_run_is_that_of_the_files(rig: Rig, tmp_path: Path) -> None:
    """Order and numbers depend on the clips, not on where they are; worker processes read the shards too."""
    files = sorted((Path(rig.folder) / "train").glob("*.wav"))
    assert all(len(read_audio(file, RATE)) for file in files)
    texts = _texts(Path(rig.folder) / "train")
    members: dict[str, bytes | str] = {}
    for file in files:
        members |= {f"{file.stem}__wav": file.read_bytes(), f"{file.stem}__txt": texts[file.name]}
    fsspec.filesystem("file").pipe_file(str(tmp_path / "train-0.tar"), tar(**members))
    quick = ("evaluate.controls=[]", "evaluate.probes=false", "train.steps=3", "train.workers=1")

    plain = rig.run(*quick)
    shards = rig.run(*quick, f'data.train={{use="webdataset-url", url="file://{tmp_path}/train-*.tar"}}')

    assert metrics(shards) == metrics(plain)
    assert trained(shards) == trained(plain)


def _texts(folder: Path) -> dict[str, str]:
    rows = (folder / "metadata.csv").read_text(encoding="utf-8").splitlines()[1:]
    return dict(row.split(",", 1) for row in rows)
