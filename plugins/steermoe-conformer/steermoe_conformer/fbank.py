"""Log-mel features as Kaldi computes them, in batches.

25 ms windows every 10 ms inside the clip, mean removed, pre-emphasis 0.97, Povey window, power spectrum of
512 points, triangles between 20 Hz and 8 kHz, natural logarithm; samples in the scale of 16-bit integers.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from steermoe_core.data.padded import Padded

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

RATE = 16_000
WINDOW = 400
HOP = 160
_POINTS = 512
_LOWEST, _HIGHEST = 20.0, 8000.0
_EMPHASIS = 0.97
_FULL_SCALE = 32768.0
#: The smallest step of 32-bit floats at 1, which Kaldi puts under the logarithm.
_FLOOR = 1.1920928955078125e-07


def frame_count(samples: int) -> int:
    """Return the windows that lie inside a clip; a shorter clip than one window is one, with silence."""
    return 1 + (max(samples, WINDOW) - WINDOW) // HOP


def fbank(waveforms: Sequence[np.ndarray] | Sequence[Tensor], bins: int) -> Padded:
    """Return log-mels (B,T,bins) of mono waveforms (samples,) at 16 kHz with full scale at ±1."""
    windows = [_windows(torch.as_tensor(wave)) for wave in waveforms]
    lengths = [len(cut) for cut in windows]
    mels = _log_mels(torch.cat(windows), bins)
    return Padded.stack(torch.split(mels, lengths))


def _windows(wave: Tensor) -> Tensor:
    """Return (T,400) of a waveform (samples,), in the scale of 16-bit integers."""
    whole = torch.nn.functional.pad(wave, (0, max(WINDOW - len(wave), 0)))
    windows: Tensor = whole.unfold(0, WINDOW, HOP) * _FULL_SCALE
    return windows


def _log_mels(windows: Tensor, bins: int) -> Tensor:
    """Return (N,bins) of windows (N,400)."""
    centred = windows - windows.mean(-1, keepdim=True)
    before = torch.cat([centred[:, :1], centred[:, :-1]], -1)
    spectra = torch.fft.rfft((centred - _EMPHASIS * before) * _on(windows, _povey()), _POINTS)
    power = spectra.real.square() + spectra.imag.square()  # (N,257)
    energies: Tensor = power @ _on(windows, _triangles(bins))
    return energies.clamp_min(_FLOOR).log()


def _on(windows: Tensor, constant: Tensor) -> Tensor:
    return constant.to(windows.device, non_blocking=True)


@cache
def _povey() -> Tensor:
    """Return Kaldi's own window (400,): a Hann window to the power of 0.85."""
    return torch.hann_window(WINDOW, periodic=False, dtype=torch.float64).pow(0.85).float()


@cache
def _triangles(bins: int) -> Tensor:
    """Return the weights (257,bins) of filters that are triangles on the mel scale."""
    lowest, highest = _mel(torch.tensor([_LOWEST, _HIGHEST]))
    edges = torch.linspace(lowest.item(), highest.item(), bins + 2, dtype=torch.float64)
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    points = _mel(torch.linspace(0, RATE / 2, _POINTS // 2 + 1))[:, None]
    rising, falling = (points - left) / (centre - left), (right - points) / (right - centre)
    return torch.minimum(rising, falling).clamp_min(0).float()


def _mel(hertz: Tensor) -> Tensor:
    return 1127.0 * torch.log1p(hertz.double() / 700.0)
