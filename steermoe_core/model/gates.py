"""What the gates of a steered layer do over real frames: load, entropy, dead experts, size of the shift."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import distributed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from steermoe_core.data.padded import Padded

#: An expert that never gets this share of a fair share (1/E) counts as dead.
DEAD = 0.05


def balance_loss(gates: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return KL(mean gate ‖ uniform) over the valid frames, in nats: 0 when all experts are used alike.

    :param gates: (B,T,E); of gates that may be negative, the size counts.
    :param mask: (B,T), true at valid frames.
    """
    usage = gates[mask].abs().mean(0)  # (E,)
    usage = usage / usage.sum().clamp_min(1e-9)
    return (usage * (usage.clamp_min(1e-9) * len(usage)).log()).sum()


class GateStatistics:
    """Sums over valid frames, a table of clips for each steered layer; cheap enough for every step."""

    def __init__(self, layers: int, experts: int) -> None:
        self.experts = experts
        self._seen: list[list[torch.Tensor]] = [[] for _ in range(layers)]

    @torch.no_grad()
    def add(self, row: int, frames: Padded, gates: torch.Tensor, shift: torch.Tensor) -> None:
        """Add a batch: ``frames`` (B,T,D) before steering, ``gates`` (B,T,E), ``shift`` (B,T,D).

        Of gates that may be negative, the size counts: an expert's share of a frame is |g| / Σ|g|.
        """
        mask = frames.mask
        valid = gates[mask].double()  # (N,E)
        weights = valid.abs() / valid.abs().sum(-1, keepdim=True).clamp_min(1e-12)
        entropy = torch.special.entr(weights).sum(-1, keepdim=True)
        relative = shift[mask].norm(dim=-1) / frames.values[mask].norm(dim=-1).clamp_min(1e-9)
        figures = [valid.abs(), valid, entropy, relative.double()[:, None], torch.ones_like(entropy)]
        clips = mask.nonzero()[:, 0]  # (N,)
        sums = valid.new_zeros(len(mask), 2 * self.experts + 3)
        self._seen[row].append(sums.index_add_(0, clips, torch.cat(figures, -1)).cpu())  # (B,2E+3)

    def put_together(self) -> None:
        """Add what the other processes of a run saw: a collective where there are several."""
        if not distributed.is_available() or not distributed.is_initialized():
            return
        shares: list[Any] = [None] * distributed.get_world_size()
        distributed.all_gather_object(shares, self._seen)
        self._seen = [[batch for share in shares for batch in share[row]] for row in range(len(self._seen))]

    def record(self, row: int, clips: Sequence[int] | None = None) -> dict[str, Any]:
        """Return the layer's figures as plain numbers.

        ``entropy``: mean over frames, nats; ``usage_entropy``: of the mean gates; ``effective``: the
        number of experts that equal use with that entropy would mean; ``relative_norm``: of the shift
        to the frame it is added to.

        :param clips: numbers of the clips that count, in the order they were added; all by default.
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
        """Return sums over frames: sizes of the gates (E,), gates (E,), entropy, relative norm, count."""
        width = 2 * self.experts + 3
        table = torch.cat([torch.zeros(0, width, dtype=torch.float64), *self._seen[row]])  # (clips,2E+3)
        total = (table if clips is None else table[list(clips)]).sum(0)
        usage, gates, rest = total[: self.experts], total[self.experts : -3], total[-3:]
        return usage, gates, rest[0], rest[1], max(rest[2].item(), 1.0)
