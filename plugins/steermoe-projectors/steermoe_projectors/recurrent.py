"""Context for another projector: bidirectional GRU layers around which frames pass unchanged.

    h = GRU layers of norm(x)      both directions, (B,T,2·width)
    y = x + U h                    what the head sees

The head's map of y is a linear map of x, the residual, plus one of h.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from steermoe_core import Padded, Projector, pool, pooled_length, pooled_width

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from steermoe_core import Decoder, PoolConfig, Proposal
    from steermoe_projectors.config import RecurrentConfig


class RecurrentProjector(Projector):
    """Gives a projector, its head, frames that know their neighbours; all losses are the head's."""

    def __init__(
        self, config: RecurrentConfig, width: int, decoder: Decoder, build: Callable[..., Any]
    ) -> None:
        super().__init__()
        self.config = config
        width = pooled_width(config.pool, width)
        self.norm = nn.LayerNorm(width)
        inputs = [width, *[2 * config.width] * (config.layers - 1)]
        self.layers = nn.ModuleList(BidirectionalGru(each, config.width) for each in inputs)
        self.output = nn.Linear(2 * config.width, width)  # U
        self.head: Projector = build(config.head, width, decoder)
        self.start_steps = self.head.start_steps
        self.loss_weight = self.head.loss_weight
        self.loss_name = self.head.loss_name
        self.ctc = self.head.ctc
        self.begin_batches = self.head.begin_batches

    @property
    def pooling(self) -> PoolConfig:
        return self.config.pool

    def forward(self, frames: Padded, answer: Padded | None = None) -> tuple[Padded, torch.Tensor | None]:
        found: tuple[Padded, torch.Tensor | None] = self.head(self.context(frames), answer)
        return found

    def loss(self, frames: Padded, answer: Padded) -> torch.Tensor | None:
        return self.head.loss(self.context(frames), answer)

    def emissions(self, frames: Padded, answer: Padded) -> Padded:
        return self.head.emissions(self.context(frames), answer)

    def proposals(self, frames: Padded, most: int) -> list[list[Proposal]]:
        return self.head.proposals(self.context(frames), most)

    def spans(self, frames: Padded, audio: Padded) -> list[list[tuple[float, float]]]:
        return self.head.spans(self.context(frames), audio)

    def losses(self) -> dict[str, torch.Tensor]:
        return self.head.losses()

    def tokens(self, frames: int) -> int:
        return self.head.tokens(pooled_length(self.config.pool, frames))

    def begin(self, answers: Iterable[list[int]], pairs: Iterable[tuple[Padded, Padded]]) -> None:
        self.head.begin(answers, ((self.context(frames), answer) for frames, answer in pairs))

    def extend(self, answers: Iterable[list[int]]) -> str | None:
        return self.head.extend(answers)

    def groups(self) -> dict[str, list[nn.Parameter]]:
        groups = self.head.groups()
        own = [p for part in (self.norm, self.layers, self.output) for p in part.parameters()]
        return {**groups, "projector": [*own, *groups.get("projector", [])]}

    def context(self, frames: Padded) -> Padded:
        """Return the frames (B,T,D) that the head sees."""
        pooled = pool(self.config.pool, frames).zeroed()
        hidden = pooled.holding(self._masked(self.norm(pooled.values)))
        for layer in self.layers:
            values = F.dropout(layer(hidden), self.config.dropout, self.training)
            hidden = pooled.holding(values)
        return pooled.holding(pooled.values + self.output(hidden.values))

    def _masked(self, values: torch.Tensor) -> torch.Tensor:
        """Replace spans of frames (B,T,D) by zeros in training."""
        if not (self.training and self.config.mask):
            return values
        span = self.config.span
        starts = torch.rand(values.shape[:2], device=values.device) < self.config.mask / span  # (B,T)
        covered = F.max_pool1d(F.pad(starts.float(), (span - 1, 0))[:, None], span, 1)  # (B,1,T)
        return values * (1 - covered.transpose(1, 2)).to(values.dtype)


class BidirectionalGru(nn.Module):
    """One GRU reads each row (B,T,D) from its start, another from its own end: (B,T,2·width).

    Padding follows what is read in both, so that it changes nothing; a packed sequence would do the same,
    but waits for the lengths on the host.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.forwards = nn.GRU(width, hidden, batch_first=True)
        self.backwards = nn.GRU(width, hidden, batch_first=True)

    def forward(self, frames: Padded) -> torch.Tensor:
        """Read both ways."""
        backwards = _turned(frames.holding(self.backwards(_turned(frames))[0]))
        return torch.cat([self.forwards(frames.values)[0], backwards], -1)


def _turned(frames: Padded) -> torch.Tensor:
    """Return the values (B,T,D) with the real frames of each row in reverse order."""
    places = torch.arange(frames.values.shape[1], device=frames.values.device)
    order = torch.where(frames.mask, frames.lengths[:, None] - 1 - places, places)  # (B,T)
    return frames.values.gather(1, order[..., None].expand_as(frames.values))
