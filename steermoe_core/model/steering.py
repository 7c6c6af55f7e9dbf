"""Layer-wise steering: after each frozen layer, a routed mixture of trained vectors is added to every frame.

For steered layer l, with u the layer's output, the paper (arXiv 2510.13558) computes

    g = softmax(W[l] u + b[l])                       gates of the E experts
    x = u + scale[l] · Σ_e g[e] · V[l,e]             input of the next layer

and trains V (L,E,D), W (L,E,D), b (L,E) and scale (L). The router sees the unsteered output. Where layers
differ in width, V and W are one tensor a layer or width.
"""

from __future__ import annotations

from abc import abstractmethod
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from steermoe_core.errors import UsageError
from steermoe_core.model.adapter import Adapter
from steermoe_core.model.config import chosen_layers
from steermoe_core.model.gates import GateStatistics, balance_loss
from steermoe_core.model.recompute import again
from steermoe_core.model.routers import ByWidth, Router, Static, UtteranceRouter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from steermoe_core.data.padded import Padded
    from steermoe_core.model.adapter import Change, Group
    from steermoe_core.model.config import ExpertsConfig, SteeringConfig
    from steermoe_core.model.encoder import Tower


class Bank(Adapter):
    """Experts and their router, for steering at L places.

    :param widths: of the frames at each place; each place has a row of experts.
    :raises UsageError: a decoder is routed by whole utterances: it generates before it has read them.
    """

    penalty_name = "balance"

    def __init__(self, config: ExpertsConfig, widths: Sequence[int], build: Callable[..., Any]) -> None:
        super().__init__()
        experts = self.experts = config.experts
        even, rows = len(set(widths)) == 1, len(widths)
        self.vectors: nn.Parameter | nn.ParameterList
        if even:
            self.vectors = nn.Parameter(torch.randn(rows, experts, widths[0]) * config.start)  # (L,E,D)
        else:
            tensors = [torch.randn(experts, width) * config.start for width in widths]
            self.vectors = nn.ParameterList(map(nn.Parameter, tensors))  # L times (E,D)

        def router(width: int, layers: int) -> Router:
            built: Router = build(config.router, width, experts, layers)
            return built

        if experts == 1:
            self.router: Router = Static()
        else:
            self.router = router(widths[0], rows) if even else ByWidth(widths, router)
        whole = any(isinstance(one, UtteranceRouter) for one in self.router.modules())
        if whole and getattr(config, "on", "encoder") == "decoder":
            msg = (
                f'router "{config.router.name}" routes whole utterances, which a decoder has not read while '
                'it generates; choose a router of single frames, or on = "encoder"'
            )
            raise UsageError(msg)
        self.balance = config.balance
        self._balance_losses: list[torch.Tensor] = []
        self._statistics: GateStatistics | None = None
        self._change: Change | None = None

    def steer(self, row: int, frames: Padded, scale: torch.Tensor | float = 1.0) -> Padded:
        """Return frames (B,T,D) with a row's mixture of vectors added."""
        u = frames.values  # (B,T,D)
        gates = self.router.gates(frames.holding(u.to(self.vectors[row].dtype)), row)  # (B,T,E)
        if self._change is not None:
            gates = self._change(row, gates)  # (B,T,E)
        vectors = scale * self.vectors[row]  # (E,D)
        self._record(row, frames, gates, vectors)
        return frames.holding(_shifted(u, gates, vectors))  # (B,T,D)

    def groups(self) -> dict[str, list[nn.Parameter]]:
        return {"steering": self._tensors(), "router": list(self.router.parameters())}

    def penalty(self) -> torch.Tensor | None:
        losses, self._balance_losses = self._balance_losses, []
        return self.balance * torch.stack(losses).mean() if losses else None

    def watch(self) -> None:
        self._statistics = GateStatistics(len(self.vectors), self.experts)

    def statistics(self) -> list[dict[str, Any]]:
        collected, self._statistics = self._statistics, None
        if collected is None:
            return []
        collected.gather()
        return [{**self.place(row), **collected.record(row)} for row in range(len(self.vectors))]

    def grouped_statistics(self, groups: Mapping[Group, Sequence[int]]) -> dict[Group, list[dict[str, Any]]]:
        collected, rows = self._collected(), range(len(self.vectors))
        return {
            group: [{**self.place(row), **collected.record(row, clips)} for row in rows]
            for group, clips in groups.items()
        }

    def mean_gates(self) -> torch.Tensor:
        collected = self._collected()
        return torch.stack([collected.mean(row) for row in range(len(self.vectors))])  # (L,E)

    def _tensors(self) -> list[nn.Parameter]:
        return [self.vectors] if isinstance(self.vectors, nn.Parameter) else list(self.vectors)

    def _collected(self) -> GateStatistics:
        return self._statistics or GateStatistics(len(self.vectors), self.experts)

    @contextmanager
    def rerouted(self, change: Change) -> Iterator[None]:
        self._change = change
        try:
            yield
        finally:
            self._change = None

    @abstractmethod
    def place(self, row: int) -> dict[str, Any]:
        """Return the first fields of a row's record: its ``layer`` and ``scale``."""

    def _record(self, row: int, frames: Padded, gates: torch.Tensor, vectors: torch.Tensor) -> None:
        if self.balance and torch.is_grad_enabled():
            loss = balance_loss(gates, frames.mask)
            if not again():
                self._balance_losses.append(loss)
        if self._statistics is not None and not again():
            with torch.no_grad():
                self._statistics.add(row, frames, gates, gates @ vectors)


class Steering(Bank):
    """Steers the chosen layers of a tower, of which it uses only the number of layers and their widths."""

    def __init__(self, config: SteeringConfig, tower: Tower, build: Callable[..., Any]) -> None:
        layers = chosen_layers(config.layers, tower.layers, config.on)
        super().__init__(config, [tower.layer_widths[layer] for layer in layers], build)
        self.rows = {layer: row for row, layer in enumerate(layers)}
        self.first_layer = layers[0]
        self.bound = 2 * config.scale if config.bounded else None
        # A bounded scale starts half-way: sigmoid(0) is a half.
        self.scales = nn.Parameter(torch.full((len(self.rows),), 0.0 if self.bound else config.scale))  # (L,)

    def tap(self, layer: int, frames: Padded) -> Padded:
        if layer not in self.rows:
            return frames
        row = self.rows[layer]
        return self.steer(row, frames, self.scale(row))

    def scale(self, row: int) -> torch.Tensor:
        """Return the factor (scalar) of a row's shift."""
        return self.scales[row] if self.bound is None else self.bound * self.scales[row].sigmoid()

    def groups(self) -> dict[str, list[nn.Parameter]]:
        return {**super().groups(), "scales": [self.scales]}

    def place(self, row: int) -> dict[str, Any]:
        return {"layer": list(self.rows)[row], "scale": self.scale(row).item()}


def _shifted(u: torch.Tensor, gates: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
    """Return u (B,T,D) + gates (B,T,E) @ vectors (E,D), in the precision of u.

    One product reads u and writes the sum. Autocast would round u and make a tensor of the shift.
    """
    kind = u.device.type
    plain = torch.autocast(kind, enabled=False) if torch.amp.is_autocast_available(kind) else nullcontext()
    with plain:
        shifted = torch.addmm(
            u.flatten(0, 1), gates.flatten(0, 1).to(u.dtype), vectors.to(u.dtype)
        )  # (B·T,D)
    return shifted.view_as(u)
