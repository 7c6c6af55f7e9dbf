"""A mixture of simple adapters (MOSA): every frame is mapped by all of them, weighed by a router.

g     = softmax(R x + r)                                gates of the E experts
audio = Σ_e g[e] · (B[e] gelu(A[e] x + a[e]) + b[e])
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from steermoe_core import Padded, Projector, pool, pooled_length, pooled_width

if TYPE_CHECKING:
    from steermoe_core import Decoder, PoolConfig
    from steermoe_projectors.config import MixtureConfig


class MixtureProjector(Projector):
    """Pooling, then the mixture; its load-balance loss is `mixture-balance`."""

    def __init__(self, config: MixtureConfig, width: int, decoder: Decoder) -> None:
        super().__init__()
        self.config = config
        width, experts, hidden = pooled_width(config.pool, width), config.experts, config.hidden
        self.router = nn.Linear(width, experts)  # R, r
        self.inner = nn.Linear(width, experts * hidden)  # all A[e], a[e]
        self.outer = nn.Linear(experts * hidden, decoder.width, bias=False)  # all B[e]
        self.bias = nn.Parameter(torch.zeros(experts, decoder.width))  # b[e]
        # As in an adapter of its own: torch would take the width of all together.
        nn.init.uniform_(self.outer.weight, -(hidden**-0.5), hidden**-0.5)
        self._losses: dict[str, torch.Tensor] = {}

    @property
    def pooling(self) -> PoolConfig:
        return self.config.pool

    def forward(self, frames: Padded, answer: Padded | None = None) -> tuple[Padded, torch.Tensor | None]:
        pooled = pool(self.config.pool, frames)
        gates = self.router(pooled.values).softmax(-1)  # (B,A,E)
        hidden = F.gelu(self.inner(pooled.values))  # (B,A,E·C)
        hidden = hidden.view(*gates.shape, self.config.hidden)  # (B,A,E,C)
        audio = self.outer((gates[..., None] * hidden).flatten(2)) + gates @ self.bias  # (B,A,H)
        if answer is not None and self.config.balance:
            self._losses = {"mixture-balance": self.config.balance * _imbalance(gates, pooled.mask)}
        return pooled.holding(audio), None

    def losses(self) -> dict[str, torch.Tensor]:
        losses, self._losses = self._losses, {}
        return losses

    def tokens(self, frames: int) -> int:
        return pooled_length(self.config.pool, frames)


def _imbalance(gates: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return KL(mean gate ‖ uniform) over valid frames, in nats: 0 when all experts are used equally."""
    usage = (gates * mask[..., None]).sum((0, 1)) / mask.sum().clamp_min(1)  # (E,), sums to 1
    return (usage * (usage.clamp_min(1e-9) * len(usage)).log()).sum()
