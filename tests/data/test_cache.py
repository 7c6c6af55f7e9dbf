"""Where things are kept that can be computed again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from steermoe_core import cache_folder

if TYPE_CHECKING:
    import pytest


def test_place_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """STEERMOE_CACHE comes first, then XDG_CACHE_HOME, then the home folder."""
    monkeypatch.setenv("STEERMOE_CACHE", "/somewhere")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    monkeypatch.setenv("HOME", "/home/me")
    assert cache_folder() == Path("/somewhere")
    monkeypatch.delenv("STEERMOE_CACHE")
    assert cache_folder() == Path("/xdg/steermoe")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path("/home/me/.cache/steermoe")
