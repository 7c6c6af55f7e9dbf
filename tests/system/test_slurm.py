"""What Slurm says in the environment of a process."""

from __future__ import annotations

import pytest

from steermoe_core.system.slurm import first_host, job, step_ranks

#: Of the sixth of eight processes, as `srun` sets it.
STEP = {
    "SLURM_JOB_ID": "4711",
    "SLURM_STEP_ID": "2",
    "SLURM_PROCID": "5",
    "SLURM_LOCALID": "1",
    "SLURM_NODEID": "1",
    "SLURM_STEP_NUM_TASKS": "8",
    "SLURM_STEP_TASKS_PER_NODE": "4(x2)",
    "SLURM_STEP_NODELIST": "gpu[03-04]",
}


def test_ranks_of_a_step() -> None:
    """What torch and DeepSpeed read; the port differs from step to step."""
    assert step_ranks(STEP) == {
        "RANK": "5",
        "WORLD_SIZE": "8",
        "LOCAL_RANK": "1",
        "LOCAL_WORLD_SIZE": "4",
        "MASTER_ADDR": "gpu03",
        "MASTER_PORT": "25378",
    }
    uneven = {**STEP, "SLURM_STEP_TASKS_PER_NODE": "2(x1),6", "SLURM_CPUS_PER_TASK": "3"}
    found = step_ranks(uneven)
    assert found
    assert (found["LOCAL_WORLD_SIZE"], found["OMP_NUM_THREADS"]) == ("6", "3")
    assert step_ranks({**STEP, "SLURM_STEP_ID": "3"})["MASTER_PORT"] == "25379"  # type: ignore[index]


@pytest.mark.parametrize("step", [None, "batch", "4294967291"])
def test_no_step(step: str | None) -> None:
    """A batch script is not one of several processes."""
    environment = {**STEP, "SLURM_STEP_ID": step} if step else {}
    assert step_ranks({key: value for key, value in environment.items() if value is not None}) is None


@pytest.mark.parametrize(
    ("nodes", "first"),
    [("vm", "vm"), ("a,b", "a"), ("gpu[03-07,12],login1", "gpu03"), ("r[0-1]n[2,3]-x,c", "r0n2-x")],
)
def test_first_host(nodes: str, first: str) -> None:
    """Lists are compressed."""
    assert first_host(nodes) == first


def test_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside of one there is none."""
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    assert job() == ""
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    assert job() == "17"
