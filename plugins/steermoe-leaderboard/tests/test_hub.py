"""Sets of the hub: one commit for all files, and sessions whose references another dataset has."""

from __future__ import annotations

import argparse
from types import SimpleNamespace
from typing import TYPE_CHECKING

import attrs
import pytest
from datasets import Dataset

from steermoe_core import DataError, Session, SetupError
from steermoe_leaderboard.clips import fetched, newest
from steermoe_leaderboard.sets import MAIN, SETS
from tests.tiny import write_wav

from .conftest import write_set

if TYPE_CHECKING:
    from pathlib import Path

AMI, EARNINGS = SETS[0], SETS[1]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Return the tables that the hub's client gives from now on, and what it is asked for."""
    chunks = [("b", 0, "b-0.wav"), ("a", 1, "a-1.wav"), ("a", 0, "a-0.wav")]
    asked: list[tuple[str, str | None]] = []
    tables = {
        EARNINGS.repo: [
            dict(zip(("parent_id", "chunk_index", "file_name"), one, strict=True)) for one in chunks
        ],
        EARNINGS.sessions: [{"id": "a", "transcription": "one two"}, {"id": "b", "transcription": "three"}],
    }
    for number, (*_, name) in enumerate(chunks):
        write_wav(tmp_path / "audio" / name, 0.3 + 0.1 * number)

    def load_dataset(path: str, split: str, revision: str | None = None) -> Dataset:
        asked.append((path, revision))
        return Dataset.from_list(tables[path], split=split)

    def snapshot_download(repo: str, *, revision: str | None, **_: object) -> str:
        asked.append((repo, revision))
        return str(tmp_path)

    monkeypatch.setattr("datasets.load_dataset", load_dataset)
    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    return SimpleNamespace(tables=tables, asked=asked)


@pytest.fixture
def session() -> Session:
    return Session(argparse.Namespace(block=[], no_plugins=True))


def test_sessions_have_their_references_elsewhere(hub: SimpleNamespace, session: Session) -> None:
    """The chunks' table names the files; all of that dataset is read at one commit."""
    found = fetched(EARNINGS, "abc", session)

    assert [(one.parent, one.chunk, one.name, one.text) for one in found] == [
        ("b", 0, "b-0.wav", "three"), ("a", 1, "a-1.wav", "one two"), ("a", 0, "a-0.wav", "one two"),
    ]  # fmt: skip
    assert [one.seconds for one in found] == pytest.approx([0.3, 0.4, 0.5])
    assert hub.asked == [(EARNINGS.repo, "abc"), (EARNINGS.sessions, None), (EARNINGS.repo, "abc")]


def test_session_without_a_reference(hub: SimpleNamespace, session: Session) -> None:
    """Both datasets are named."""
    del hub.tables[EARNINGS.sessions][0]
    with pytest.raises(DataError, match="has no reference for session 'a'"):
        fetched(EARNINGS, "", session)


def test_missing_column_of_chunks(hub: SimpleNamespace, session: Session) -> None:
    """The dataset and its columns are named."""
    hub.tables[EARNINGS.repo] = [{"parent_id": "a", "chunk_index": 0}]
    with pytest.raises(
        DataError, match="there is no column 'file_name'; its columns are parent_id, chunk_index"
    ):
        fetched(EARNINGS, "", session)


def test_no_answer(hub: SimpleNamespace, session: Session) -> None:
    """The set and the way without a hub are named."""
    hub.tables.clear()
    with pytest.raises(SetupError, match="earnings22_cleaned_aa_chunked is not available from the hub"):
        fetched(EARNINGS, "", session)


def test_configuration_split_and_commit(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """The source `hub` gets them; the columns are the leaderboard's."""
    asked = []

    def read(config: object) -> list[object]:
        asked.append(config)
        return []

    monkeypatch.setattr("steermoe_core.data.sources.tables.read_hub", read)
    assert fetched(AMI, "abc", session) == []
    (config,) = asked
    assert (config.path, config.name, config.split, config.revision) == (MAIN, "ami_cleaned", "test", "abc")
    assert (config.text_column, config.label_columns) == ("text", ["id"])


def test_configuration_of_a_dataset(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`datasets` itself reads a folder that is laid out as the dataset on the hub."""
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "hub"
    write_set(folder / "ami_cleaned", [{"id": "x/0.wav", "text": "One."}, {"id": "x/1.wav", "text": "Two."}])
    card = (
        "configs:\n- config_name: ami_cleaned\n  data_files:\n  - {split: test, path: ami_cleaned/test-*}\n"
    )
    (folder / "README.md").write_text(f"---\n{card}---\n", encoding="utf-8")

    found = fetched(attrs.evolve(AMI, repo=str(folder)), "", session)

    assert [(one.name, one.text) for one in found] == [("0.wav", "One."), ("1.wav", "Two.")]
    assert [len(one.waveform()) for one in found] == [4800, 6400]


def test_newest_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is empty where the hub does not answer."""
    monkeypatch.setattr(
        "huggingface_hub.HfApi.dataset_info", lambda _, repo: SimpleNamespace(sha=f"sha of {repo}")
    )
    assert newest(MAIN) == f"sha of {MAIN}"
    monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", lambda *_: 1 / 0)
    assert newest(MAIN) == ""
