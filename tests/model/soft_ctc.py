"""Soft-CTC projectors of four tokens, and frames for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from steermoe_core.data.padded import Padded
from steermoe_core.model.config import SoftCtcConfig
from steermoe_core.model.soft_ctc import SoftCtcProjector

if TYPE_CHECKING:
    from steermoe_core.model.decoder import CausalLM


WIDTH = 5


CLOSE = {"rtol": 1e-5, "atol": 1e-5}


ANSWERS = [[2, 3, 5], [8], [5, 2]]


def projector_of(
    language_model: CausalLM, seed: int = 0, width: int = WIDTH, **config: Any
) -> SoftCtcProjector:
    """Return a projector that chooses from the tokens 2, 3, 5 and 8, and often the blank."""
    torch.manual_seed(seed)
    projector = SoftCtcProjector(SoftCtcConfig(**config), width, language_model)
    projector.begin(iter(ANSWERS), iter([]))
    return projector


def frames_of(lengths: list[int], seed: int) -> Padded:
    """Return random frames, some the same as the one before, in a padding that is not zero."""
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for length in lengths:
        row = torch.randn(length, WIDTH, generator=generator)
        repeats = torch.rand(length, generator=generator) < 0.4
        for t in range(1, length):
            row[t] = row[t - 1] if repeats[t] else row[t]
        rows.append(row)
    return Padded.stack([*rows, torch.ones(1, WIDTH)], fill=9.0)
