"""The notebooks of the documentation: every cell runs, and shows outputs of the kinds that are committed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.docs.pages import ROOT
from tests.notebooks import control_characters, executed, nbformat, printed

if TYPE_CHECKING:
    from pathlib import Path

    from tests.docs.lab import Lab

NOTEBOOKS = sorted((ROOT / "docs").rglob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_runs(path: Path, lab: Lab) -> None:
    """From top to bottom in a new kernel, in its own folder."""
    folder = lab.place / path.parent.relative_to(ROOT)
    folder.mkdir(parents=True)
    book, shown = (nbformat.read(path, as_version=4) for _ in range(2))
    with lab.heavy():
        executed(book, folder, os.environ["PYTHONPATH"], STEERMOE_BLOCK=os.environ["STEERMOE_BLOCK"])

    for cell, committed in zip(book.cells, shown.cells, strict=True):
        if cell.cell_type != "code":
            continue
        assert (printed(cell, "stderr"), control_characters(cell)) == ("", set())
        kinds = [{one.output_type for one in each.outputs} for each in (cell, committed)]
        assert kinds[0] == kinds[1], f"run the notebook again: {cell.source}"


def test_there_is_a_notebook() -> None:
    """Or the test above could not fail."""
    assert [path.name for path in NOTEBOOKS] == ["experiment_from_python.ipynb"]
