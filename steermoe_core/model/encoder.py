"""The interface of frozen audio encoders: features, a frame-count law and layers that can be tapped."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from steermoe_core.data.padded import Padded
from steermoe_core.model.inheritance import holds
from steermoe_core.model.recompute import recomputed

if TYPE_CHECKING:
    import numpy as np

#: Called with a layer's number (0 … layers-1) and its output (B,T,D); returns the input of the next layer.
Tap = Callable[[int, Padded], Padded]
#: A frozen layer, or what computes the same.
Layer = Callable[..., Any]
#: Listed in `Component.gives` by encoders that implement `own_transcripts`.
OWN_DECODER = "own-decoder"


def untouched(layer: int, frames: Padded) -> Padded:  # noqa: ARG001 - the signature of a tap
    """Return the frames unchanged: the tap of an encoder that is not steered."""
    return frames


class Frozen(nn.Module):
    """A module that is never trained: no gradients into its weights, dropout and norms stay in eval mode."""

    def freeze(self) -> None:
        """Switch gradients off and eval mode on; call it when all weights are loaded."""
        self.requires_grad_(False)
        self.train(False)

    def train(self, mode: bool = True) -> Frozen:  # noqa: FBT001, FBT002 - torch's signature
        """Stay in eval mode, even when the model around it is switched to training."""
        super().train(mode=False)
        return self


class Tower(Frozen):
    """A frozen stack of layers that adapters can work on: an encoder or a decoder."""

    #: Width D of its output.
    width: int
    #: Layers that can be tapped.
    layers: int
    #: Whether its layers compute activations again in the backward pass instead of keeping them.
    recompute: bool = False
    #: Whether its layers compute the clips of a batch as one row without padding, in training: see `Packing`.
    packing: bool = False
    #: Turns a layer into one that computes the same in fewer kernels, in training: see `compiled`.
    fuse: Callable[[Layer], Layer] | None = None

    def fused(self, layer: Layer) -> Layer:
        """Return a layer as training computes it; without gradients, such as in an evaluation, as it is."""
        return layer if self.fuse is None or not torch.is_grad_enabled() else self.fuse(layer)

    @property
    def layer_width(self) -> int:
        """Width of its layers' outputs, which taps see; `width` unless a subclass overrides it."""
        return self.width

    @property
    def layer_widths(self) -> Sequence[int]:
        """Width of each layer's output; `layer_width` for all unless a subclass overrides it."""
        return (self.layer_width,) * self.layers


class Encoder(Tower):
    """A frozen audio encoder.

    A subclass sets the three numbers, implements three methods and calls `freeze` at the end of its
    constructor. It contains no steering code: it calls ``tap`` after each layer and continues with the
    result.
    """

    #: Samples per second of the waveforms it takes.
    sample_rate: int
    #: Longest clip in seconds; None if there is no limit.
    max_seconds: float | None = None

    @abstractmethod
    def frames(self, samples: int) -> int:
        """Return the number of frames for a number of samples: the length law."""

    @abstractmethod
    def features(self, waveforms: Sequence[np.ndarray]) -> Padded:
        """Turn waveforms (float32, mono, `sample_rate`) into input features (B,T,F); no gradients."""

    def features_of(self, waveforms: Padded) -> Padded:
        """Return the features (B,T,F) of padded waveforms (B,samples), computed on their device.

        They are those of `features` within 1e-4. An encoder that implements this may be trained with
        `train.features = "device"`.
        """
        raise NotImplementedError

    @abstractmethod
    def forward(self, features: Padded, tap: Tap = untouched) -> Padded:
        """Turn features (B,T,F) into frames (B,T',D), calling ``tap`` after each layer.

        A layer may have another width (`layer_widths`) and another number of frames than the last output.
        The frames of a clip may not depend on padding or on the other clips of the batch.
        """

    def from_layer(self, first: int, frames: Padded, tap: Tap = untouched) -> Padded:
        """Turn the input (B,T,D) of layer ``first`` into frames (B,T',D): what `forward` does from there.

        An encoder that implements it lets a run compute the layers below the first steered one only once.

        :param frames: what the tap of the layer before returns, batched anew: padding has another width and
            other values, except where a clip is padded even when it is alone.
        """
        raise NotImplementedError

    @property
    def divisible(self) -> bool:
        """Whether it implements `from_layer`; a subclass that overrides `forward` alone does not."""
        return holds(type(self), "from_layer", of="forward")

    def own_transcripts(self, waveforms: Sequence[np.ndarray]) -> list[str] | None:
        """Return the transcripts of the decoder that the encoder was trained with, one text a clip, greedy.

        They are the baseline of every other way to decode the encoder's frames. The component of an encoder
        that has them lists ``own-decoder`` in `gives`.

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
            return tap(number, frames.holding(self.fused(compute)(values))).values

        if self.recompute and torch.is_grad_enabled():
            return frames.holding(recomputed(tapped, frames.values))
        return frames.holding(tapped(frames.values))
