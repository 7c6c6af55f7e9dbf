"""Routers: from a frame to the weights of the experts that steer it."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

if TYPE_CHECKING:
    from steermoe_core.model.config import SoftmaxRouterConfig


class Router(nn.Module):
    """Gives each frame its gates."""

    @abstractmethod
    def forward(self, hidden: torch.Tensor, row: int) -> torch.Tensor:
        """Return gates (B,T,E) of the frames ``hidden`` (B,T,D) at the ``row``-th steered layer."""


class SoftmaxRouter(Router):
    """A dense soft mixture: one linear map a steered layer, softmax over the experts.

    ``weight (L,E,D)`` is the one big router of the paper cut into its row blocks: only the block of the
    layer at hand is computed, which gives the same gates as all L·E logits and costs 1/L of them.
    """

    def __init__(self, config: SoftmaxRouterConfig, width: int, experts: int, layers: int) -> None:
        super().__init__()
        bound = width**-0.5  # torch's default for a linear layer of this width
        self.weight = nn.Parameter(torch.empty(layers, experts, width).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(layers, experts).uniform_(-bound, bound))
        self.temperature = config.temperature

    def forward(self, hidden: torch.Tensor, row: int) -> torch.Tensor:
        logits = F.linear(hidden, self.weight[row], self.bias[row])  # (B,T,E)
        return (logits / self.temperature).softmax(-1)
