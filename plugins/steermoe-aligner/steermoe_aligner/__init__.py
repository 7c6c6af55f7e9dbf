"""Steering after the encoder for steermoe; imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from steermoe_core import Component, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterator


@hookimpl
def steermoe_adapters() -> Iterator[Component]:
    """Yield the bank of experts that stands after the encoder."""
    yield Component(
        name="aligner",
        api=1,
        summary="vectors added to the last layer's output of the encoder or the decoder, mixed by a router",
        config="steermoe_aligner.config:AlignerConfig",
        factory="steermoe_aligner.aligner:Aligner",
        gives=("gates",),
        needs={},
        groups={"steering": 1e-3, "router": 2e-4},
    )
