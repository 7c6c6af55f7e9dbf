"""Layer-wise steering: after each frozen layer, a routed mixture of trained vectors is added to every frame.

For steered layer l, with u the layer's output, the paper (arXiv 2510.13558) computes

    g = softmax(W[l] u + b[l])                       gates of the E experts
    x = u + scale[l] · Σ_e g[e] · V[l,e]             what the next layer sees

and trains V (L,E,D), W (L,E,D), b (L,E) and scale (L). The router sees the unsteered output.
"""

from __future__ import annotations

from abc import abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from steermoe_core.data.padded import Padded
from steermoe_core.model.adapter import Adapter
from steermoe_core.model.gates import GateStatistics, balance_loss
from steermoe_core.model.recompute import again
from steermoe_core.model.routers import Static

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from steermoe_core.model.adapter import Change, Group
    from steermoe_core.model.config import ExpertsConfig, SteeringConfig
    from steermoe_core.model.encoder import Encoder


class Bank(Adapter):
    """Rows of experts and their router: what steering at any place consists of.

    :param rows: places that are steered.
    """

    def __init__(self, config: ExpertsConfig, width: int, rows: int, build: Callable[..., Any]) -> None:
        super().__init__()
        experts = config.experts
        self.vectors = nn.Parameter(torch.randn(rows, experts, width) * config.start)  # (L,E,D)
        self.router = build(config.router, width, experts, rows) if experts > 1 else Static()
        self.balance = config.balance
        self._balance_losses: list[torch.Tensor] = []
        self._seen: GateStatistics | None = None
        self._change: Change | None = None

    def steered(self, row: int, frames: Padded, scale: torch.Tensor | float = 1.0) -> Padded:
        """Return frames (B,T,D) with a row's mixture of vectors added."""
        gates = self.router(frames.values.to(self.vectors.dtype), row)  # (B,T,E)
        if self._change is not None:
            gates = self._change(row, gates)
        shift = scale * (gates @ self.vectors[row])  # (B,T,D)
        self._record(row, frames, gates, shift)
        return Padded(frames.values + shift.to(frames.values.dtype), frames.lengths)

    def groups(self) -> dict[str, list[nn.Parameter]]:
        return {"steering": [self.vectors], "router": list(self.router.parameters())}

    def penalty(self) -> torch.Tensor | None:
        losses, self._balance_losses = self._balance_losses, []
        return self.balance * torch.stack(losses).mean() if losses else None

    def watch(self) -> None:
        self._seen = GateStatistics(*self.vectors.shape[:2])

    def statistics(self) -> list[dict[str, Any]]:
        seen, self._seen = self._seen, None
        if seen is None:
            return []
        seen.put_together()
        return [{**self.place(row), **seen.record(row)} for row in range(len(self.vectors))]

    def grouped_statistics(self, groups: Mapping[Group, Sequence[int]]) -> dict[Group, list[dict[str, Any]]]:
        seen, rows = self._collected(), range(len(self.vectors))
        return {
            group: [{**self.place(row), **seen.record(row, clips)} for row in rows]
            for group, clips in groups.items()
        }

    def mean_gates(self) -> torch.Tensor:
        seen = self._collected()
        return torch.stack([seen.mean(row) for row in range(len(self.vectors))])

    def _collected(self) -> GateStatistics:
        return GateStatistics(*self.vectors.shape[:2]) if self._seen is None else self._seen

    @contextmanager
    def rerouted(self, change: Change) -> Iterator[None]:
        self._change = change
        try:
            yield
        finally:
            self._change = None

    @abstractmethod
    def place(self, row: int) -> dict[str, Any]:
        """Return what a row's record begins with: its ``layer`` and ``scale``."""

    def _record(self, row: int, frames: Padded, gates: torch.Tensor, shift: torch.Tensor) -> None:
        if self.balance and torch.is_grad_enabled():
            loss = balance_loss(gates, frames.mask)
            if not again():
                self._balance_losses.append(loss)
        if self._seen is not None and not again():
            self._seen.add(row, frames, gates.detach(), shift.detach())


class Steering(Bank):
    """Steers the chosen layers of an encoder; knows nothing of the encoder but its width and layer count."""

    def __init__(self, config: SteeringConfig, encoder: Encoder, build: Callable[..., Any]) -> None:
        layers = config.steered(encoder.layers)
        super().__init__(config, encoder.layer_width, len(layers), build)
        self.rows = {layer: row for row, layer in enumerate(layers)}
        self.first_layer = layers[0]
        self.bound = 2 * config.scale if config.bounded else None
        # A bounded scale starts half-way: sigmoid(0) is a half.
        self.scales = nn.Parameter(torch.full((len(self.rows),), 0.0 if self.bound else config.scale))  # (L,)

    def tap(self, layer: int, frames: Padded) -> Padded:
        if layer not in self.rows:
            return frames
        row = self.rows[layer]
        return self.steered(row, frames, self.scale(row))

    def scale(self, row: int) -> torch.Tensor:
        """Return the factor of a row's shift."""
        return self.scales[row] if self.bound is None else self.bound * self.scales[row].sigmoid()

    def groups(self) -> dict[str, list[nn.Parameter]]:
        return {**super().groups(), "scales": [self.scales]}

    def place(self, row: int) -> dict[str, Any]:
        return {"layer": list(self.rows)[row], "scale": self.scale(row).item()}
