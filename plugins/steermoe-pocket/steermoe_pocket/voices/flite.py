"""The voices of flite, a small speech synthesiser that Debian carries; it runs without being installed."""

from __future__ import annotations

import os
import tempfile
from ctypes.util import find_library
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import soundfile

from steermoe_pocket import debian
from steermoe_pocket.program import call
from steermoe_pocket.synthetic import varied

if TYPE_CHECKING:
    import random

    import numpy as np
    from numpy.typing import NDArray

#: Durations relative to the voice's own.
_STRETCHES = (0.8, 1.3)
_PITCH = 2.0


def version() -> str:
    """Return what names the program and its voices: a hash of their files."""
    digest = sha256()
    for file in sorted(debian.unpacked("libflite1").glob("usr/lib/*/libflite*.so.1")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def speak(voice: str, text: str, chance: random.Random) -> NDArray[np.float32]:
    """Return the waveform (samples,) of a sentence.

    :raises SetupError: the program cannot be downloaded or does not run.
    """
    program = debian.unpacked("flite") / "usr/bin/flite"
    stretch = f"duration_stretch={chance.uniform(*_STRETCHES):.3f}"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "spoken.wav"
        command = [str(program), "-voice", voice, "--setf", stretch, "-t", text, "-o", str(file)]
        call(command, "flite does not run", environment={**os.environ, "LD_LIBRARY_PATH": _libraries()})
        waveform, rate = soundfile.read(file, dtype="float32")
    return varied(waveform, rate, _PITCH, chance)


def _libraries() -> str:
    """Return the folders of the shared libraries that flite needs, separated by colons."""
    packages = ["libflite1", *([] if find_library("asound") else ["libasound2"])]
    found = [
        folder for package in packages for folder in debian.unpacked(package).glob("usr/lib/*-linux-gnu*")
    ]
    return ":".join(map(str, found))
