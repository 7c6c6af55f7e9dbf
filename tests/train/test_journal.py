"""metrics.jsonl holds every record once, in order, whatever cut a line short."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from steermoe_core.train.journal import Journal, Step

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


@given(note=st.text())
def test_reads_what_was_written(tmp_path_factory: pytest.TempPathFactory, note: str) -> None:
    """Any text survives, also with separators that some programs take for line ends."""
    journal = Journal(tmp_path_factory.mktemp("run") / "metrics.jsonl")
    journal.write(1, loss=0.5)
    journal.write(2, note=note)

    assert list(journal.read()) == [Step(step=1, loss=0.5), Step(step=2, others={"note": note})]


def test_nothing_written_is_nothing_read(tmp_path: Path) -> None:
    """A new run has no records, and can be rewound."""
    journal = Journal(tmp_path / "metrics.jsonl")

    assert list(journal.read()) == []
    journal.rewind(0)
    assert list(journal.read()) == []


def test_rewind_drops_later_steps(tmp_path: Path) -> None:
    """What the resumed run will write again is taken out; nothing else is left in the folder."""
    journal = Journal(tmp_path / "metrics.jsonl")
    for step in (1, 2, 2, 3, 4):
        journal.write(step, loss=step / 2)

    journal.rewind(2)
    journal.write(3, loss=9.0)

    assert [record.step for record in journal.read()] == [1, 2, 2, 3]
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]


@given(cut=st.integers(1, 30))
def test_a_line_cut_short_is_left_out(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    """A kill in the middle of a line costs that line only, and the next record starts a line of its own."""
    journal = Journal(tmp_path_factory.mktemp("run") / "metrics.jsonl")
    journal.write(1, loss=0.5)
    journal.write(2, loss=0.12345678901234567)
    journal.path.write_bytes(journal.path.read_bytes()[:-cut])

    journal.rewind(5)
    journal.write(3, loss=0.25)

    assert [record.step for record in journal.read()] == [1, 3]
