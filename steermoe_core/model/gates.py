"""Figures of a steered layer's gates over valid frames: load, entropy, dead experts, size of the shift."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import distributed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from steermoe_core.data.padded import Padded

#: An expert is dead whose load is below this share of 1/E.
DEAD = 0.05


def balance_loss(gates: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return KL(mean gate ‖ uniform) over the valid frames, in nats: 0 when all experts are used equally.

    :param gates: (B,T,E); the absolute value counts where gates may be negative.
    :param mask: (B,T), true at valid frames.
    """
    used = gates.abs().masked_fill(
        ~mask[..., None], 0
    )  # (B,T,E); indexing by the mask would wait for the device
    usage = used.sum((0, 1)) / mask.sum()  # (E,)
    usage = usage / usage.sum().clamp_min(1e-9)  # (E,), sums to 1
    return (usage * (usage.clamp_min(1e-9) * len(usage)).log()).sum()  # scalar


class GateStatistics:
    """Sums over the valid frames of each clip, for each steered layer; cheap enough for every step."""

    def __init__(self, layers: int, experts: int) -> None:
        self.experts = experts
        self._batches: list[list[torch.Tensor]] = [[] for _ in range(layers)]

    @torch.no_grad()
    def add(self, row: int, frames: Padded, gates: torch.Tensor, shift: torch.Tensor) -> None:
        """Add a batch: ``frames`` (B,T,D) before steering, ``gates`` (B,T,E), ``shift`` (B,T,D).

        An expert's share of a frame is |g| / Σ|g|: the absolute value counts where gates may be negative.
        """
        gates = gates.double()
        weights = gates.abs() / gates.abs().sum(-1, keepdim=True).clamp_min(1e-12)  # (B,T,E)
        entropy = torch.special.entr(weights).sum(-1, keepdim=True)  # (B,T,1)
        norms = frames.values.norm(dim=-1, keepdim=True).clamp_min(1e-9)  # (B,T,1)
        relative = (shift.norm(dim=-1, keepdim=True) / norms).double()  # (B,T,1)
        figures = torch.cat(
            [gates.abs(), gates, entropy, relative, torch.ones_like(entropy)], -1
        )  # (B,T,2E+3)
        self._batches[row].append(figures.masked_fill(~frames.mask[..., None], 0).sum(1))  # (B,2E+3)

    def gather(self) -> None:
        """Add the sums of the other processes of a run: a collective where there are several."""
        if not distributed.is_available() or not distributed.is_initialized():
            return
        shares: list[Any] = [None] * distributed.get_world_size()
        distributed.all_gather_object(shares, [[b.cpu() for b in batches] for batches in self._batches])
        self._batches = [[b for share in shares for b in share[row]] for row in range(len(self._batches))]

    def record(self, row: int, clips: Sequence[int] | None = None) -> dict[str, Any]:
        """Return the layer's figures as plain numbers.

        ``entropy``: mean over frames, in nats; ``usage_entropy``: of the mean gates; ``effective``: its
        exponential, the effective number of experts; ``relative_norm``: mean of the shift's norm over that of
        its frame.

        :param clips: numbers of the clips to include, in the order in which they were added; all by default.
        """
        usage, _, entropy, relative, frames = self._sums(row, clips)
        load = usage / usage.sum().clamp_min(1e-12)
        usage_entropy = torch.special.entr(load).sum().item()
        return {
            "entropy": entropy.item() / frames,
            "usage_entropy": usage_entropy,
            "effective": math.exp(usage_entropy),
            "dead": int((load < DEAD / len(load)).sum()),
            "load": [round(share, 6) for share in load.tolist()],
            "relative_norm": relative.item() / frames,
        }

    def mean(self, row: int) -> torch.Tensor:
        """Return the mean gates (E,) of a layer over all frames, with their signs."""
        _, gates, _, _, frames = self._sums(row, None)
        mean: torch.Tensor = gates / frames
        return mean

    def _sums(self, row: int, clips: Sequence[int] | None) -> tuple[Any, ...]:
        """Return sums over frames: |gates| (E,), gates (E,), entropy, relative norm, number of frames."""
        width = 2 * self.experts + 3
        batches = [batch.cpu() for batch in self._batches[row]]
        table = torch.cat([torch.zeros(0, width, dtype=torch.float64), *batches])  # (clips,2E+3)
        total = (table if clips is None else table[list(clips)]).sum(0)  # (2E+3,)
        usage, gates, rest = total[: self.experts], total[self.experts : -3], total[-3:]
        return usage, gates, rest[0], rest[1], max(rest[2].item(), 1.0)
