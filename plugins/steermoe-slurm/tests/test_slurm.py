"""A sweep in the queue of a real Slurm: a worker is killed, another preempted, and the table is complete."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from steermoe_core.cli.main import main
from tests.rig import metrics, status, trained

if TYPE_CHECKING:
    from pathlib import Path

    from tests.rig import Rig

AXES = '\n[sweep]\nexperiment.seed = [17, 18]\n"adapter.experts" = [3, 4]\n'


def sweep(rig: Rig, *words: str) -> list[str]:
    """Return the words of the command."""
    return ["sweep", *rig.words(), *words]


def owners(rig: Rig) -> dict[Path, int]:
    """Return the process that works in each run folder."""
    files = {file.parent.parent: file.name for file in rig.runs.glob("*/.claim/*")}
    return {run: int(re.findall(r"pid=(\d+)", name)[0]) for run, name in files.items()}


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_sweep_with_a_killed_and_a_preempted_worker(
    rig: Rig, cluster: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both return to the queue, all four cells finish, and an interrupted cell ends with the same bytes."""
    rig.file.write_text(rig.file.read_text() + AXES)
    monkeypatch.setenv("PYTHONPATH", rig.paths)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.chdir(rig.folder)
    monkeypatch.setenv("RIG", "wait@3")

    assert main(sweep(rig, "--on", "slurm", "--with", "workers=2", "--json")) == 0

    out, err = capsys.readouterr()
    job = re.findall(r"started 2 workers as Slurm job (\d+), logs ", err)[0]
    assert [run["state"] for run in json.loads(out)["runs"]] == ["waiting"] * 4
    cluster.until(
        lambda: sum(len(metrics(run)) >= 2 for run in owners(rig) if (run / "metrics.jsonl").exists()) == 2
    )
    stopped = owners(rig)
    workers = {psutil.Process(pid).parent() for pid in stopped.values()}
    by_task = {worker.environ()["SLURM_ARRAY_TASK_ID"]: worker for worker in workers}
    assert set(by_task) == {"1", "2"}
    by_task["1"].send_signal(signal.SIGKILL)
    cluster.ask("scancel", "--signal=USR1", "--batch", f"{job}_2")
    monkeypatch.delenv("RIG")
    (rig.folder / "go").touch()

    cluster.until(lambda: set(cluster.jobs().values()) == {"PENDING"})
    time.sleep(3.0)  # until Slurm has forgotten the ended jobs; it lets requeued ones wait for two minutes
    for task in ("1", "2"):
        cluster.ask("scontrol", "update", f"JobId={job}_{task}", "StartTime=now")
    for run in stopped:
        assert json.loads((run / "status.json").read_text())["state"] in ("interrupted", "running")
    cluster.until(lambda: not cluster.jobs(), seconds=1200)

    assert main(sweep(rig, "--table", "--json")) == 0
    found = json.loads(capsys.readouterr().out)
    assert [run["state"] for run in found["runs"]] == ["finished"] * 4
    rows = [(row["settings"], row["seeds"], row["split"]) for row in found["rows"]]
    assert rows == [
        ({"adapter.experts": experts}, [17, 18], split) for experts in (3, 4) for split in ("dev", "other")
    ]
    again = rig.folder / "again"
    for run in stopped:
        whole = again / run.name
        assert main(["run", str(run / "experiment.toml"), "--runs", str(again)]) == 0
        assert trained(whole) == trained(run)
        assert metrics(whole) == metrics(run)
    logs = [file.read_text() for file in rig.runs.glob(".sweeps/*/slurm-*.log")]
    assert len(logs) == 2


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_run_of_two_processes_that_srun_starts(
    rig: Rig, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal of Slurm reaches every process and its parent: the run saves, and the same command resumes."""
    monkeypatch.setenv("PYTHONPATH", rig.paths)
    command = ["srun", "--ntasks=2", "--job-name=two", sys.executable, "-m", "steermoe_core"]
    command += ["launch", *rig.words()]
    run = rig.path()
    process = subprocess.Popen(
        command, cwd=rig.folder, env={**os.environ, "RIG": "wait@3"}, stderr=subprocess.PIPE, text=True
    )
    cluster.until(lambda: (rig.folder / "waiting").exists() or process.poll() is not None)
    cluster.ask("scancel", "--signal=USR1", "--name=two")
    time.sleep(1.0)
    (rig.folder / "go").touch()
    _, err = process.communicate(timeout=600)

    assert (process.returncode, status(run)["state"], status(run)["step"]) == (130, "interrupted", 3), err
    assert json.loads((run / "lock.json").read_text())["processes"] == 2

    done = subprocess.run(command, cwd=rig.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "resuming from step 3\n" in done.stderr
    assert status(run)["state"] == "finished"
