"""Whole runs on tiny parts, as the engine's own tests have them, and sound files to draw from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile

from tests.conftest import decoder_folder, rig, rig_plugin, site

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["decoder_folder", "rig", "rig_plugin", "site"]

RATE = 16_000


@pytest.fixture(scope="session")
def noises(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with two seconds of white noise, a short file at another rate, and a text."""
    folder = tmp_path_factory.mktemp("noises")
    random = np.random.default_rng(3)
    soundfile.write(folder / "long.wav", 0.1 * random.normal(size=2 * RATE), RATE, subtype="FLOAT")
    (folder / "more").mkdir()
    soundfile.write(folder / "more" / "short.flac", 0.05 * random.normal(size=4000), 8_000)
    (folder / "README.txt").write_text("not a sound")
    return folder


@pytest.fixture(scope="session")
def responses(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a decaying impulse response of 0.2 s whose direct sound comes after 10 ms."""
    folder = tmp_path_factory.mktemp("responses")
    tail = np.random.default_rng(4).normal(size=3040) * np.exp(-np.arange(3040) / 600) * 0.1
    soundfile.write(folder / "hall.wav", np.concatenate([np.zeros(160), [0.9], tail[1:]]), RATE, "FLOAT")
    return folder
