"""Notebooks that are executed in a kernel of their own, and what their cells show."""

from __future__ import annotations

import os
import unicodedata
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

nbformat = pytest.importorskip("nbformat", reason="notebooks need `pip install steermoe[test]`")
nbclient = pytest.importorskip("nbclient", reason="notebooks need `pip install steermoe[test]`")
pytest.importorskip("ipykernel", reason="notebooks need `pip install steermoe[test]`")


def notebook(*cells: str) -> Any:
    """Return a notebook of some cells of code."""
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])


def executed(book: Any, folder: Path, paths: str, **environment: str) -> Any:
    """Return a notebook with its outputs; a cell marked as one that raises may raise.

    :param folder: working directory of the kernel.
    :param paths: its PYTHONPATH.
    """
    client = nbclient.NotebookClient(book, timeout=200, resources={"metadata": {"path": str(folder)}})
    client.execute(env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", **environment})
    return book


def raising(cell: Any) -> Any:
    """Mark a cell as one that raises."""
    cell.metadata["tags"] = ["raises-exception"]
    return cell


def printed(cell: Any, stream: str = "stdout") -> str:
    """Return what a cell printed."""
    return "".join(one.text for one in cell.outputs if one.output_type == "stream" and one.name == stream)


def displayed(cell: Any) -> list[str]:
    """Return the texts that a cell displays, each as it was last; they are nothing but text."""
    shown = [one.data for one in cell.outputs if one.output_type == "display_data"]
    assert all(list(data) == ["text/plain"] for data in shown)
    return [data["text/plain"] for data in shown]


def control_characters(cell: Any) -> set[str]:
    """Return the control characters in everything that a cell shows."""
    texts = [one.get("text", "") + one.get("data", {}).get("text/plain", "") for one in cell.outputs]
    return {one for text in texts for one in text if unicodedata.category(one) == "Cc" and one != "\n"}
