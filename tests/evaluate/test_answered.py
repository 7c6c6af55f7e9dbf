"""Answers that were given are found again after any end, and never under another key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from steermoe_core.errors import CheckpointError
from steermoe_core.evaluate.answered import Answered
from steermoe_core.model.generate import Answer

if TYPE_CHECKING:
    from pathlib import Path

FIRST, SECOND = [Answer([1, 2], "eos"), Answer([], "limit")], [Answer([3], "eos")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with the answers to two batches."""
    kept = Answered(tmp_path / "answers", "key")
    kept.put(" 0", FIRST)
    kept.put("no-audio 0", SECOND)
    return tmp_path / "answers"


def test_answers_are_found_again(folder: Path) -> None:
    """By the name of their batch."""
    again = Answered(folder, "key")

    assert (again.get(" 0"), again.get("no-audio 0"), again.get(" 1")) == (FIRST, SECOND, None)


def test_another_key_finds_nothing(folder: Path) -> None:
    """Answers of another model or other data are none; what is put then takes their place."""
    other = Answered(folder, "another")
    assert other.batches == {}
    other.put(" 7", SECOND)

    assert Answered(folder, "another").batches == {" 7": SECOND}
    assert Answered(folder, "key").batches == {}


@pytest.mark.parametrize("cut", range(1, 30))
def test_a_line_that_was_cut_is_no_answer(folder: Path, cut: int) -> None:
    """A kill in the middle of a write loses that batch alone, and the next line does not grow onto it."""
    file = folder / "0.jsonl"
    file.write_bytes(file.read_bytes()[:-cut])

    again = Answered(folder, "key")
    assert again.batches == {" 0": FIRST}
    again.put(" 1", SECOND)

    assert Answered(folder, "key").batches == {" 0": FIRST, " 1": SECOND}


@pytest.mark.parametrize("rubbish", [b"", b"{", b"[]\n", b"3\n", b"\xff\xfe\n", b'{"key": 1}\n'])
def test_rubbish_is_no_answer(folder: Path, rubbish: bytes) -> None:
    """A damaged file is begun anew."""
    (folder / "0.jsonl").write_bytes(rubbish)

    assert Answered(folder, "key").batches == {}


def test_every_process_finds_what_all_have_answered(folder: Path) -> None:
    """Two processes go on with the answers of one, then one with those of two."""
    second = Answered(folder, "key", rank=1)
    assert second.get(" 0") == FIRST
    second.put(" 1", SECOND)

    assert Answered(folder, "key", rank=0).get(" 1") == SECOND


def test_when_it_is_done_nothing_stays(folder: Path) -> None:
    """The folder goes; without a folder nothing was ever kept."""
    Answered(folder, "key").forget()
    assert not folder.exists()

    nowhere = Answered()
    nowhere.put(" 0", FIRST)
    nowhere.forget()
    assert nowhere.get(" 0") is None


def test_a_full_disk_is_told_in_a_sentence(tmp_path: Path) -> None:
    """As for every other file of a run."""
    (tmp_path / "answers").write_text("a file is in the way")

    with pytest.raises(CheckpointError, match="answers was not saved"):
        Answered(tmp_path / "answers", "key")
