"""More projectors for steermoe; imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from steermoe_core import Component, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterator


@hookimpl
def steermoe_projectors() -> Iterator[Component]:
    """Yield projectors that combine frames over time, or mix several maps."""
    yield Component(
        name="window-qformer",
        api=1,
        summary="trained queries that read each window of frames by cross-attention",
        config="steermoe_projectors.config:WindowQFormerConfig",
        factory="steermoe_projectors.window_qformer:WindowQFormer",
        needs={},
    )
    yield Component(
        name="conv",
        api=1,
        summary="strided convolutions over time, then a linear map",
        config="steermoe_projectors.config:ConvConfig",
        factory="steermoe_projectors.conv:ConvProjector",
        needs={},
    )
    yield Component(
        name="mixture",
        api=1,
        summary="small adapters mixed for each frame by a router, with a load-balance loss",
        config="steermoe_projectors.config:MixtureConfig",
        factory="steermoe_projectors.mixture:MixtureProjector",
        needs={},
    )
    yield Component(
        name="cif",
        api=1,
        summary="continuous integrate-and-fire: about one audio token per text token",
        config="steermoe_projectors.config:CifConfig",
        factory="steermoe_projectors.cif:CifProjector",
        needs={},
    )
    yield Component(
        name="recurrent",
        api=1,
        summary="bidirectional GRU layers before another projector",
        config="steermoe_projectors.config:RecurrentConfig",
        factory="steermoe_projectors.recurrent:RecurrentProjector",
        needs={},
    )
