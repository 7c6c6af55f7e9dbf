"""Linear routing for steermoe; imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from steermoe_core import Component, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterator


@hookimpl
def steermoe_routers() -> Iterator[Component]:
    """Yield the router without a softmax."""
    yield Component(
        name="linear",
        api=1,
        summary="a linear map for each layer, its output as gates of any size and sign",
        config="steermoe_linear.config:LinearRouterConfig",
        factory="steermoe_linear.router:LinearRouter",
        needs={},
    )
