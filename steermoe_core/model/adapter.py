"""The interface of adapters: a tap for the encoder's layers, a step after the encoder, parameter groups."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from steermoe_core.data.padded import Padded

#: Identifies a group of clips.
Group = TypeVar("Group")
#: Called with a steered layer's row and its gates (B,T,E); returns the gates to use instead.
Change = Callable[[int, torch.Tensor], torch.Tensor]


class Adapter(nn.Module):
    """Trained parameters inside or right after the frozen encoder.

    :ivar first_layer: number of the first encoder layer whose output it changes; None if it leaves the
        encoder untouched, so that the encoder's output may be cached.
    """

    first_layer: int | None = None

    def tap(self, layer: int, frames: Padded) -> Padded:
        """Return the input (B,T,D) of the layer after ``layer``, given the output (B,T,D) of ``layer``."""
        return frames

    def after(self, frames: Padded) -> Padded:
        """Return the input (B,T,D) of the projector, given the encoder's frames (B,T,D)."""
        return frames

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """Return the trainable parameters by learning-rate group."""
        return {}

    def extend(self, answers: Iterable[list[int]]) -> str | None:
        """Prepare for the training data of a run that starts from this adapter, trained elsewhere.

        Its tensors are loaded; trained ones keep their values, and all keep their shapes. An adapter that
        cannot be trained on with these data raises a `UsageError` that says why.

        :param answers: token ids of every training answer; none where the adapter is only scored.
        :returns: a note for the user on what was added; None if nothing was.
        """
        return None

    def penalty(self) -> torch.Tensor | None:
        """Return the term that the last forward pass adds to the loss, a mean; None if it adds none."""
        return None

    def watch(self) -> None:
        """Start to collect statistics of the forward passes that follow."""

    def statistics(self) -> list[dict[str, Any]]:
        """Return a record for each layer of the statistics since `watch`, and stop collecting."""
        return []

    def grouped_statistics(self, groups: Mapping[Group, Sequence[int]]) -> dict[Group, list[dict[str, Any]]]:
        """Return the same for groups of clips, and continue to collect.

        :param groups: numbers of the clips of each, in the order in which they came since `watch`.
        """
        return {group: [] for group in groups}

    def mean_gates(self) -> torch.Tensor:
        """Return the mean gates (L,E) since `watch`, and continue to collect."""
        return torch.zeros(0, 0)

    @contextmanager
    def rerouted(self, change: Change) -> Iterator[None]:
        """Replace the router's gates inside the block; without effect where there are none.

        :param change: called with a steered layer's row and its gates (B,T,E); returns those to use instead.
        """
        yield


class NoAdapter(Adapter):
    """Trains nothing in the encoder: with a linear projector this is the projection-only ablation."""

    def __init__(self, config: object, *context: object) -> None:
        super().__init__()
