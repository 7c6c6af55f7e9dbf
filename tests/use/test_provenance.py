"""What a page says of a run's data: which source, with which settings, how much; never where it lies."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from steermoe_core.plugins import load_registry
from steermoe_core.run.folder.finished import FinishedRun
from steermoe_core.use.provenance import data_lines
from tests.rig import EXPERIMENT

if TYPE_CHECKING:
    from pathlib import Path

SOURCES = """
[data.train]
use = "folder"
path = "train"
"""
OTHERS = """
[[data.train]]
use = "pocket-speech"
[[data.train]]
use = "hub"
path = "openslr/librispeech_asr"
split = "train.clean.100"
"""


@pytest.fixture
def run(rig: object, tmp_path: Path) -> Path:
    """Return a run folder as far as this is about it: two training sources, and what they held."""
    text = EXPERIMENT.format(decoder="none", steps=1)
    assert SOURCES in text
    (tmp_path / "experiment.toml").write_text(text.replace(SOURCES, OTHERS))
    counts = {
        "train": {"examples": 12_345, "hours": 20.5, "sha256": "0"},
        "dev": {"examples": 4, "hours": 0.01, "sha256": "1"},
    }
    (tmp_path / "lock.json").write_text(json.dumps({"data": counts}))
    return tmp_path


def test_choices_and_changed_settings(run: Path) -> None:
    """A name on the hub is no path; amounts only where they were recorded."""
    pytest.importorskip("steermoe_pocket")

    assert data_lines(FinishedRun(run, load_registry())) == [
        (
            "* training, 12,345 clips, 20.50 hours: `pocket-speech` (source human, split train, fallback "
            "synthetic, numbers written) and `hub` (path openslr/librispeech_asr, split train.clean.100)"
        ),
        "* score `dev`, 4 clips, 0.01 hours: `folder`",
        "* score `other`: `folder`",
    ]


def test_what_is_lost_is_left_out(run: Path) -> None:
    """Without its plugin, or its lock.json, a run still has a page."""
    (run / "lock.json").unlink()

    assert data_lines(FinishedRun(run, load_registry(no_plugins=True))) == []
