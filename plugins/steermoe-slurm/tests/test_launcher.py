"""What is submitted."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from steermoe_core import SetupError, Workers
from steermoe_slurm.config import SlurmConfig
from steermoe_slurm.launcher import Slurm

if TYPE_CHECKING:
    from pathlib import Path


def workers(folder: Path, runs: int = 9) -> Workers:
    """Return workers of a sweep."""
    return Workers(command=["steermoe", "work", str(folder)], runs=runs, folder=folder, name="tiny")


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


@pytest.mark.parametrize(
    ("worker", "restarts", "requeued"),
    [
        ("exit 0", 0, False),
        ("exit 1", 0, False),
        ("exit 130", 0, True),
        ("kill -USR1 $$", 99, True),
        ("kill -KILL $$", 0, True),
        ("kill -KILL $$", 99, False),
    ],
    ids=["finished", "failed", "stopped", "told while it starts", "killed", "killed too often"],
)
def test_which_workers_return_to_the_queue(
    tmp_path: Path,
    worker: str,
    restarts: int,
    requeued: bool,  # noqa: FBT001
) -> None:
    """The script passes the worker's exit code on, and asks Slurm to start its job again."""
    asked = tmp_path / "asked"
    fake = tmp_path / "scontrol"
    fake.write_text(f'#!/bin/bash\necho "$@" >> {asked}\necho JobState=RUNNING\n')
    fake.chmod(0o755)
    told = Workers(command=["bash", "-c", worker], runs=1, folder=tmp_path, name="tiny")
    environment = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "SLURM_ARRAY_JOB_ID": "7",
        "SLURM_ARRAY_TASK_ID": "1",
        "SLURM_RESTART_COUNT": str(restarts),
    }

    script = tmp_path / "script.sh"
    script.write_text(Slurm(SlurmConfig()).script(told))
    script.chmod(0o755)

    done = subprocess.run([script], env=environment, capture_output=True, check=False)

    assert (done.returncode == 0) == (worker == "exit 0")
    assert (asked.exists() and "requeue 7_1" in asked.read_text()) is requeued


def test_without_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said where the command has to be run."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError, match="there is no sbatch here: run the same command on a login node"):
        Slurm(SlurmConfig()).start(workers(tmp_path))
