"""What the gates of a steered layer do over real frames: load, entropy, dead experts, size of the shift."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import distributed

if TYPE_CHECKING:
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
    """Sums over valid frames, one row a steered layer; cheap enough for every step."""

    def __init__(self, layers: int, experts: int) -> None:
        self.usage = torch.zeros(layers, experts, dtype=torch.float64)
        self.entropy = torch.zeros(layers, dtype=torch.float64)
        self.relative = torch.zeros(layers, dtype=torch.float64)
        self.frames = torch.zeros(layers, dtype=torch.float64)

    @torch.no_grad()
    def add(self, row: int, frames: Padded, gates: torch.Tensor, shift: torch.Tensor) -> None:
        """Add a batch: ``frames`` (B,T,D) before steering, ``gates`` (B,T,E), ``shift`` (B,T,D).

        Of gates that may be negative, the size counts: an expert's share of a frame is |g| / Σ|g|.
        """
        mask = frames.mask
        valid = gates[mask].double().abs()  # (N,E)
        weights = valid / valid.sum(-1, keepdim=True).clamp_min(1e-12)
        norms = shift[mask].norm(dim=-1) / frames.values[mask].norm(dim=-1).clamp_min(1e-9)
        self.usage[row] += valid.sum(0).cpu()
        self.entropy[row] += torch.special.entr(weights).sum().cpu()
        self.relative[row] += norms.double().sum().cpu()
        self.frames[row] += len(valid)

    def put_together(self) -> None:
        """Add what the other processes of a run saw: a collective where there are several."""
        if not distributed.is_available() or not distributed.is_initialized():
            return
        seen: list[Any] = [None] * distributed.get_world_size()
        distributed.all_gather_object(seen, (self.usage, self.entropy, self.relative, self.frames))
        totals = (torch.stack(parts).sum(0) for parts in zip(*seen, strict=True))
        self.usage, self.entropy, self.relative, self.frames = totals

    def record(self, row: int) -> dict[str, Any]:
        """Return the layer's figures as plain numbers.

        ``entropy``: mean over frames, nats; ``usage_entropy``: of the mean gates; ``effective``: the
        number of experts that equal use with that entropy would mean; ``relative_norm``: of the shift
        to the frame it is added to.
        """
        frames = max(self.frames[row].item(), 1.0)
        load = self.usage[row] / self.usage[row].sum().clamp_min(1e-12)
        usage_entropy = torch.special.entr(load).sum().item()
        return {
            "entropy": self.entropy[row].item() / frames,
            "usage_entropy": usage_entropy,
            "effective": math.exp(usage_entropy),
            "dead": int((load < DEAD / len(load)).sum()),
            "load": [round(share, 6) for share in load.tolist()],
            "relative_norm": self.relative[row].item() / frames,
        }
