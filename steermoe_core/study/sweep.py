"""Several experiments as jobs, and the groups of seeds that they leave: what a sweep and a ladder share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from steermoe_core.run.assembly.parts import check_imports
from steermoe_core.study.jobs import Job
from steermoe_core.study.seeds import seed_groups
from steermoe_core.study.table import row

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from steermoe_core.config.sweep import AxisValues, Cell
    from steermoe_core.plugins import Registry
    from steermoe_core.study.seeds import SeedGroup
    from steermoe_core.study.table import Row

SEED = "experiment.seed"


def jobs_of(
    cells: Mapping[str, Cell], registry: Registry, runs: Path, flags: Sequence[str] = ()
) -> list[Job]:
    """Return a job for each experiment.

    :param cells: experiments by name.
    :param runs: the folder that holds the run folders.
    :param flags: flags that every command takes.
    :raises PluginError: the code of a part cannot be imported.
    """
    for cell in cells.values():
        check_imports(cell.resolved, registry)
    return [Job.run(name, cell, runs, flags) for name, cell in cells.items()]


def finished_groups(jobs: Sequence[Job], registry: Registry) -> list[tuple[AxisValues, SeedGroup]]:
    """Return the finished runs grouped by seed, each group with the settings of its first job."""
    finished = {job.folder.path.resolve(): job for job in jobs if job.state == "finished"}
    return [
        (finished[group.folders[0].path].settings, group) for group in seed_groups(list(finished), registry)
    ]


def sweep_rows(jobs: Sequence[Job], registry: Registry) -> list[Row]:
    """Return the scores of the finished cells, with the settings of each but the seed."""
    return [
        attrs.evolve(
            row(group, split),
            settings={name: value for name, value in settings.items() if name != SEED},
        )
        for settings, group in finished_groups(jobs, registry)
        for split in group.splits()
    ]
