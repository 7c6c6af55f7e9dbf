"""The command `demo` for steermoe: a page to try trained models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from steermoe_core import Command, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterator


@hookimpl
def steermoe_commands() -> Iterator[Command]:
    """Yield the command."""
    yield Command(
        name="demo",
        api=1,
        summary="try trained models on a page: microphone, file, questions",
        code="steermoe_demo.command",
    )
