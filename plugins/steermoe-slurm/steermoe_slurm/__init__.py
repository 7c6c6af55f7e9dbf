"""The launcher `slurm` for steermoe: sweeps and ladders in the queue of a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from steermoe_core import Component, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterator


@hookimpl
def steermoe_launchers() -> Iterator[Component]:
    """Yield the launcher."""
    yield Component(
        name="slurm",
        api=1,
        summary="workers as an array of Slurm jobs",
        config="steermoe_slurm.config:SlurmConfig",
        factory="steermoe_slurm.launcher:Slurm",
    )
