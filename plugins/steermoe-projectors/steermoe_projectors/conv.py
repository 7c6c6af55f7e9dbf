"""Strided convolutions over time: n frames become ceil(n / stride) after each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from steermoe_core import Padded, Projector

if TYPE_CHECKING:
    import torch

    from steermoe_core import Decoder
    from steermoe_projectors.config import ConvConfig


class ConvProjector(Projector):
    """Convolution, norm over channels, GELU; several times; then a linear map."""

    def __init__(self, config: ConvConfig, width: int, decoder: Decoder) -> None:
        super().__init__()
        self.stride = config.stride
        channels = config.channels or width
        self.layers = nn.ModuleList(
            nn.Conv1d(inputs, channels, config.kernel, config.stride, padding=config.kernel // 2)
            for inputs in [width, *[channels] * (config.layers - 1)]
        )
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(config.layers))
        self.map = nn.Linear(channels, decoder.width)

    def forward(
        self,
        frames: Padded,
        answer: Padded | None = None,  # noqa: ARG002 - it has no loss
    ) -> tuple[Padded, torch.Tensor | None]:
        for layer, norm in zip(self.layers, self.norms, strict=True):
            # Zeros after a clip's end are what the convolution itself adds around it.
            convolved = layer(frames.zeroed().values.transpose(1, 2)).transpose(1, 2)  # (B,ceil(T/s),C)
            lengths = (frames.host_lengths + self.stride - 1) // self.stride
            frames = Padded(nn.functional.gelu(norm(convolved)), lengths)
        return frames.holding(self.map(frames.values)), None

    def tokens(self, frames: int) -> int:
        for _ in self.layers:
            frames = -(-frames // self.stride)
        return frames
