"""Windows of k frames, each read by the same trained queries (SALMONN's window-level Q-former).

memory = D→C map of a window's frames + a trained vector for each of its k places
tokens = queries, through layers of self-attention, cross-attention to memory and a feed-forward map
audio  = C→H map of the normed tokens
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from steermoe_core import Padded, PoolConfig, Projector, pool, pooled_length

if TYPE_CHECKING:
    from steermoe_core import Decoder
    from steermoe_projectors.config import WindowQFormerConfig


class WindowQFormer(Projector):
    """Turns each window of frames into a fixed number of audio tokens."""

    def __init__(self, config: WindowQFormerConfig, width: int, decoder: Decoder) -> None:
        super().__init__()
        self.windows = PoolConfig(kind="stack", kernel=config.window)
        inner = config.width
        self.input = nn.Linear(width, inner)
        self.places = nn.Parameter(torch.randn(config.window, inner) * 0.02)  # (k,C)
        self.queries = nn.Parameter(torch.randn(config.queries, inner) * 0.02)  # (Q,C)
        self.layers = nn.ModuleList(
            nn.TransformerDecoderLayer(
                inner,
                config.heads,
                4 * inner,
                config.dropout,
                activation="gelu",
                batch_first=True,
                norm_first=True,
            )
            for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(inner)
        self.output = nn.Linear(inner, decoder.width)

    def forward(
        self,
        frames: Padded,
        answer: Padded | None = None,  # noqa: ARG002 - it has no loss
    ) -> tuple[Padded, torch.Tensor | None]:
        stacked = pool(self.windows, frames)  # (B,W,k·D), zeros where a window has no frame
        clips, count = stacked.values.shape[:2]
        windows = stacked.values.reshape(clips * count, self.windows.kernel, -1)  # (B·W,k,D)
        memory = self.input(windows) + self.places  # (B·W,k,C)
        tokens = self.queries.expand(len(memory), -1, -1)  # (B·W,Q,C)
        unread = self._unread(frames, count)  # (B·W,k)
        for layer in self.layers:
            tokens = layer(tokens, memory, memory_key_padding_mask=unread)
        audio = self.output(self.norm(tokens)).view(clips, count * len(self.queries), -1)  # (B,W·Q,H)
        return Padded(audio, stacked.host_lengths * len(self.queries)), None

    def tokens(self, frames: int) -> int:
        return pooled_length(self.windows, frames) * len(self.queries)

    def _unread(self, frames: Padded, count: int) -> torch.Tensor:
        """Return which places (B·W,k) no query reads.

        The first is always read: a softmax over nothing is not a number, also in a window of padding.
        """
        places = torch.arange(count * self.windows.kernel, device=frames.values.device)
        unread = places >= frames.lengths[:, None]  # (B,W·k)
        return unread.view(-1, self.windows.kernel) & (places[: self.windows.kernel] > 0)
