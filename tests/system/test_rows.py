"""Whoever waits for a large table sees how far it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from steermoe_core.data.config import JsonlConfig
from steermoe_core.data.sources.jsonl import read_jsonl
from steermoe_core.run.console import Console
from steermoe_core.system.rows import rows_read, rows_shown
from tests.sounds import write_manifest

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_nobody_listens() -> None:
    """Then nothing happens; afterwards, too."""
    seen: list[int] = []
    with rows_shown(seen.append):
        rows_read(1)
    rows_read(2)

    assert seen == [1]


def test_an_index_in_the_making(tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its rows are reported as they are written, and not when it is there."""
    monkeypatch.setattr("steermoe_core.data.index.LEAST", 1)
    monkeypatch.setattr("steermoe_core.data.sources.blocks._BLOCK", 101)
    lines = [{"audio": f"{n}.wav", "text": "one", "seconds": 1.0} for n in range(7)]
    path, seen = write_manifest(tmp_path / "m.jsonl", *lines), list[int]()

    with rows_shown(seen.append):
        read_jsonl(JsonlConfig(path=path))
        read_jsonl(JsonlConfig(path=path))

    assert seen == [3, 6, 7]
    assert own_cache.is_dir()


def test_in_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    """A line now and then."""
    with Console().task("reading data"):
        for rows in range(8_192, 300_000, 8_192):
            rows_read(rows)

    assert capsys.readouterr().err.splitlines() == [
        "reading data",
        "reading data: 106,496 rows",
        "reading data: 204,800 rows",
    ]
