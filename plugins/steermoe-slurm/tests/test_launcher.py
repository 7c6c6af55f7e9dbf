"""What is submitted."""

from __future__ import annotations

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


def test_without_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said where the command has to be run."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError, match="there is no sbatch here: run the same command on a login node"):
        Slurm(SlurmConfig()).start(workers(tmp_path))
