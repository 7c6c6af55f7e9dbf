"""Bottleneck adapters for steermoe; imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from steermoe_core import Component, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterator


@hookimpl
def steermoe_adapters() -> Iterator[Component]:
    """Yield the bottleneck."""
    yield Component(
        name="houlsby",
        api=1,
        summary="a trained bottleneck after each layer of the encoder or the decoder",
        config="steermoe_houlsby.config:HoulsbyConfig",
        factory="steermoe_houlsby.adapter:Houlsby",
        gives=(),
        needs={"tower": ("layer-taps",)},
        groups={"houlsby": 5e-4},
        rungs={"Houlsby": [{}], "Houlsby on the decoder": [{"on": "decoder"}]},
    )
