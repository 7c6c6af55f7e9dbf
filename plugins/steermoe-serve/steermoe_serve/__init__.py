"""The command `serve` for steermoe: a trained model behind an OpenAI-compatible endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from steermoe_core import Command, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterator


@hookimpl
def steermoe_commands() -> Iterator[Command]:
    """Yield the command."""
    yield Command(
        name="serve",
        api=1,
        summary="serve a trained model at an OpenAI-compatible endpoint",
        code="steermoe_serve.command",
    )
