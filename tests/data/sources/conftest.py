"""Every test of a source reads it into memory, and through an index on disk."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True, params=["memory", "index"])
def _indexed(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Make an index of the smallest source, in a cache of its own."""
    if request.param == "index":
        monkeypatch.setenv("STEERMOE_CACHE", str(tmp_path_factory.mktemp("cache")))
        monkeypatch.setattr("steermoe_core.data.index.LEAST", 1)
