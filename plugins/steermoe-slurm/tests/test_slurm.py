"""A real Slurm: jobs that are stopped, killed, preempted or out of time return, and tables are complete."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from steermoe_core import SetupError, Workers
from steermoe_core.cli.main import main
from steermoe_slurm.config import SlurmConfig
from steermoe_slurm.launcher import Slurm
from tests.rig import metrics, status, trained

if TYPE_CHECKING:
    from pathlib import Path

    from tests.rig import Rig

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]

AXES = '\n[sweep]\nexperiment.seed = [17, 18]\n"adapter.experts" = [3, 4]\n'
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
    cluster.until(lambda: len(list(tmp_path.glob("task-*"))) == 4, "four workers")
    assert "Comment=mine" in cluster.ask("scontrol", "show", "job", names[0])

    def returned(name: str) -> None:
        cluster.until(lambda: cluster.jobs().get(name) == "PENDING", f"{name} to return to the queue")

    cluster.ask("scancel", "--signal=USR1", "--batch", names[0])
    returned(names[0])
    os.kill(int((tmp_path / "task-2").read_text()), signal.SIGKILL)
    returned(names[1])
    cluster.ask("scancel", "--signal=USR1", "--batch", names[3])  # the last has the number of the array
    returned(names[3])
    assert cluster.jobs()[names[2]] == "RUNNING"
    cluster.ask("scancel", names[2])
    cluster.until(lambda: names[2] not in cluster.jobs(), f"{names[2]} to leave the queue")
    assert set(cluster.jobs()) == {names[0], names[1], names[3]}

    (tmp_path / "task-2").unlink()
    cluster.run_again(names[1])
    cluster.until((tmp_path / "task-2").exists, f"the worker of {names[1]}")
    cluster.ask("scancel", job)
    cluster.until(lambda: cluster.jobs() == {}, "an empty queue")


def owners(rig: Rig) -> dict[Path, int]:
    """Return the process that works in each run folder."""
    files = {file.parent.parent: file.name for file in rig.runs.glob("*/.claim/*")}
    return {run: int(re.findall(r"pid=(\d+)", name)[0]) for run, name in files.items()}


class Waiting:
    """A sweep or ladder on Slurm whose workers wait in their third step until they are released.

    :ivar job: its number.
    """

    def __init__(
        self, rig: Rig, cluster: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.rig, self.cluster, self.capsys = rig, cluster, capsys
        monkeypatch.setenv("PYTHONPATH", rig.paths)
        monkeypatch.setenv("OMP_NUM_THREADS", "1")
        monkeypatch.chdir(rig.folder)
        self.environment = monkeypatch

    def start(self, *flags: str, command: str = "sweep") -> list[dict[str, Any]]:
        """Submit two workers; return the runs."""
        self.environment.setenv("RIG", "wait@3")
        words = [command, *self.rig.words(), "--on", "slurm", "--with", "workers=2", *flags, "--json"]
        assert main(words) == 0
        self.environment.delenv("RIG")
        out, err = self.capsys.readouterr()
        self.job = re.findall(r"started 2 workers as Slurm job (\d+), logs ", err)[0]
        return list(json.loads(out)["runs"])

    def two_at_work(self) -> list[Path]:
        """Return the two runs whose workers wait."""

        def waiting() -> list[Path]:
            files = {run: run / "metrics.jsonl" for run in owners(self.rig)}
            return [run for run, file in files.items() if file.exists() and len(metrics(run)) >= 2]

        self.cluster.until(lambda: len(waiting()) == 2, "two runs at work")
        return waiting()

    def release(self) -> None:
        """Let workers take further steps."""
        (self.rig.folder / "go").touch()

    def finish(self) -> None:
        """Wait for the queue to be empty; workers that returned to it start at once, without a time limit."""
        tasks = [f"{self.job}_{task}" for task in (1, 2)]
        returned: set[str] = set()

        def both() -> bool:
            jobs = self.cluster.jobs()
            returned.update(task for task in tasks if jobs.get(task) == "PENDING")
            return len(returned) == 2

        self.cluster.until(both, "both jobs to return")
        for task in tasks:
            self.cluster.ask("scontrol", "update", f"JobId={task}", "TimeLimit=UNLIMITED")
        self.cluster.run_again(*tasks)
        self.cluster.until(lambda: not self.cluster.jobs(), "all runs", seconds=900)

    def check(self, stopped: list[Path]) -> None:
        """Expect a whole table, and of the stopped runs the bytes that undisturbed ones have."""
        assert main(["sweep", *self.rig.words(), "--table", "--json"]) == 0
        found = json.loads(self.capsys.readouterr().out)
        assert [run["state"] for run in found["runs"]] == ["finished"] * 4
        rows = [(row["settings"], row["seeds"], row["split"]) for row in found["rows"]]
        assert rows == [
            ({"adapter.experts": experts}, [17, 18], split)
            for experts in (3, 4)
            for split in ("dev", "other")
        ]
        again = self.rig.folder / "again"
        for run in stopped:
            whole = again / run.name
            assert main(["run", str(run / "experiment.toml"), "--runs", str(again)]) == 0
            assert trained(whole) == trained(run)
            assert metrics(whole) == metrics(run)


@pytest.fixture
def waiting(
    rig: Rig, cluster: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Waiting:
    """Return the rig's experiment, ready for Slurm."""
    return Waiting(rig, cluster, monkeypatch, capsys)


