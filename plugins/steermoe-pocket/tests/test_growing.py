"""Sets of recordings that grow chunk by chunk."""

from __future__ import annotations

from functools import partial
from itertools import count
from typing import TYPE_CHECKING

import numpy as np
import pytest

from steermoe_pocket import clips, growing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SPOKEN: list[str] = []
grow = partial(growing.grow, chunk=10)


def texts() -> Iterator[str]:
    """Yield texts without end."""
    return (f"text {number}" for number in count())


def speak(text: str, index: str) -> np.ndarray:
    """Return a second of a level that tells the index, and nothing for every seventh text."""
    SPOKEN.append(text)
    return np.full(0 if int(index) % 7 == 6 else clips.RATE, int(index) / 1000, np.float32)


@pytest.fixture(autouse=True)
def _nothing_spoken(in_this_process: None) -> None:
    SPOKEN.clear()


def test_less_is_the_beginning_of_more(tmp_path: Path) -> None:
    """Asking for more adds recordings, asking for less adds none."""
    short = grow(tmp_path / "set", texts(), speak, 12 / 3600)
    long = grow(tmp_path / "set", texts(), speak, 30 / 3600)
    spoken = len(SPOKEN)
    assert (len(short), len(long)) == (12, 30)
    assert long[:12] == short == grow(tmp_path / "set", texts(), speak, 12 / 3600)
    assert len(SPOKEN) == spoken == len(set(SPOKEN))


def test_what_says_nothing_is_left_out(tmp_path: Path) -> None:
    """The numbers of the others stay."""
    found = grow(tmp_path / "set", texts(), speak, 8 / 3600)
    assert [clip.id for clip in found] == [f"000{n:03d}" for n in (0, 1, 2, 3, 4, 5, 7, 8)]
    assert [clip.text for clip in found][-1] == "text 8"
    assert clips.load(found[-1].audio)[0] == pytest.approx(0.008, abs=1e-3)


def test_an_interrupted_set_goes_on_where_it_ended(tmp_path: Path) -> None:
    """Complete chunks are kept."""

    def interrupted(text: str, index: str) -> np.ndarray:
        if int(index) == 25:
            raise KeyboardInterrupt
        return speak(text, index)

    with pytest.raises(KeyboardInterrupt):
        grow(tmp_path / "set", texts(), interrupted, 40 / 3600)
    SPOKEN.clear()
    assert len(grow(tmp_path / "set", texts(), speak, 40 / 3600)) == 40
    assert SPOKEN[0] == "text 20"


def test_other_texts_or_another_voice_are_another_folder() -> None:
    """The folder is named by what is in it."""
    folders = {
        growing.folder("set", texts(), "voice 1"),
        growing.folder("set", texts(), "voice 2"),
        growing.folder("set", (text.upper() for text in texts()), "voice 1"),
    }
    assert len(folders) == 3
