"""What Slurm says about this process in its environment."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The ports that the processes of a step meet at: one for each step, out of those that are rarely taken.
_FIRST_PORT, _PORTS = 20_000, 10_000
#: Numbers of steps above this one have a meaning of their own, such as the batch script.
_LAST_STEP = 2**31


def job() -> str:
    """Return the number of the job that this process belongs to; empty outside of one."""
    return os.environ.get("SLURM_JOB_ID", "")


def step_ranks(environment: Mapping[str, str]) -> dict[str, str] | None:
    """Return what a launcher would set in a process that `srun` started; None in any other process.

    A batch script has no number of a step: it is not one of several processes.
    """
    number = environment.get("SLURM_STEP_ID", "")
    if not number.isdecimal() or int(number) > _LAST_STEP:
        return None
    step = int(environment["SLURM_JOB_ID"]) * 16 + int(number)
    sizes = re.findall(r"(\d+)(?:\(x(\d+)\))?", environment["SLURM_STEP_TASKS_PER_NODE"])
    tasks = [size for size, nodes in sizes for _ in range(int(nodes or 1))]
    found = {
        "RANK": environment["SLURM_PROCID"],
        "WORLD_SIZE": environment["SLURM_STEP_NUM_TASKS"],
        "LOCAL_RANK": environment["SLURM_LOCALID"],
        "LOCAL_WORLD_SIZE": tasks[int(environment["SLURM_NODEID"])],
        "MASTER_ADDR": first_host(environment["SLURM_STEP_NODELIST"]),
        "MASTER_PORT": str(_FIRST_PORT + step % _PORTS),
    }
    cores = environment.get("SLURM_CPUS_PER_TASK")
    return {**found, "OMP_NUM_THREADS": cores} if cores else found


def first_host(nodes: str) -> str:
    """Return the first machine of a list such as `gpu[03-07,12],login1`."""
    first = re.split(r",(?![^\[]*\])", nodes, maxsplit=1)[0]
    return re.sub(r"\[(\w+)[^\]]*\]", r"\1", first)