@pytest.fixture
def sweep(waiting: Waiting) -> Waiting:
    """Return a sweep of four cells, not started."""
    waiting.rig.file.write_text(waiting.rig.file.read_text() + AXES)
    return waiting


def test_a_killed_and_a_signalled_worker(sweep: Waiting, cluster: Any) -> None:
    """Both return to the queue, all four cells finish, and an interrupted cell ends with the same bytes."""
    assert [run["state"] for run in sweep.start()] == ["waiting"] * 4
    stopped = sweep.two_at_work()
    workers = [psutil.Process(pid).parent() for pid in owners(sweep.rig).values()]
    by_task = {worker.environ()["SLURM_ARRAY_TASK_ID"]: worker for worker in workers}
    assert set(by_task) == {"1", "2"}
    by_task["1"].send_signal(signal.SIGKILL)
    cluster.ask("scancel", "--signal=USR1", "--batch", f"{sweep.job}_2")
    sweep.release()

    sweep.finish()

    for run in stopped:
        assert status(run)["state"] == "finished"
    sweep.check(stopped)
    assert len(list(sweep.rig.runs.glob(".sweeps/*/slurm-*.log"))) == 2


@pytest.mark.cluster
def test_preemption(sweep: Waiting, cluster: Any) -> None:
    """A job of a partition that goes first takes the node: both workers save and return to the queue."""
    sweep.start("--with", "partition=test")
    stopped = sweep.two_at_work()

    urgent = cluster.ask(
        "sbatch", "--parsable", "-p", "urgent", "-n", "4", "-o", "/dev/null", "--wrap", "sleep 5"
    )
    cluster.until(lambda: [*cluster.jobs().values()].count("COMPLETING") == 2, "SIGTERM for both")
    sweep.release()
    cluster.until(lambda: cluster.jobs().get(urgent, "") in ("RUNNING", ""), "the urgent job")
    assert [status(run)["state"] for run in stopped] == ["interrupted"] * 2
    assert [status(run)["step"] for run in stopped] == [3, 3]
    cluster.until(lambda: urgent not in cluster.jobs(), "the end of the urgent job")

    sweep.finish()
    sweep.check(stopped)


@pytest.mark.cluster
def test_the_time_limit(sweep: Waiting, cluster: Any) -> None:
    """Two minutes before it, both workers save and return to the queue."""
    sweep.start("--with", "hours=0.08")
    stopped = sweep.two_at_work()

    def left() -> list[int]:
        times = cluster.ask("squeue", "-h", "-r", "-o", "%L").split()
        return [60 * int(minutes) + int(seconds) for minutes, _, seconds in (t.partition(":") for t in times)]

    assert all(seconds <= 300 for seconds in left())
    cluster.until(lambda: all(seconds < 110 for seconds in left()), "110 s before the limit", 400)
    sweep.release()
    sweep.finish()

    logs = "".join(file.read_text() for file in sweep.rig.runs.glob(".sweeps/*/slurm-*.log"))
    assert logs.count("steermoe: interrupted") == 2
    sweep.check(stopped)


@pytest.mark.cluster
def test_a_ladder(waiting: Waiting, cluster: Any) -> None:
    """Its rungs are run as the cells of a sweep are, and compared with each other and the control."""
    file = waiting.rig.file  # its rung of LoRA needs linear maps in the encoder
    file.write_text(file.read_text().replace('use = "tiny"', 'use = "dense"'))
    waiting.release()
    runs = waiting.start(command="ladder")
    assert len(runs) > 2

    cluster.until(lambda: not cluster.jobs(), "all rungs", seconds=900)

    assert main(["ladder", *waiting.rig.words(), "--table", "--json"]) == 0
    found = json.loads(waiting.capsys.readouterr().out)
    assert {run["state"] for run in found["runs"]} == {"finished"}
    assert len(found["runs"]) == len(runs)
    assert {run["settings"]["rung"] for run in found["runs"]} < {row["rung"] for row in found["rows"]}


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
    cluster.until(lambda: (rig.folder / "waiting").exists() or process.poll() is not None, "step 3")
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
