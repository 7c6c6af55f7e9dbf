"""Steering after a tower: a routed mixture of vectors is added to every frame of its output.

    g = softmax(W h + b)             gates of the E experts
    out = h + Σ_e g[e] · V[e]        what the projector, or the decoder's head, sees

It trains V (1,E,D), W (1,E,D) and b (1,E); there is no scale.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from steermoe_core.model.steering import Bank

if TYPE_CHECKING:
    from collections.abc import Callable

    from steermoe_aligner.config import AlignerConfig
    from steermoe_core.data.padded import Padded
    from steermoe_core.model.encoder import Tower


class Aligner(Bank):
    """Steers the output of the encoder or the decoder, and leaves the tower itself untouched."""

    def __init__(self, config: AlignerConfig, tower: Tower, build: Callable[..., Any]) -> None:
        super().__init__(config, [tower.width], build)

    def after(self, frames: Padded) -> Padded:
        return self.steer(0, frames)

    def place(self, row: int) -> dict[str, Any]:  # noqa: ARG002 - there is but one
        return {"layer": "after", "scale": 1.0}
