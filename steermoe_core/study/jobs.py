"""Several jobs, each a run in its own process: the next unfinished one is chosen and run.

The state of a job is in its run folder alone. So whatever ends this process, the same command skips what is
finished and resumes what was interrupted, and two commands share the work: neither runs what the other is
running. A process that dies stops no other job; its folder records why it died.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Literal, cast

import attrs

from steermoe_core.errors import ExitCode
from steermoe_core.run.folder.finished import scores_of
from steermoe_core.run.folder.run_folder import OTHER_RUNS, RunFolder, now, write_text
from steermoe_core.study.launch import forwarded
from steermoe_core.system.cores import cores
from steermoe_core.system.files import saving
from steermoe_core.train.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from steermoe_core.config.experiment import TrainConfig
    from steermoe_core.config.sweep import AxisValues, Cell

State = Literal["waiting", "running", "interrupted", "failed", "finished"]

#: Seconds between two looks at a running process.
_TICK = 0.5
#: prctl(2): the signal that a process receives when its parent ends.
_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


@attrs.frozen(kw_only=True)
class JobStatus:
    """A job's name and settings with its progress.

    :param step: last logged step; `of`: the number of steps that it trains for, None before its epochs are
        counted.
    :param scores: by split and metric.
    """

    name: str
    settings: AxisValues
    folder: str
    state: State
    step: int
    of: int | None
    loss: float | None
    scores: dict[str, dict[str, float | None]]
    error: str | None


@attrs.frozen(eq=False, kw_only=True)
class Job:
    """One run.

    :param name: what distinguishes it from the other jobs, for people; `settings`: the same for programs.
    :param words: arguments of `steermoe` that start or resume it.
    :param experiment: the experiment file in these arguments.
    :param toml: content of that file, written if it does not exist.
    :param train: how it trains; None where it trains nothing.
    """

    name: str
    settings: AxisValues
    folder: RunFolder
    words: Sequence[str]
    experiment: Path
    toml: str = attrs.field(repr=False)
    train: TrainConfig | None

    @classmethod
    def run(cls, name: str, cell: Cell, runs: Path, flags: Sequence[str]) -> Job:
        """Return the job that trains and scores an experiment with `steermoe run`.

        :param runs: the folder that holds the run folders.
        :param flags: flags that every command takes.
        """
        folder = RunFolder.of(cell.resolved, runs)
        return cls(
            name=name,
            settings=cell.settings,
            folder=folder,
            words=["run", str(folder.experiment), "--runs", str(runs), *flags],
            experiment=folder.experiment,
            toml=cell.resolved.to_toml(),
            train=cell.resolved.experiment.train,
        )

    @property
    def state(self) -> State:
        """State according to the folder; "running" in status.json without a process means interrupted."""
        if self.folder.in_use:
            return "running"
        state = self.folder.state or "waiting"
        return "interrupted" if state == "running" else cast("State", state)

    @property
    def status(self) -> JobStatus:
        """Progress according to the folder."""
        lines = [line for line in Journal(self.folder.metrics).read() if line.loss is not None]
        status, last = self.folder.status, lines[-1] if lines else None
        return JobStatus(
            name=self.name,
            settings=self.settings,
            folder=str(self.folder.path),
            state=self.state,
            step=max(last.step if last else 0, status.step if status else 0),
            of=self.folder.steps(self.train) if self.train else 0,
            loss=last.loss if last else None,
            scores={
                split: {metric: score.value for metric, score in scores.metrics.items()}
                for split, scores in scores_of(self.folder).items()
            },
            error=status.error if status and status.state == "failed" else None,
        )


def unfinished(jobs: Sequence[Job], *, retry_failed: bool = False) -> list[Job]:
    """Return the jobs that are to be run or that run now.

    :param retry_failed: resume failed jobs from their last checkpoint.
    """
    ends = {"finished"} if retry_failed else {"finished", "failed"}
    return [job for job in jobs if job.state not in ends]


def work(
    jobs: Sequence[Job],
    tick: Callable[[], None],
    check: Callable[[], None],
    *,
    retry_failed: bool = False,
    wait: bool = True,
    parallel: int = 1,
) -> None:
    """Run the unfinished jobs.

    :param tick: called regularly while jobs run.
    :param check: called before a job starts; what it raises ends the work.
    :param retry_failed: resume failed jobs from their last checkpoint.
    :param wait: for the jobs that other processes run, which may leave them unfinished.
    :param parallel: number of jobs that run at the same time, each on its share of the cores.
    :raises KeyboardInterrupt: stopped on request; every job can be resumed.
    """
    todo, running = list(jobs), list[_Process]()
    with _stopped(running) as stopped:
        while todo or running:
            for process in [one for one in running if one.ended]:
                running.remove(process)
                if not process.close():
                    todo.append(process.job)
            todo = unfinished(todo, retry_failed=retry_failed)
            free = [] if stopped else [job for job in todo if not job.folder.in_use]
            if free and len(running) < parallel:
                check()
                todo.remove(free[0])
                running.append(_Process.start(free[0], min(parallel, len(jobs))))
            elif running or (todo and wait and not stopped):
                tick()
                time.sleep(_TICK)
            else:
                break
    tick()
    if stopped:
        raise KeyboardInterrupt


@contextmanager
def _stopped(running: Sequence[_Process]) -> Iterator[list[int]]:
    """Stop the running processes on a signal, and if the block raises; wait until they have ended.

    :returns: the processes that a signal was passed to.
    """
    with forwarded(lambda: [one.process.pid for one in running]) as reached:
        try:
            yield reached
        finally:
            for one in running:
                one.process.send_signal(signal.SIGINT)
            for one in running:
                one.process.wait()
                one.close()


@attrs.frozen(eq=False)
class _Process:
    """The process of a job."""

    job: Job
    process: subprocess.Popen[bytes]
    stderr: IO[bytes]

    @classmethod
    def start(cls, job: Job, parallel: int) -> _Process:
        """Start a job as one of several that share the cores."""
        with saving(job.folder.path, OTHER_RUNS):
            job.folder.path.mkdir(parents=True, exist_ok=True)
        if not job.experiment.exists():
            write_text(job.experiment, job.toml)
        share = {"OMP_NUM_THREADS": str(max(1, cores() // parallel))} if parallel > 1 else {}
        stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "steermoe_core", *job.words],
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            env={**share, **os.environ},
            start_new_session=True,  # one Ctrl-C reaches it once, from here: it finishes its step and saves
            preexec_fn=end_with_parent,  # noqa: PLW1509 - no thread runs here
        )
        return cls(job, process, stderr)

    @property
    def ended(self) -> bool:
        """Whether the process has ended."""
        return self.process.poll() is not None

    def close(self) -> bool:
        """Record a failure; return False if another process was quicker to start the job."""
        code = self.process.returncode
        with self.stderr:
            if code == ExitCode.RUN_FAILED and self.job.folder.in_use:
                return False
            if code != ExitCode.OK:
                _record_failure(self.job, code, self.stderr)
        return True


def end_with_parent() -> None:
    """Have the new process finish its step, save and end if this one is killed."""
    if _LIBC is not None:
        _LIBC.prctl(_PDEATHSIG, signal.SIGTERM)


def _record_failure(job: Job, code: int, stderr: IO[bytes]) -> None:
    """Write into a job's folder why it failed, unless it did so itself, or another process was quicker."""
    if job.folder.state in ("failed", "interrupted", "finished"):
        return
    stderr.seek(0)
    lines = [line for line in stderr.read().decode(errors="replace").splitlines() if line.strip()]
    reason = lines[-1].removeprefix("steermoe: ") if lines else f"exit code {code}"
    if code < 0:
        reason = f"its process was ended by signal {-code} ({signal.Signals(-code).name})"
    with job.folder.held():
        job.folder.set_status("failed", ended=now(), error=reason)
