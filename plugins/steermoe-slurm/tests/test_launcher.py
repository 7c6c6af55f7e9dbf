"""What is submitted, and what becomes of a job whose worker is stopped, killed or cancelled."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from steermoe_core import SetupError, Workers
from steermoe_slurm.config import SlurmConfig
from steermoe_slurm.launcher import Slurm

if TYPE_CHECKING:
    from pathlib import Path

#: A worker that acts on the signals as one of steermoe does, and notes its number.
WORKER = """
import os, pathlib, signal, sys, time
def stop(*_): sys.exit(130)
signal.signal(signal.SIGUSR1, stop)
signal.signal(signal.SIGTERM, stop)
(pathlib.Path(sys.argv[1]) / f"task-{os.environ['SLURM_ARRAY_TASK_ID']}").write_text(str(os.getpid()))
time.sleep(300)
"""


def workers(folder: Path, runs: int = 9) -> Workers:
    """Return workers that sleep."""
    return Workers(command=[sys.executable, "-c", WORKER, str(folder)], runs=runs, folder=folder, name="tiny")


def test_the_script(tmp_path: Path) -> None:
    """At most one worker for each run; arguments of one's own come last."""
    config = SlurmConfig(
        workers=4, hours=1.51, partition="gpu", gpus=1, sbatch=["--comment=a b", "--mem=64G"]
    )
    script = Slurm(config).script(workers(tmp_path, runs=3))

    assert [line.removeprefix("#SBATCH ") for line in script.splitlines() if line.startswith("#SBATCH")] == [
        "--job-name=steermoe-tiny",
        "--array=1-3",
        f"--output={tmp_path}/slurm-%A_%a.log",
        "--open-mode=append",
        "--requeue",
        "--signal=B:USR1@120",
        "--time=91",
        "--partition=gpu",
        "--gpus=1",
        "'--comment=a b'",
        "--mem=64G",
    ]
    assert script.startswith("#!/bin/bash\n")
    assert "--time" not in Slurm(SlurmConfig()).script(workers(tmp_path))


def test_without_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said where the command has to be run."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError, match="there is no sbatch here: run the same command on a login node"):
        Slurm(SlurmConfig()).start(workers(tmp_path))


def test_what_sbatch_says_is_passed_on(tmp_path: Path, cluster: Any) -> None:
    """The last line of it."""
    assert cluster.jobs() == {}
    with pytest.raises(SetupError, match=r"sbatch did not take .*slurm\.sh: .*Invalid partition"):
        Slurm(SlurmConfig(partition="none")).start(workers(tmp_path))


def test_stopped_and_killed_workers_return_to_the_queue(tmp_path: Path, cluster: Any) -> None:
    """Alone: the others run on. A cancelled one does not return."""
    said = Slurm(SlurmConfig(workers=4, sbatch=["--comment=mine"])).start(workers(tmp_path))
    job = said.removeprefix("4 workers as Slurm job ").partition(",")[0]
    names = [f"{job}_{task}" for task in range(1, 5)]
    cluster.until(lambda: len(list(tmp_path.glob("task-*"))) == 4)
    assert "Comment=mine" in cluster.ask("scontrol", "show", "job", names[0])

    cluster.ask("scancel", "--signal=USR1", "--batch", names[0])
    cluster.until(lambda: cluster.jobs()[names[0]] == "PENDING")
    os.kill(int((tmp_path / "task-2").read_text()), signal.SIGKILL)
    cluster.until(lambda: cluster.jobs()[names[1]] == "PENDING")
    cluster.ask("scancel", "--signal=USR1", "--batch", names[3])  # the last has the number of the array
    cluster.until(lambda: cluster.jobs()[names[3]] == "PENDING")
    assert cluster.jobs()[names[2]] == "RUNNING"
    cluster.ask("scancel", names[2])
    cluster.until(lambda: names[2] not in cluster.jobs())
    assert set(cluster.jobs()) == {names[0], names[1], names[3]}

    time.sleep(3.0)  # until Slurm has forgotten the ended job; it lets a requeued one wait for two minutes
    cluster.ask("scontrol", "update", f"JobId={names[1]}", "StartTime=now")
    (tmp_path / "task-2").unlink()
    cluster.until((tmp_path / "task-2").exists)
    cluster.ask("scancel", job)
    cluster.until(lambda: cluster.jobs() == {})


def test_ranks_of_processes_that_srun_started(cluster: Any) -> None:
    """Each has its own, and all have the same meeting place."""
    script = (
        "import json, os; from steermoe_core.system.slurm import step_ranks; "
        "print(json.dumps(step_ranks(os.environ)))"
    )
    out = cluster.ask("srun", "--ntasks=2", "--cpus-per-task=1", sys.executable, "-c", script)
    ranks = sorted((json.loads(line) for line in out.splitlines()), key=lambda one: one["RANK"])

    assert [
        (one["RANK"], one["LOCAL_RANK"], one["WORLD_SIZE"], one["LOCAL_WORLD_SIZE"]) for one in ranks
    ] == [
        ("0", "0", "2", "2"),
        ("1", "1", "2", "2"),
    ]
    assert {one["MASTER_ADDR"] for one in ranks} == {socket.gethostname().partition(".")[0]}
    assert len({one["MASTER_PORT"] for one in ranks}) == 1
    assert {one["OMP_NUM_THREADS"] for one in ranks} == {"1"}
