"""Cosine routing: g = softmax(cos(u, w[l,e]) / t[l])."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from steermoe_core import Router

if TYPE_CHECKING:
    from steermoe_cosine.config import CosineConfig


class CosineRouter(Router):
    """A direction for each expert of each layer, and a temperature for each layer."""

    def __init__(self, config: CosineConfig, width: int, experts: int, layers: int) -> None:
        super().__init__()
        self.directions = nn.Parameter(torch.randn(layers, experts, width))  # (L,E,D)
        self.log_temperatures = nn.Parameter(torch.full((layers,), math.log(config.temperature)))  # (L,)

    def forward(self, hidden: torch.Tensor, row: int) -> torch.Tensor:
        cosines = F.linear(F.normalize(hidden, dim=-1), F.normalize(self.directions[row], dim=-1))  # (B,T,E)
        return (cosines / self.log_temperatures[row].exp()).softmax(-1)
