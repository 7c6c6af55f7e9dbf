"""A dataset of the hub is prepared split by split, from the hub, its cache or a folder laid out like it."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from steermoe_core.data.config import HubConfig
from steermoe_core.data.sources.hub import prepare_split
from steermoe_core.data.sources.tables import read_hub
from steermoe_core.errors import DataError, SetupError
from tests.full_size import COMMIT, LIBRISPEECH, SPLITS, write_librispeech
from tests.hub import logged_in

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _own_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing be fetched, and keep what is prepared in a folder of the test's own."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a copy of LibriSpeech on the hub, in a folder."""
    folder = tmp_path / "librispeech_asr"
    folder.mkdir()
    write_librispeech(folder)
    return folder


def of(path: object, name: str = "clean", **settings: Any) -> HubConfig:
    return HubConfig(path=str(path), name=name, id_column="id", cluster_column="speaker_id", **settings)


def change_card(folder: Path, **facts: Any) -> None:
    """Replace some keys of a card's metadata; None takes a key away."""
    _, metadata, text = (folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    changed = {key: fact for key, fact in {**json.loads(metadata), **facts}.items() if fact is not None}
    (folder / "README.md").write_text(f"---\n{json.dumps(changed)}\n---\n{text}", encoding="utf-8")


def test_both_training_splits_of_librispeech(copy: Path) -> None:
    """In the order that the experiment names; ids and speakers are the columns'."""
    found = read_hub(of(copy, split="train.100+train.360"))

    assert [example.split for example in found] == ["train.100"] * 5 + ["train.360"] * 5
    assert len({example.id for example in found}) == len({example.cluster for example in found}) == 10


def test_other_splits_are_not_needed(copy: Path) -> None:
    """A test set can be read from a copy without the 500 hours of training that its configuration has."""
    shutil.rmtree(copy / "other" / "train.500")
    shutil.rmtree(copy / "clean")

    assert len(read_hub(of(copy, "other", split="test"))) == SPLITS["other"]["test"]


def test_only_what_is_asked_for_is_prepared(copy: Path, tmp_path: Path) -> None:
    """`datasets` keeps a copy of what it prepares."""
    (file,) = prepare_split(of(copy, "other"), "test")

    assert list((tmp_path / "cache").rglob("*.arrow")) == [file]


def test_only_what_is_asked_for_is_fetched(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test set, and not the 500 hours that the same configuration holds."""
    files = {
        path.relative_to(copy).as_posix(): path.read_bytes() for path in copy.rglob("*.*") if path.is_file()
    }

    with logged_in(monkeypatch, tmp_path / "hub") as server:
        server.put(LIBRISPEECH, files)
        found = read_hub(of(LIBRISPEECH, "other", split="test"))

    assert len(found) == SPLITS["other"]["test"]
    fetched = [path for path in (tmp_path / "hub").glob("*/snapshots/*/**/*") if path.is_file()]
    assert sorted(path.name for path in fetched) == ["0000.parquet", "0001.parquet", "README.md"]


def test_the_cache_of_the_hub(copy: Path, tmp_path: Path) -> None:
    """What `hf download` fetched is found again without a network."""
    repository = tmp_path / "hub" / f"datasets--{LIBRISPEECH.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    shutil.move(copy, repository / "snapshots" / COMMIT)

    assert len(read_hub(of(LIBRISPEECH, split="test"))) == SPLITS["clean"]["test"]

    shutil.rmtree(repository / "snapshots" / COMMIT / "clean" / "validation")
    with pytest.raises(
        DataError, match=r"clean/validation/\*.parquet.* is not on this machine; fetch .*`hf download"
    ):
        read_hub(of(LIBRISPEECH, split="validation"))


def test_what_is_not_in_the_cache_of_the_hub() -> None:
    """Offline, what to do is to fetch it."""
    with pytest.raises(
        SetupError, match=f"nor in the hub's cache; .* `hf download {LIBRISPEECH} --repo-type"
    ):
        read_hub(of(LIBRISPEECH, split="test"))


def test_a_missing_shard(copy: Path) -> None:
    """A part of a split is not taken for the split."""
    (copy / "clean" / "train.360" / "0001.parquet").unlink()

    with pytest.raises(
        DataError, match=r"'train.360' has 2 rows here, but 5 by its card; fetch clean/train.360/\*"
    ):
        read_hub(of(copy, split="train.100+train.360"))


def test_missing_files(copy: Path) -> None:
    """Named as the card names them."""
    shutil.rmtree(copy / "clean" / "test")

    with pytest.raises(
        DataError, match=r"clean/test/\*.parquet, which its card names, is not on this machine"
    ):
        read_hub(of(copy, split="test"))


def test_a_damaged_file(copy: Path) -> None:
    """The reason is told, not that something went wrong; it is not the hub's fault."""
    (copy / "clean" / "test" / "0001.parquet").write_bytes(b"PAR1 and no more")

    with pytest.raises(DataError, match=r"librispeech_asr: cannot be prepared as a dataset .*Parquet"):
        read_hub(of(copy, split="test"))


@pytest.mark.parametrize(
    ("name", "split", "message"),
    [("noisy", "test", "noisy.*clean.*other"), ("clean", "tset", 'Unknown split "tset".*train.100')],
)
def test_what_it_has_is_told(copy: Path, name: str, split: str, message: str) -> None:
    """Configurations and splits."""
    with pytest.raises(DataError, match=message):
        read_hub(of(copy, name, split=split))


def test_a_card_that_does_not_count(copy: Path) -> None:
    """There is nothing to compare with then."""
    change_card(copy, dataset_info=None)

    assert len(read_hub(of(copy, split="test"))) == SPLITS["clean"]["test"]


def test_lists_of_files(copy: Path) -> None:
    """A card may name the files of a split one by one; with one configuration its name can be left out."""
    files = [f"clean/test/{number:04d}.parquet" for number in range(2)]
    configs = [{"config_name": "default", "data_files": [{"split": "test", "path": files}]}]
    change_card(copy, configs=configs, dataset_info={"splits": [{"name": "test", "num_examples": 3}]})

    assert len(read_hub(of(copy, "", split="test"))) == 3


def test_patterns_for_no_split(copy: Path) -> None:
    """A card that only says where files are leaves the splits to `datasets`."""
    configs = [{"config_name": "default", "data_files": "clean/test/*.parquet"}]
    change_card(copy, configs=configs, dataset_info=None)

    assert len(read_hub(of(copy, "", split="train"))) == SPLITS["clean"]["test"]
