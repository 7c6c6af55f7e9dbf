"""What can be heard of the worst clips: as the encoder heard it, within a budget, or why not."""

from __future__ import annotations

import base64
import io
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile

from steermoe_core.plugins import load_registry
from steermoe_core.report.runs import read_runs
from steermoe_core.report.sounds import sounds
from tests.tiny import DIGITS, RATE, sine, write_folder

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tests.report.shelf import Shelf

NAMES = ["001.wav", "002.wav", "003.wav"]


def heard(
    shelf: Shelf, names: list[str] | None = None, budget: int = 1_000_000
) -> tuple[dict[str, str], str]:
    """Return the sounds of a run's clips."""
    (run,) = read_runs([next(shelf.place.glob("runs/*"), None) or shelf.run()], load_registry())
    return sounds(run, "dev", NAMES if names is None else names, load_registry(), budget)


def decoded(uri: str) -> tuple[NDArray[np.float32], int]:
    """Return the samples of a data URI."""
    return soundfile.read(io.BytesIO(base64.b64decode(uri.partition(",")[2])), dtype="float32")


def test_a_clip_is_what_the_encoder_heard(shelf: Shelf) -> None:
    """Sample for sample, mono, 16 kHz."""
    found, missing = heard(shelf)

    assert (list(found), missing) == (NAMES, "")
    samples, rate = decoded(found["002.wav"])
    assert rate == RATE
    assert found["002.wav"].startswith("data:audio/flac;base64,")
    np.testing.assert_allclose(samples, sine(0.4, hertz=280.0), atol=1e-4)


@pytest.mark.parametrize("budget", [30_000, 12_000, 100])
def test_the_budget_is_kept(shelf: Shelf, budget: int) -> None:
    """Smaller sounds where room is short, fewer where it is shorter, and a word about it."""
    write_folder(shelf.clips, DIGITS[:6], [0.5, 0.5, 0.5, 2.0, 0.5, 0.5])

    found, missing = heard(shelf, budget=budget)

    assert sum(map(len, found.values())) <= budget
    assert bool(missing) == (len(found) < len(NAMES))
    assert (len(found) == 3) == (budget >= 30_000)
    assert all(len(decoded(uri)[0]) > 0 for uri in found.values())


def test_what_is_not_there_is_said(shelf: Shelf) -> None:
    """A clip that is gone, a folder that is gone, a split that is gone."""
    _, missing = heard(shelf, [*NAMES, "900.wav"])
    assert missing == "1 of 4 clips cannot be played: missing or too long."

    (shelf.clips / "002.wav").write_text("no sound")
    assert heard(shelf)[1].startswith("1 of 3 clips")

    shutil.rmtree(shelf.clips)
    (run,) = read_runs([shelf.run("gone")], load_registry())
    assert sounds(run, "dev", NAMES, load_registry(), 10_000)[1].startswith(
        "The audio is not on this machine ("
    )
    assert "no longer has the split" in sounds(run, "test", NAMES, load_registry(), 10_000)[1]
