"""Linear routing: g = W[l] u + b[l]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from steermoe_core.model.routers import LinearMap

if TYPE_CHECKING:
    import torch


class LinearRouter(LinearMap):
    """Gates that are not normalised: a steered layer adds a low-rank linear map of the frame."""

    def forward(self, hidden: torch.Tensor, row: int) -> torch.Tensor:
        return self.logits(hidden, row)
