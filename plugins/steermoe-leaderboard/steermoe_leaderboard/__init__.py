"""The command `leaderboard` for steermoe: the Open ASR leaderboard's English sets, by its protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

from steermoe_core import Command, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterator


@hookimpl
def steermoe_commands() -> Iterator[Command]:
    """Yield the command."""
    yield Command(
        name="leaderboard",
        api=1,
        summary="score a model on the Open ASR sets by the leaderboard's protocol",
        code="steermoe_leaderboard.command",
    )
