"""Cosine routing for steermoe; imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from steermoe_core import Component, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterator


@hookimpl
def steermoe_routers() -> Iterator[Component]:
    """Yield the router of directions."""
    yield Component(
        name="cosine",
        api=1,
        summary="softmax over cosines to one direction an expert, with a learned temperature",
        config="steermoe_cosine.config:CosineConfig",
        factory="steermoe_cosine.router:CosineRouter",
        needs={},
    )
