"""Where things are kept that can be computed again."""

from __future__ import annotations

from pathlib import Path

import pytest

from steermoe_core import SetupError, cache_folder


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


def test_a_home_of_nobody_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a traceback in the middle of a run."""
    monkeypatch.setenv("STEERMOE_CACHE", "~nosuchuser/cache")
    with pytest.raises(SetupError, match="~nosuchuser/cache starts at no home folder; set STEERMOE_CACHE"):
        cache_folder()
