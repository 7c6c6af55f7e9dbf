"""A closed-form start for a linear projector: least squares onto the embeddings of the transcripts' tokens.

A random projection spends its first minutes finding the region where the language model's embeddings
lie. Under a uniform alignment (audio token i of A belongs to text token floor(i·Y/A)) the best linear map
is solved from two small matrices. Its outputs differ by far less than the embeddings do, because frames say
little about words; so they are rescaled, about their mean, to the embeddings' own spread. Otherwise,
with answers that are mostly alike (yes, no), audio tokens would hardly depend on the frames.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from steermoe_core.data.padded import Padded


class Ridge:
    """Collects the normal equations batch by batch, in double precision."""

    def __init__(self, strength: float = 1e-2) -> None:
        self.strength = strength
        self.gram: torch.Tensor | None = None  # (D+1,D+1)
        self.cross: torch.Tensor | None = None  # (D+1,H)
        self.spread = 0.0

    def add(self, pooled: Padded, answer: Padded, embed: Callable[[torch.Tensor], torch.Tensor]) -> None:
        """Add pooled frames (B,A,D) and the answers' token ids (B,Y)."""
        for frames, ids in zip(pooled.rows(), answer.rows(), strict=True):
            if len(frames) == 0 or len(ids) == 0:
                continue
            aligned = ids[torch.arange(len(frames), device=ids.device) * len(ids) // len(frames)]
            self._accumulate(_with_bias(frames.detach().double()), embed(aligned).detach().double())

    def solve_into(self, linear: nn.Linear) -> None:
        """Write the solution into the map (D→H)."""
        if self.gram is None or self.cross is None:
            return
        diagonal = self.gram.diagonal().mean() * self.strength
        eye = torch.eye(len(self.gram), dtype=self.gram.dtype, device=self.gram.device)
        weight = torch.linalg.solve(self.gram + diagonal * eye, self.cross)[:-1]  # (D,H)
        frames, middle, targets = self.gram[-1, -1], self.gram[-1, :-1], self.cross[-1]  # count, Σx, Σy
        scatter = self.gram[:-1, :-1] - middle.outer(middle) / frames  # (D,D) about the mean
        predicted = (weight * (scatter @ weight)).sum().item()  # Σ‖(x - x̄) W‖² over all frames
        spread = self.spread - (targets.square().sum() / frames).item()  # Σ‖y - ȳ‖²
        weight *= (max(spread, 0.0) / max(predicted, 1e-12)) ** 0.5
        with torch.no_grad():
            linear.weight.copy_(weight.T)
            linear.bias.copy_((targets - middle @ weight) / frames)

    def _accumulate(self, inputs: torch.Tensor, targets: torch.Tensor) -> None:
        if self.gram is None or self.cross is None:
            self.gram = torch.zeros(inputs.shape[1], inputs.shape[1]).to(inputs)
            self.cross = torch.zeros(inputs.shape[1], targets.shape[1]).to(inputs)
        self.gram += inputs.T @ inputs
        self.cross += inputs.T @ targets
        self.spread += targets.square().sum().item()


def _with_bias(frames: torch.Tensor) -> torch.Tensor:
    return torch.cat([frames, torch.ones(len(frames), 1).to(frames)], dim=1)
