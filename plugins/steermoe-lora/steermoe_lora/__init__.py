"""LoRA inside the frozen encoder or decoder for steermoe; imports neither torch nor peft."""

from __future__ import annotations

from typing import TYPE_CHECKING

from steermoe_core import Component, Figure, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterator


@hookimpl
def steermoe_adapters() -> Iterator[Component]:
    """Yield low-rank adapters of linear maps."""
    yield Component(
        name="lora",
        api=1,
        summary="low-rank matrices beside the linear maps of the encoder's or the decoder's layers",
        config="steermoe_lora.config:LoraConfig",
        factory="steermoe_lora.adapter:Lora",
        gives=("lora",),
        needs={"tower": ("linear-maps",)},
        groups={"lora": 1e-4},
        rungs={"LoRA": [{}], "LoRA on the decoder": [{"on": "decoder"}]},
    )


@hookimpl
def steermoe_callbacks() -> Iterator[Component]:
    """Yield the watcher of these matrices."""
    yield Component(
        name="lora-analysis",
        api=1,
        summary="norms of the low-rank matrices, and of their product beside the frozen weight",
        config="steermoe_lora.config:LoraAnalysisConfig",
        factory="steermoe_lora.analysis:LoraAnalysis",
        needs={"adapter": ("lora",)},
        figures=[
            Figure(
                key="lora",
                value="relative",
                curve="{on} layer {layer} {map}",
                title="Size of the low-rank change",
                unit="norm, beside that of the matrix",
                log=True,
            )
        ],
    )
