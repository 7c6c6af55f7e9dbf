"""Routers: from a frame to the weights of the experts that steer it.

    softmax       g = softmax(W[l] u + b[l])          one map a layer
    topk          the same over the k largest logits, 0 elsewhere
    shared        g = softmax(W u + b)                one map for all layers
    shared-mixed  g = softmax(M[l]ᵀ (W u + b))        and a small matrix a layer, which starts as the identity

In training, all may multiply their input by noise; all divide their logits by a temperature. An
`UtteranceRouter` sees which frames are padding and may look at all frames of an utterance.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from steermoe_core.data.padded import Padded
from steermoe_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from steermoe_core.model.config import SoftmaxRouterConfig, TopKRouterConfig


class Router(nn.Module):
    """Turns each frame into its gates."""

    @abstractmethod
    def forward(self, hidden: torch.Tensor, row: int) -> torch.Tensor:
        """Return gates (B,T,E) of the frames ``hidden`` (B,T,D) at the ``row``-th steered layer."""

    def gates(self, frames: Padded, row: int) -> torch.Tensor:
        """Return gates (B,T,E) of padded frames (B,T,D): what an adapter calls."""
        gates: torch.Tensor = self(frames.values, row)
        return gates


class UtteranceRouter(Router):
    """A router whose gates depend on the whole utterance of a frame, such as on the mean of its frames.

    They must not depend on padding or on other utterances of the batch.
    """

    @abstractmethod
    def of_utterances(self, frames: Padded, row: int) -> torch.Tensor:
        """Return gates (B,T,E) of padded frames (B,T,D); those of padding are not used."""

    def forward(self, hidden: torch.Tensor, row: int, lengths: torch.Tensor | None = None) -> torch.Tensor:
        """Return gates (B,T,E) of the frames ``hidden`` (B,T,D), of which ``lengths`` (B,) are valid.

        :raises UsageError: the lengths are missing, so that padding would change the gates.
        """
        if lengths is None:
            msg = (
                f"{type(self).__name__} routes whole utterances, but the adapter passes it no lengths: call "
                "router.gates(frames, row) in the adapter, or choose another router"
            )
            raise UsageError(msg)
        return self.of_utterances(Padded(hidden, lengths), row)

    def gates(self, frames: Padded, row: int) -> torch.Tensor:
        # Through `forward`: hooks of the module, such as those of ZeRO-3, have to run.
        gates: torch.Tensor = self(frames.values, row, frames.lengths)
        return gates


class ByWidth(Router):
    """Routers of layers that differ in width: one for each width, with a row for each of its layers.

    :param widths: of each steered layer.
    :param build: returns a router for a width and a number of layers.
    """

    def __init__(self, widths: Sequence[int], build: Callable[[int, int], Router]) -> None:
        super().__init__()
        counts = Counter(widths)
        self.routers = nn.ModuleDict({str(width): build(width, count) for width, count in counts.items()})
        self.places = [(str(width), widths[:row].count(width)) for row, width in enumerate(widths)]

    def forward(self, hidden: torch.Tensor, row: int) -> torch.Tensor:
        key, own = self.places[row]
        gates: torch.Tensor = self.routers[key](hidden, own)
        return gates

    def gates(self, frames: Padded, row: int) -> torch.Tensor:
        key, own = self.places[row]
        router: Any = self.routers[key]
        gates: torch.Tensor = router.gates(frames, own)
        return gates


class Static(Router):
    """The gate 1 for a single expert: nothing to train."""

    def forward(self, hidden: torch.Tensor, row: int) -> torch.Tensor:
        return hidden.new_ones(*hidden.shape[:-1], 1)


class LinearMap(Router):
    """A linear map for each steered layer, with noise on its input in training.

    ``weight (L,E,D)`` is the single router of the paper, cut into blocks of rows. Only the block of the
    current layer is computed: the same logits at 1/L of the cost.

    :param config: settings with a `jitter`.
    """

    def __init__(self, config: Any, width: int, experts: int, layers: int) -> None:
        super().__init__()
        bound = width**-0.5  # torch's default for a linear layer of this width
        self.weight = nn.Parameter(torch.empty(layers, experts, width).uniform_(-bound, bound))  # (L,E,D)
        self.bias = nn.Parameter(torch.empty(layers, experts).uniform_(-bound, bound))  # (L,E)
        self.jitter: float = config.jitter

    def logits(self, hidden: torch.Tensor, row: int) -> torch.Tensor:
        """Return the map's output (B,T,E) at a row."""
        if self.training and self.jitter:
            hidden = hidden * torch.empty_like(hidden).uniform_(1 - self.jitter, 1 + self.jitter)  # (B,T,D)
        return F.linear(hidden, self.weight[row], self.bias[row])  # (B,T,D) → (B,T,E)


class SoftmaxRouter(LinearMap):
    """A dense soft mixture: one linear map a steered layer, softmax over the experts."""

    def __init__(self, config: SoftmaxRouterConfig, width: int, experts: int, layers: int) -> None:
        super().__init__(config, width, experts, layers)
        self.temperature = config.temperature

    def forward(self, hidden: torch.Tensor, row: int) -> torch.Tensor:
        return (self.logits(hidden, row) / self.temperature).softmax(-1)  # (B,T,E)


class TopKRouter(SoftmaxRouter):
    """Softmax over each frame's k largest logits; the gradient goes through these alone."""

    def __init__(self, config: TopKRouterConfig, width: int, experts: int, layers: int) -> None:
        super().__init__(config, width, experts, layers)
        self.k = config.k

    def logits(self, hidden: torch.Tensor, row: int) -> torch.Tensor:
        logits = super().logits(hidden, row)  # (B,T,E)
        best = torch.zeros_like(logits, dtype=torch.bool).scatter(-1, logits.topk(self.k).indices, value=True)
        return logits.masked_fill(~best, float("-inf"))


class SharedRouter(SoftmaxRouter):
    """One linear map for all layers: the rule that chooses an expert is the same in every layer."""

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
        return super().logits(hidden, row) @ self.mix[row]  # (B,T,E) @ (E,E)
