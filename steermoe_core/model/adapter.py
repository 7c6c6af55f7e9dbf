"""What every adapter offers: a tap for the encoder's layers, a step after the encoder, parameter groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

if TYPE_CHECKING:
    from steermoe_core.data.padded import Padded


class Adapter(nn.Module):
    """What is trained inside or right after the frozen encoder.

    :ivar first_layer: number of the first encoder layer whose output it changes; None if it leaves the
        encoder untouched, so that the encoder's output may be cached.
    """

    first_layer: int | None = None

    def tap(self, layer: int, frames: Padded) -> Padded:
        """Return what the layer after ``layer`` sees instead of ``frames`` (B,T,D)."""
        return frames

    def after(self, frames: Padded) -> Padded:
        """Return what the projector sees instead of the encoder's frames (B,T,D)."""
        return frames

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """Return the trainable parameters by learning-rate group."""
        return {}

    def penalty(self) -> torch.Tensor | None:
        """Return what the last forward pass adds to the loss, a mean; None if nothing."""
        return None

    def watch(self) -> None:
        """Start to collect statistics of the forward passes that follow."""

    def statistics(self) -> list[dict[str, Any]]:
        """Return one record a layer of what was collected since `watch`, and stop collecting."""
        return []


class NoAdapter(Adapter):
    """Trains nothing in the encoder: with a linear projector this is the projection-only ablation."""

    def __init__(self, config: object, *context: object) -> None:
        super().__init__()
