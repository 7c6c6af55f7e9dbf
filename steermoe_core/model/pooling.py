"""Time pooling: fewer audio tokens than frames; padding never enters a maximum or a mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from steermoe_core.data.padded import Padded, Pooled

if TYPE_CHECKING:
    from steermoe_core.model.config import PoolConfig


def pooled_length(config: PoolConfig, frames: int) -> int:
    """Return the number of audio tokens for a number of frames; a partly filled last window counts."""
    return frames if config.kind == "none" else -(-frames // config.kernel)


def pooled_width(config: PoolConfig, width: int) -> int:
    """Return the width after pooling: only stacking changes it."""
    return width * config.kernel if config.kind == "stack" else width


def pool(config: PoolConfig, frames: Padded) -> Padded:
    """Pool windows of ``kernel`` frames (B,T,D) into one token each (B,ceil(T/kernel),D or D·kernel).

    The last window of a clip may be partly filled: a mean is over its real frames, a maximum ignores the
    rest, a stack holds zeros there.
    """
    if config.kind == "none" or isinstance(frames, Pooled):
        return frames
    windows, mask = _windows(frames, config.kernel)  # (B,A,k,D), (B,A,k,1)
    lengths = (frames.host_lengths + config.kernel - 1) // config.kernel
    if config.kind == "stack":
        return Padded(windows.masked_fill(~mask, 0.0).flatten(2), lengths)
    if config.kind == "avg":
        return Padded(windows.masked_fill(~mask, 0.0).sum(2) / mask.sum(2).clamp_min(1), lengths)
    highest = windows.masked_fill(~mask, float("-inf")).amax(2)
    return Padded(highest.masked_fill(~mask.any(2), 0.0), lengths)


def _windows(frames: Padded, kernel: int) -> tuple[torch.Tensor, torch.Tensor]:
    values, mask = frames.values, frames.mask.unsqueeze(-1)
    missing = -values.shape[1] % kernel
    values = torch.nn.functional.pad(values, (0, 0, 0, missing))
    mask = torch.nn.functional.pad(mask, (0, 0, 0, missing))
    shape = (len(values), -(-frames.values.shape[1] // kernel), kernel, -1)
    return values.reshape(shape[:3] + values.shape[2:]), mask.reshape(shape)
