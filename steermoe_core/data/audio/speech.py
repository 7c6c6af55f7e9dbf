"""Where there is speech in a waveform, by Silero VAD (the extra `vad`)."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import soxr

from steermoe_core.errors import SetupError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Waveform = NDArray[np.float32]

#: Samples a second that the detector takes.
RATE = 16_000
#: Shortest speech in milliseconds. The library's 250 overlook 4 of 554 telephone prompts, such as "old".
SHORTEST = 100


class SpeechDetector:
    """Finds speech in waveforms.

    :param rate: their samples a second.
    :raises SetupError: silero-vad is not installed.
    """

    def __init__(self, rate: int) -> None:
        import torch

        threads = torch.get_num_threads()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # of torch.jit and importlib.resources
                import silero_vad

                self._model: Any = silero_vad.load_silero_vad()
        except ImportError:
            msg = "voice activity detection needs silero-vad: pip install 'steermoe[vad]'"
            raise SetupError(msg) from None
        finally:
            torch.set_num_threads(threads)  # importing it leaves one
        self._found = silero_vad.get_speech_timestamps
        self._rate = rate

    def __call__(self, waveform: Waveform) -> list[tuple[int, int]]:
        """Return the first sample of each stretch of speech, and the one after its last."""
        import torch

        wave = waveform if self._rate == RATE else soxr.resample(waveform, self._rate, RATE)
        found = self._found(
            torch.from_numpy(wave), self._model, sampling_rate=RATE, min_speech_duration_ms=SHORTEST
        )
        scale = self._rate / RATE
        return [(round(one["start"] * scale), min(round(one["end"] * scale), len(waveform))) for one in found]
