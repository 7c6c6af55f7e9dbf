"""The encoder `conformer`: log-mels → normalisation → subsampling → blocks, each of them tapped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from steermoe_conformer import checkpoint
from steermoe_conformer.fbank import RATE, fbank, frame_count
from steermoe_conformer.network import Network, subsampled
from steermoe_core.model.encoder import Encoder, Tap, untouched

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from steermoe_conformer.config import ConformerConfig
    from steermoe_core.data.padded import Padded


class ConformerEncoder(Encoder):
    """A frozen FireRedASR-AED encoder: 25 frames a second; a clip under 25 ms counts as one of 25 ms."""

    sample_rate = RATE
    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self, config: ConformerConfig) -> None:
        super().__init__()
        self.config = config
        self.max_seconds = config.max_seconds
        # Inside `shapes_only`, where tensors are made on the meta device, there is nothing to read.
        found = None if torch.get_default_device().type == "meta" else checkpoint.read(config.weights)
        shape = found.shape if found else checkpoint.shape_of(config.weights)
        with torch.device("meta"):
            self.network = Network(shape)
            self.register_buffer("mean", torch.zeros(shape.bins))
            self.register_buffer("deviation", torch.ones(shape.bins))
        if found:
            self.network.load_state_dict(found.state, strict=True, assign=True)
            self.mean, self.deviation = found.cmvn.mean, found.cmvn.deviation
        if config.dtype != "auto":
            self.network.to(getattr(torch, config.dtype))
        self.shape, self.width, self.layers = shape, shape.width, shape.layers
        self.freeze()

    def frames(self, samples: int) -> int:
        """Return a quarter, rounded up, of the feature frames: 1 + (samples - 400) // 160 of them."""
        return subsampled(frame_count(samples))

    def features(self, waveforms: Sequence[np.ndarray]) -> Padded:
        """Return log-mels (B,T,F), 100 frames a second, as Kaldi computes them."""
        return fbank(waveforms, self.shape.bins)

    def features_of(self, waveforms: Padded) -> Padded:
        return fbank(waveforms.rows(), self.shape.bins)

    def forward(self, features: Padded, tap: Tap = untouched) -> Padded:
        scaled = (features.values.float() - self.mean) / self.deviation
        return self.from_layer(0, self.network.input_preprocessor(features.holding(scaled)), tap)

    def from_layer(self, first: int, frames: Padded, tap: Tap = untouched) -> Padded:
        """Compute the blocks from a given one on."""
        for number, block in enumerate(self.network.blocks(frames)):
            if number >= first:
                frames = self.layer(number, block, frames, tap)
        return frames
