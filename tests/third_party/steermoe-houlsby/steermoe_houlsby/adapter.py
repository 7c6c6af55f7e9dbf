"""Bottleneck adapters (arXiv 1902.00751): x = u + W_up gelu(W_down u) after each frozen layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from steermoe_core import Adapter, Padded

if TYPE_CHECKING:
    from steermoe_core import Tower
    from steermoe_houlsby.config import HoulsbyConfig


class Houlsby(Adapter):
    """A bottleneck for each of the L layers of a tower."""

    first_layer = 0

    def __init__(self, config: HoulsbyConfig, tower: Tower, build: object) -> None:
        super().__init__()
        layers, width = tower.layers, tower.layer_width
        self.down = nn.Parameter(torch.randn(layers, config.size, width) / width**0.5)  # (L,S,D)
        self.up = nn.Parameter(torch.zeros(layers, width, config.size))  # (L,D,S)

    def tap(self, layer: int, frames: Padded) -> Padded:
        u = frames.values  # (B,T,D)
        low = F.gelu(F.linear(u.to(self.down.dtype), self.down[layer]))  # (B,T,S)
        return Padded(u + F.linear(low, self.up[layer]).to(u.dtype), frames.lengths)  # (B,T,D)

    def groups(self) -> dict[str, list[nn.Parameter]]:
        return {"houlsby": [self.down, self.up]}
