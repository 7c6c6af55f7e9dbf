"""Continuous integrate-and-fire: weights of frames are summed up, and each full 1 is an audio token.

    w(t) = sigmoid(v · relu(conv(x)(t)) + c)                   weight of frame t, between 0 and 1
    s(t) = w(1) + … + w(t)
    m(j,t) = length of the part of [s(t-1), s(t)] inside [j, j+1]       share of frame t in token j
    a(j) = Σ_t m(j,t) x(t) / Σ_t m(j,t)

A frame at the border of two tokens gives a part of its weight to each. A rest of half a token or more at the
end is a token too. In training the weights are scaled to sum to the number of the answer's tokens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from steermoe_core import Padded, Projector, pool, pooled_length, pooled_width

if TYPE_CHECKING:
    from steermoe_core import Decoder, PoolConfig
    from steermoe_projectors.config import CifConfig


class CifProjector(Projector):
    """Pooling, integrate-and-fire, linear map; its quantity loss is `quantity`."""

    def __init__(self, config: CifConfig, width: int, decoder: Decoder) -> None:
        super().__init__()
        self.config = config
        width = pooled_width(config.pool, width)
        self.context = nn.Conv1d(width, width, config.kernel, padding=config.kernel // 2)
        self.weight = nn.Linear(width, 1)
        self.map = nn.Linear(width, decoder.width)
        self._losses: dict[str, torch.Tensor] = {}

    @property
    def pooling(self) -> PoolConfig:
        return self.config.pool

    def forward(self, frames: Padded, answer: Padded | None = None) -> tuple[Padded, torch.Tensor | None]:
        pooled = pool(self.config.pool, frames).zeroed()
        weights = self._weights(pooled)  # (B,T)
        total = weights.sum(1)  # (B,)
        if answer is None:
            lengths = (total + 0.5).floor().long()
        else:
            lengths = torch.minimum(answer.lengths, pooled.lengths)  # as at use, at most one token a frame
            self._note_quantity(total, lengths, answer)
            weights = weights * (lengths / total.clamp_min(1e-6))[:, None]
        shares = _shares(weights, int(lengths.max()))  # (B,J,T)
        means = shares @ pooled.values / shares.sum(-1, keepdim=True).clamp_min(1e-6)  # (B,J,D)
        return Padded(self.map(means), lengths), None

    def spans(self, frames: Padded, audio: Padded) -> list[list[tuple[float, float]]]:
        shares = _shares(self._weights(pool(self.config.pool, frames).zeroed()), audio.values.shape[1])
        clips = zip(shares, audio.host_lengths.tolist(), strict=True)
        heard = [[token.nonzero().squeeze(-1).tolist() for token in clip[:count]] for clip, count in clips]
        return [[(frames[0], frames[-1] + 1) for frames in clip] for clip in heard]

    def losses(self) -> dict[str, torch.Tensor]:
        losses, self._losses = self._losses, {}
        return losses

    def tokens(self, frames: int) -> int:
        return pooled_length(self.config.pool, frames)

    def _weights(self, frames: Padded) -> torch.Tensor:
        """Return the weight (B,T) of each frame; padding has none."""
        context = self.context(frames.values.transpose(1, 2)).transpose(1, 2).relu()  # (B,T,D)
        weights: torch.Tensor = self.weight(context).squeeze(-1).sigmoid()
        return weights.masked_fill(~frames.mask, 0.0)

    def _note_quantity(self, total: torch.Tensor, lengths: torch.Tensor, answer: Padded) -> None:
        """Keep |Σ w - tokens|, a mean over answer tokens, so that accumulation equals a larger batch."""
        if self.config.quantity:
            tokens = (answer.lengths + 1).sum()  # with EOS, as the language model's loss counts them
            self._losses = {"quantity": self.config.quantity * (total - lengths).abs().sum() / tokens}


def _shares(weights: torch.Tensor, tokens: int) -> torch.Tensor:
    """Return the part (B,J,T) of each frame's weight (B,T) that falls into each of the first J tokens."""
    ends = weights.cumsum(1)[:, None]  # (B,1,T)
    starts = ends - weights[:, None]  # (B,1,T)
    token = torch.arange(tokens, device=weights.device, dtype=weights.dtype)[:, None]  # (J,1)
    return (torch.minimum(ends, token + 1) - torch.maximum(starts, token)).clamp_min(0)
