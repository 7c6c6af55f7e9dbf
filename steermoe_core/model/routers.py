"""Routers: from a frame to the weights of the experts that steer it.

    softmax       g = softmax(W[l] u + b[l])          one map a layer
    topk          the same over the k largest logits, 0 elsewhere
    shared        g = softmax(W u + b)                one map for all layers
    shared-mixed  g = softmax(M[l]ᵀ (W u + b))        and a small matrix a layer, which starts as the identity

All of them may hear noise in training, and divide their logits by a temperature.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

if TYPE_CHECKING:
    from steermoe_core.model.config import SoftmaxRouterConfig, TopKRouterConfig


class Router(nn.Module):
    """Gives each frame its gates."""

    @abstractmethod
    def forward(self, hidden: torch.Tensor, row: int) -> torch.Tensor:
        """Return gates (B,T,E) of the frames ``hidden`` (B,T,D) at the ``row``-th steered layer."""


class Static(Router):
    """The gate 1 for the only expert: nothing to choose and nothing to train."""

    def forward(self, hidden: torch.Tensor, row: int) -> torch.Tensor:
        return hidden.new_ones(*hidden.shape[:-1], 1)


class LinearMap(Router):
    """What routers with one linear map a steered layer share: the map, and the noise on what it sees.

    ``weight (L,E,D)`` is the one big router of the paper cut into its row blocks: only the block of the
    layer at hand is computed, which gives the same logits as all L·E and costs 1/L of them.

    :param config: settings with a `jitter`.
    """

    def __init__(self, config: Any, width: int, experts: int, layers: int) -> None:
        super().__init__()
        bound = width**-0.5  # torch's default for a linear layer of this width
        self.weight = nn.Parameter(torch.empty(layers, experts, width).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(layers, experts).uniform_(-bound, bound))
        self.jitter: float = config.jitter

    def logits(self, hidden: torch.Tensor, row: int) -> torch.Tensor:
        """Return the map's output (B,T,E) at a row."""
        return F.linear(self._shaken(hidden), self.weight[row], self.bias[row])

    def _shaken(self, hidden: torch.Tensor) -> torch.Tensor:
        if not (self.training and self.jitter):
            return hidden
        return hidden * torch.empty_like(hidden).uniform_(1 - self.jitter, 1 + self.jitter)


class SoftmaxRouter(LinearMap):
    """A dense soft mixture: one linear map a steered layer, softmax over the experts."""

    def __init__(self, config: SoftmaxRouterConfig, width: int, experts: int, layers: int) -> None:
        super().__init__(config, width, experts, layers)
        self.temperature = config.temperature

    def forward(self, hidden: torch.Tensor, row: int) -> torch.Tensor:
        return (self.logits(hidden, row) / self.temperature).softmax(-1)


class TopKRouter(SoftmaxRouter):
    """Softmax over each frame's k largest logits; the gradient goes through these alone."""

    def __init__(self, config: TopKRouterConfig, width: int, experts: int, layers: int) -> None:
        super().__init__(config, width, experts, layers)
        self.k = config.k

    def logits(self, hidden: torch.Tensor, row: int) -> torch.Tensor:
        logits = super().logits(hidden, row)
        best = torch.zeros_like(logits, dtype=torch.bool).scatter(-1, logits.topk(self.k).indices, value=True)
        return logits.masked_fill(~best, float("-inf"))


class SharedRouter(SoftmaxRouter):
    """One linear map for all layers: each expert is chosen by the same rule wherever it steers."""

    def __init__(self, config: SoftmaxRouterConfig, width: int, experts: int, layers: int) -> None:
        super().__init__(config, width, experts, 1)

    def logits(self, hidden: torch.Tensor, row: int) -> torch.Tensor:
        return super().logits(hidden, 0)


class SharedMixedRouter(SharedRouter):
    """One linear map for all layers, whose logits each layer mixes by a matrix of its own."""

    def __init__(self, config: SoftmaxRouterConfig, width: int, experts: int, layers: int) -> None:
        super().__init__(config, width, experts, layers)
        self.mix = nn.Parameter(torch.eye(experts).repeat(layers, 1, 1))  # (L,E,E)

    def logits(self, hidden: torch.Tensor, row: int) -> torch.Tensor:
        return super().logits(hidden, row) @ self.mix[row]
