"""Settings of the launcher `slurm`; cheap to import."""

from __future__ import annotations

import attrs
from attrs.validators import ge, gt, optional


@attrs.frozen(kw_only=True)
class SlurmConfig:
    """Submits one array of identical jobs, each a worker that takes the next free run until none is left.

    A job that is preempted, or two minutes from its time limit, writes a checkpoint and returns to the queue.

    :param workers: number of jobs; at most one for each unfinished run is submitted.
    :param hours: time limit of a job; unset: that of the partition.
    :param partition: where the jobs run; empty: the default one.
    :param gpus: GPUs of each job; a run uses one.
    :param sbatch: more arguments of sbatch, such as `["--account=speech", "--mem=64G"]`; they override the
        others.
    """

    workers: int = attrs.field(default=4, validator=gt(0))
    hours: float | None = attrs.field(default=None, validator=optional(gt(0)))
    partition: str = ""
    gpus: int = attrs.field(default=0, validator=ge(0))
    sbatch: list[str] = attrs.field(factory=list)
