"""Steering after the encoder: a routed mixture of vectors is added to every frame.

    g = softmax(W h + b)             gates of the E experts
    out = h + Σ_e g[e] · V[e]        what the projector sees

It trains V (1,E,D), W (1,E,D) and b (1,E); there is no scale.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from steermoe_core.model.steering import Bank

if TYPE_CHECKING:
    from collections.abc import Callable

    from steermoe_aligner.config import AlignerConfig
    from steermoe_core.data.padded import Padded
    from steermoe_core.model.encoder import Encoder


class Aligner(Bank):
    """Steers the frames that an encoder gives, and leaves the encoder itself untouched."""

    def __init__(self, config: AlignerConfig, encoder: Encoder, build: Callable[..., Any]) -> None:
        super().__init__(config, [encoder.width], build)

    def after(self, frames: Padded) -> Padded:
        return self.steer(0, frames)

    def place(self, row: int) -> dict[str, Any]:  # noqa: ARG002 - there is but one
        return {"layer": "after", "scale": 1.0}
