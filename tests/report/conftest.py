"""A shelf of run folders for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.report.shelf import Shelf

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """Return a place for runs, which is the working directory."""
    monkeypatch.delenv("STEERMOE_BLOCK", raising=False)
    monkeypatch.chdir(tmp_path)
    return Shelf(tmp_path)
