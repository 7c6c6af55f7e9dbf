"""A real Slurm of one node on loopback, and whole runs on tiny parts."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import decoder_folder, rig, rig_plugin, site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Self

__all__ = ["decoder_folder", "rig", "rig_plugin", "site"]

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun")
CONFIG = """
ClusterName=steermoe
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={daemon}
AuthInfo=socket={place}/munge/socket
SlurmUser=root
StateSaveLocation={place}/state
SlurmdSpoolDir={place}/spool
SlurmctldPidFile={place}/slurmctld.pid
SlurmdPidFile={place}/slurmd.pid
SlurmctldLogFile={place}/slurmctld.log
SlurmdLogFile={place}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
SchedulerParameters=sched_interval=1,sched_min_interval=0,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
JobAcctGatherType=jobacct_gather/none
SlurmdParameters=config_overrides
KillWait=60
MinJobAge=3600
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 State=UNKNOWN
PartitionName=test Nodes={host} Default=YES MaxTime=INFINITE State=UP PriorityTier=1
PartitionName=urgent Nodes={host} MaxTime=INFINITE State=UP PriorityTier=9
"""


class Cluster:
    """A Slurm that runs.

    :param place: holds its configuration, state and logs.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        self.config = place / "slurm.conf"

    def __enter__(self) -> Self:
        for name in ("munge", "state", "spool"):
            (self.place / name).mkdir()
        host = socket.gethostname().partition(".")[0]
        ports = dict(zip(("controller", "daemon"), free_ports(2), strict=True))
        self.config.write_text(CONFIG.format(host=host, place=self.place, **ports))
        os.environ["SLURM_CONF"] = str(self.config)
        key = self.place / "munge" / "key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        paths = ("key-file=key", "socket=socket", "pid-file=pid", "log-file=log", "seed-file=seed")
        flags = [f"--{name}={self.place}/munge/{file}" for name, file in (one.split("=") for one in paths)]
        for command in (
            ["munged", "--force", *flags],
            ["slurmctld", "-f", str(self.config)],
            ["slurmd", "-f", str(self.config)],
        ):
            started = subprocess.run(command, check=False, stderr=subprocess.DEVNULL, timeout=60)
            if started.returncode:
                self.__exit__()
                pytest.skip(f"{command[0]} does not start here:\n{self.logs()}")
        self.until(lambda: "idle" in self.ask("sinfo", "-h", "-p", "test", "-o", "%T"), "an idle node", 60.0)
        return self

    def __exit__(self, *_: object) -> None:
        self.ask("scancel", "--user=root")
        end = time.monotonic() + 90.0
        while self.jobs() and time.monotonic() < end:
            time.sleep(0.2)
        for file in ("slurmd.pid", "slurmctld.pid", "munge/pid"):
            if (self.place / file).exists():
                os.kill(int((self.place / file).read_text()), 15)
        del os.environ["SLURM_CONF"]

    def ask(self, *words: str) -> str:
        """Return what a program of Slurm prints; empty if it fails."""
        try:
            return subprocess.run(
                words, capture_output=True, text=True, check=False, timeout=60
            ).stdout.strip()
        except subprocess.TimeoutExpired:
            return ""

    def jobs(self) -> dict[str, str]:
        """Return the state of each job of the queue by number; array tasks have numbers of their own."""
        listed = self.ask("squeue", "-h", "-r", "-o", "%i %T").splitlines()
        return dict(line.split() for line in listed)

    def run_again(self, *jobs: str) -> None:
        """Let requeued jobs start now, which Slurm lets wait for two minutes.

        In the first seconds, it would start a job with the credential of its last start, and fail it.
        """
        time.sleep(3.0)

        def started() -> bool:
            pending = [job for job in jobs if self.jobs().get(job) == "PENDING"]
            for job in pending:
                self.ask("scontrol", "update", f"JobId={job}", "StartTime=now")
            return not pending

        self.until(started, f"{', '.join(jobs)} to start again")

    def until(self, condition: Any, what: str, seconds: float = 400.0) -> None:
        """Wait for something to become true; tell what Slurm and the workers know where it does not."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                pytest.fail(f"waited {seconds:g} s for {what}\n{self.told()}")
            time.sleep(0.2)

    def told(self) -> str:
        """Return the nodes, the jobs with the ends of their output, and the ends of the logs."""
        jobs = self.ask("scontrol", "show", "job", "-d")
        outputs = dict.fromkeys(re.findall(r"StdOut=(\S+)", jobs))
        files = [Path(output) for output in outputs if Path(output).is_file()]
        parts = [f"{file}:\n{file.read_text()[-1500:]}" for file in files]
        return "\n\n".join(
            [self.ask("sinfo", "-N", "-l"), self.ask("squeue", "-r"), jobs, *parts, self.logs()]
        )

    def logs(self) -> str:
        """Return the ends of the logs of Slurm itself."""
        return "\n".join(f"{file.name}:\n{file.read_text()[-2000:]}" for file in self.place.glob("*.log"))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Start a Slurm; tests that need it are skipped where it is not installed.

    They are all in one file, which one process runs, whatever the number of processes.
    """
    if missing := [name for name in PROGRAMS if shutil.which(name) is None]:
        pytest.skip(f"{', '.join(missing)} not installed (Debian: apt install slurm-wlm munge)")
    if os.geteuid() != 0:
        pytest.skip("only root can start a Slurm of its own")
    with ExitStack() as stack:
        yield stack.enter_context(Cluster(tmp_path_factory.mktemp("slurm")))


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens at."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
