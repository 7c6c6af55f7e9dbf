"""What every adapter offers: a tap for the encoder's layers, a step after the encoder, parameter groups."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from steermoe_core.data.padded import Padded

#: What a group of clips is called.
Group = TypeVar("Group")
#: Called with a steered layer's row and its gates (B,T,E); returns the gates that mix its experts instead.
Change = Callable[[int, torch.Tensor], torch.Tensor]


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

    def grouped_statistics(self, groups: Mapping[Group, Sequence[int]]) -> dict[Group, list[dict[str, Any]]]:
        """Return the same for groups of clips, and go on collecting.

        :param groups: numbers of the clips of each, in the order in which they came since `watch`.
        """
        return {group: [] for group in groups}

    def mean_gates(self) -> torch.Tensor:
        """Return the mean gates (L,E) of what was collected since `watch`, and go on collecting."""
        return torch.zeros(0, 0)

    @contextmanager
    def rerouted(self, change: Change) -> Iterator[None]:
        """Use other gates than the router's inside the block; nothing changes where there are no gates.

        :param change: given a steered layer's row and its gates (B,T,E), returns those to use instead.
        """
        yield


class NoAdapter(Adapter):
    """Trains nothing in the encoder: with a linear projector this is the projection-only ablation."""

    def __init__(self, config: object, *context: object) -> None:
        super().__init__()
