"""One set of tiny weights and one finished run for all pages."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.docs.lab import Lab, make_parts
from tests.hub import logged_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the random weights and the stand-in plugin."""
    import torch

    folder = tmp_path_factory.mktemp("parts")
    with torch.random.fork_rng():
        torch.manual_seed(6)
        make_parts(folder)
    return folder


@pytest.fixture(scope="session")
def runs(parts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder `runs` with the finished run that the pages speak of; its adapter is a plugin's too."""
    place = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        lab = Lab(place, parts, patch)
        printed = lab.run("steermoe run experiments/whisper_layer_wise.toml")
        assert lab.code == 0, printed
    (adapter,) = place.glob("runs/*/adapter")
    shutil.copytree(adapter, parts / "asr")
    return place / "runs"


@pytest.fixture
def lab(tmp_path: Path, parts: Path, runs: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """Return a place of its own for a page; what its plugins imported is forgotten after."""
    import sys

    shutil.copytree(runs, tmp_path / "runs")
    known = set(sys.modules)
    with logged_in(monkeypatch, tmp_path / "hub-cache"):
        lab = Lab(tmp_path, parts, monkeypatch)
        yield lab
        lab.stop()
    for name in set(sys.modules) - known:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
