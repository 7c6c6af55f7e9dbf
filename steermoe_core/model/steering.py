"""Layer-wise steering: after each frozen layer, a routed mixture of trained vectors is added to every frame.

For steered layer l, with u the layer's output, the paper (arXiv 2510.13558) computes

    g = softmax(W[l] u + b[l])                       gates of the E experts
    x = u + scale[l] · Σ_e g[e] · V[l,e]             what the next layer sees

and trains V (L,E,D), W (L,E,D), b (L,E) and scale (L). The router sees the unsteered output.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from steermoe_core.data.padded import Padded
from steermoe_core.model.adapter import Adapter
from steermoe_core.model.gates import GateStatistics, balance_loss

if TYPE_CHECKING:
    from collections.abc import Callable

    from steermoe_core.model.config import SteeringConfig
    from steermoe_core.model.encoder import Encoder


class Steering(Adapter):
    """Steers the chosen layers of an encoder; knows nothing of the encoder but its width and layer count."""

    def __init__(self, config: SteeringConfig, encoder: Encoder, build: Callable[..., Any]) -> None:
        super().__init__()
        layers = config.steered(encoder.layers)
        self.rows = {layer: row for row, layer in enumerate(layers)}
        self.first_layer = layers[0]
        shape = (len(layers), config.experts, encoder.width)
        self.vectors = nn.Parameter(torch.randn(shape) * config.start)  # (L,E,D)
        self.scales = nn.Parameter(torch.full((len(layers),), config.scale))  # (L,)
        self.router = build(config.router, encoder.width, config.experts, len(layers))
        self.balance = config.balance
        self._balance_losses: list[torch.Tensor] = []
        self._seen: GateStatistics | None = None

    def tap(self, layer: int, frames: Padded) -> Padded:
        if layer not in self.rows:
            return frames
        row = self.rows[layer]
        gates = self.router(frames.values.to(self.vectors.dtype), row)  # (B,T,E)
        shift = self.scales[row] * (gates @ self.vectors[row])  # (B,T,D)
        self._record(row, frames, gates, shift)
        return Padded(frames.values + shift.to(frames.values.dtype), frames.lengths)

    def groups(self) -> dict[str, list[nn.Parameter]]:
        return {"steering": [self.vectors], "scales": [self.scales], "router": list(self.router.parameters())}

    def penalty(self) -> torch.Tensor | None:
        losses, self._balance_losses = self._balance_losses, []
        return self.balance * torch.stack(losses).mean() if losses else None

    def watch(self) -> None:
        self._seen = GateStatistics(*self.vectors.shape[:2])

    def statistics(self) -> list[dict[str, Any]]:
        seen, self._seen = self._seen, None
        if seen is None:
            return []
        return [
            {"layer": layer, "scale": self.scales[row].item(), **seen.record(row)}
            for layer, row in self.rows.items()
        ]

    def _record(self, row: int, frames: Padded, gates: torch.Tensor, shift: torch.Tensor) -> None:
        if self.balance and torch.is_grad_enabled():
            self._balance_losses.append(balance_loss(gates, frames.mask))
        if self._seen is not None:
            self._seen.add(row, frames, gates.detach(), shift.detach())
