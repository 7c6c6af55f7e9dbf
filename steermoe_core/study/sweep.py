"""The runs of a sweep, and the table that they end in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from steermoe_core.run.assembly.parts import check_imports
from steermoe_core.study.jobs import Job
from steermoe_core.study.seeds import groups
from steermoe_core.study.table import row

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from steermoe_core.config.sweep import Cell
    from steermoe_core.plugins import Registry

SEED = "experiment.seed"


def sweep_jobs(cells: Sequence[Cell], registry: Registry, runs: Path, flags: Sequence[str] = ()) -> list[Job]:
    """Return a job for each cell.

    :param runs: the folder that holds the run folders.
    :param flags: those that every command takes.
    :raises PluginError: the code of a part cannot be imported.
    """
    for cell in cells:
        check_imports(cell.resolved, registry)
    return [Job.run(cell.settings, cell.resolved, runs, flags) for cell in cells]


def sweep_rows(jobs: Sequence[Job], registry: Registry) -> list[dict[str, Any]]:
    """Return the scores of the finished runs as `table.row` does, seeds merged, with their `settings`."""
    done = {job.folder.path.resolve(): job for job in jobs if job.state == "finished"}
    found = groups(list(done), registry)
    return [
        {"settings": _varied(done[group.folders[0].path]), **row(group, split)}
        for group in found
        for split in group.splits()
    ]


def _varied(job: Job) -> dict[str, Any]:
    """Return a job's settings but for the seed, which a row has several of."""
    return {name: value for name, value in job.settings.items() if name != SEED}
