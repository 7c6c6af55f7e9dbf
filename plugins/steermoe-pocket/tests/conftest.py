"""What the pocket lab's tests share: a cache of their own, and a make-believe Debian tree."""

from __future__ import annotations

import gzip
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest

from steermoe_pocket import growing
from steermoe_pocket.clips import RATE
from tests.conftest import decoder_folder, finished, rig, rig_plugin, site, trained_once

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

#: The engine's fixtures: a whole experiment on tiny parts.
__all__ = ["decoder_folder", "finished", "rig", "rig_plugin", "site", "trained_once"]

TRANSCRIPTS = """\
; Core Asterisk Sounds in English

hello: Hello, World!
digits/1: one
digits/2: two
digits/20: twenty
digits/hundred: hundred
letters/dash: dash [-]
beep: [this is a simple beep tone]
conf-menu: Please press 1 to mute, or 22 to exit.
not-recorded: There is no file for this.
"""
RECORDED = (
    "hello",
    "digits/1",
    "digits/2",
    "digits/20",
    "digits/hundred",
    "letters/dash",
    "beep",
    "conf-menu",
)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test an empty cache, so that the user's is neither read nor written."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("STEERMOE_CACHE", str(folder))
    return folder


@pytest.fixture
def share(tmp_path: Path) -> Path:
    """Return a folder like `/usr/share` with the Debian packages' files, of tones."""
    folder = tmp_path / "share"
    for number, name in enumerate(RECORDED):
        _write_g722(
            folder / "asterisk/sounds/en_US_f_Allison" / f"{name}.g722", _tone(0.3, 300 + 50 * number)
        )
    table = folder / "doc/asterisk-core-sounds-en/core-sounds-en.txt.gz"
    table.parent.mkdir(parents=True)
    table.write_bytes(gzip.compress(TRANSCRIPTS.encode()))
    return folder


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let one thread of this process do what several processes would: what they call can be replaced."""
    monkeypatch.setattr(growing, "get_context", lambda _start: None)
    monkeypatch.setattr(growing, "ProcessPoolExecutor", lambda _processes, _context: ThreadPoolExecutor(1))


@pytest.fixture
def tone() -> Callable[[float, float], np.ndarray]:
    """Return a function (seconds, pitch) → sine of half the full scale (samples,)."""
    return _tone


@pytest.fixture
def write_g722() -> Callable[[Path, np.ndarray], None]:
    """Return a function that encodes a waveform at 16 kHz as raw G.722, as the Debian package has it."""
    return _write_g722


def _tone(seconds: float, pitch: float) -> np.ndarray:
    time = np.arange(int(seconds * RATE)) / RATE
    return (0.5 * np.sin(2 * np.pi * pitch * time)).astype(np.float32)


def _write_g722(path: Path, waveform: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format="g722") as container:
        stream = container.add_stream("g722", rate=RATE, layout="mono")
        samples = (waveform * 32767).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.rate = RATE
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
