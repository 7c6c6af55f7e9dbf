"""What every frozen audio encoder offers: features, a frame-count law and layers that can be tapped."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import nn

from steermoe_core.data.padded import Padded
from steermoe_core.model.recompute import recomputed

if TYPE_CHECKING:
    import numpy as np

#: Called with a layer's number (0 … layers-1) and its output (B,T,D); returns what the next layer sees.
Tap = Callable[[int, Padded], Padded]
#: What a component says that it gives whose encoder has `own_transcripts`.
OWN_DECODER = "own-decoder"


def untouched(layer: int, frames: Padded) -> Padded:  # noqa: ARG001 - the signature of a tap
    """Return the frames as they are: the tap of an encoder that nothing steers."""
    return frames


class Frozen(nn.Module):
    """A module that is never trained: no gradients into its weights, dropout and norms stay in eval mode."""

    def freeze(self) -> None:
        """Switch gradients off and eval mode on; to be called when all weights are in place."""
        self.requires_grad_(False)
        self.train(False)

    def train(self, mode: bool = True) -> Frozen:  # noqa: FBT001, FBT002 - torch's signature
        """Stay in eval mode, also when the model around it is switched to training."""
        super().train(mode=False)
        return self


class Encoder(Frozen):
    """A frozen audio encoder.

    A subclass sets the three numbers, implements three methods and calls `freeze` at the end of its
    constructor. It holds no steering code: it calls ``tap`` after each layer and goes on with what
    comes back.
    """

    #: Samples per second of the waveforms it takes.
    sample_rate: int
    #: Width D of the frames it gives.
    width: int
    #: Layers that can be tapped.
    layers: int
    #: Longest clip in seconds; None if there is no limit.
    max_seconds: float | None = None
    #: Whether `layer` computes activations again in the backward pass instead of keeping them.
    recompute: bool = False

    @property
    def layer_width(self) -> int:
        """Width of what its layers give and taps see; `width` unless a subclass overrides it."""
        return self.width

    @abstractmethod
    def frames(self, samples: int) -> int:
        """Return how many frames it gives for so many samples: the length law."""

    @abstractmethod
    def features(self, waveforms: Sequence[np.ndarray]) -> Padded:
        """Turn waveforms (float32, mono, `sample_rate`) into input features (B,T,F); no gradients."""

    @abstractmethod
    def forward(self, features: Padded, tap: Tap = untouched) -> Padded:
        """Turn features (B,T,F) into frames (B,T',D), calling ``tap`` after each layer.

        A layer may have another width (`layer_width`) and another number of frames than the last output.
        The frames of a clip may not depend on padding or on the other clips of the batch.
        """

    def own_transcripts(self, waveforms: Sequence[np.ndarray]) -> list[str] | None:
        """Return what the decoder that the encoder was trained with writes down, a text a clip, greedily.

        It is the row that every other way of reading the encoder is compared with. An encoder that has one
        says so among what its component gives: ``own-decoder``.

        :param waveforms: float32, mono, `sample_rate`.
        :returns: None where there is no such decoder.
        """
        return None

    def layer(
        self, number: int, compute: Callable[[torch.Tensor], torch.Tensor], frames: Padded, tap: Tap
    ) -> Padded:
        """Return the tapped output of one layer: what a subclass's `forward` calls for each.

        :param compute: the frozen layer, (B,T,D) → (B,T,D).
        """

        def tapped(values: torch.Tensor) -> torch.Tensor:
            return tap(number, Padded(compute(values), frames.lengths)).values

        if self.recompute and torch.is_grad_enabled():
            return Padded(recomputed(tapped, frames.values), frames.lengths)
        return Padded(tapped(frames.values), frames.lengths)
