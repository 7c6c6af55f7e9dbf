"""Runs one after the other, each in a process of its own: what a sweep and a ladder are made of.

All that is known of a run is in its folder. So whatever ends this process, the same command finds what is
finished and goes on with what was interrupted, and two of them share the work: what one does is left to it.
A process that dies takes no other run with it; why it died is written into its folder.
"""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
import tempfile
import time
from typing import IO, TYPE_CHECKING, Any, Literal

import attrs

from steermoe_core.errors import ExitCode
from steermoe_core.run.folder.finished import scores_of
from steermoe_core.run.folder.run_folder import OTHER_RUNS, RunFolder, now, write_text
from steermoe_core.study.launch import forwarded
from steermoe_core.system.files import saving
from steermoe_core.train.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from steermoe_core.config.resolve import Resolved

State = Literal["waiting", "running", "interrupted", "failed", "finished"]

#: Seconds between two looks at a run that goes on.
_TICK = 0.5
#: Of prctl(2): the signal that a process gets when its parent ends.
_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


@attrs.frozen(eq=False, kw_only=True)
class Job:
    """One run.

    :param settings: what tells it from the others.
    :param folder: where its state is.
    :param words: arguments of `steermoe` that begin it or go on with it.
    :param experiment: the experiment file that these name.
    :param toml: what is written there, unless it is there already.
    :param steps: that it trains for.
    """

    settings: dict[str, Any]
    folder: RunFolder
    words: Sequence[str]
    experiment: Path
    toml: str = attrs.field(repr=False)
    steps: int

    @classmethod
    def run(cls, settings: dict[str, Any], resolved: Resolved, runs: Path, flags: Sequence[str]) -> Job:
        """Return the job of training and scoring an experiment: that of `steermoe run`.

        :param runs: the folder that holds the run folders.
        :param flags: those that every command takes.
        """
        folder = RunFolder.of(resolved, runs)
        words = ["run", str(folder.experiment), "--runs", str(runs), *flags]
        return cls(
            settings=settings,
            folder=folder,
            words=words,
            experiment=folder.experiment,
            toml=resolved.to_toml(),
            steps=resolved.experiment.train.steps,
        )

    @property
    def state(self) -> State:
        """How far it is, as its folder says; a run that says it is running and that nobody holds is not."""
        if self.folder.in_use:
            return "running"
        said: Any = self.folder.state or "waiting"
        return "interrupted" if said == "running" else said

    @property
    def facts(self) -> dict[str, Any]:
        """Its state, last logged step and loss, scores and error."""
        lines = [line for line in Journal(self.folder.metrics).read() if line.loss is not None]
        status, last = self.folder.status, lines[-1] if lines else None
        return {
            "settings": self.settings,
            "folder": str(self.folder.path),
            "state": self.state,
            "step": max(last.step if last else 0, status.step if status else 0),
            "of": self.steps,
            "loss": last.loss if last else None,
            "scores": {
                split: {metric: score.value for metric, score in scores.metrics.items()}
                for split, scores in scores_of(self.folder).items()
            },
            "error": status.error if status and status.state == "failed" else None,
        }


def work(jobs: Sequence[Job], tick: Callable[[], None], *, retry_failed: bool = False) -> None:
    """Do what is not done yet, one job after the other.

    :param tick: called now and then while a job goes on.
    :param retry_failed: begin failed ones again, from their last checkpoint.
    :raises KeyboardInterrupt: stopped on request; every job can be gone on with.
    """
    todo = [job for job in jobs if job.state not in _ends(retry_failed=retry_failed)]
    while todo:
        free = [job for job in todo if not job.folder.in_use]
        if free:
            todo.remove(free[0])
            if not _do(free[0], tick):
                todo.append(free[0])
        else:  # others work on all that is left
            tick()
            time.sleep(_TICK)
        todo = [job for job in todo if job.state not in _ends(retry_failed=retry_failed)]


def _ends(*, retry_failed: bool) -> set[State]:
    return {"finished"} if retry_failed else {"finished", "failed"}


def _do(job: Job, tick: Callable[[], None]) -> bool:
    """Run a job's process to its end; return whether it was this one that worked on it."""
    with saving(job.folder.path, OTHER_RUNS):
        job.folder.path.mkdir(parents=True, exist_ok=True)
    if not job.experiment.exists():
        write_text(job.experiment, job.toml)
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "steermoe_core", *job.words],
            stdout=subprocess.DEVNULL,
            stderr=said,
            start_new_session=True,  # a Ctrl-C reaches it once, from here, and it can end its step and save
            preexec_fn=end_with_parent,  # noqa: PLW1509 - no thread runs here
        )
        with forwarded(process, local=False) as stopped:
            while process.poll() is None:
                tick()
                time.sleep(_TICK)
        if stopped:
            raise KeyboardInterrupt
        if process.returncode == ExitCode.RUN_FAILED and job.folder.in_use:
            return False  # another process was quicker
        if process.returncode != ExitCode.OK:
            _note_failure(job, process.returncode, said)
    tick()
    return True


def end_with_parent() -> None:
    """Run in a new process: let it finish its step, save and end if its parent is killed."""
    if _LIBC is not None:
        _LIBC.prctl(_PDEATHSIG, signal.SIGTERM)


def _note_failure(job: Job, code: int, said: IO[bytes]) -> None:
    """Write into a job's folder why it failed, where it could not do so itself."""
    if job.folder.state in ("failed", "interrupted"):
        return
    said.seek(0)
    lines = [line for line in said.read().decode(errors="replace").splitlines() if line.strip()]
    reason = lines[-1].removeprefix("steermoe: ") if lines else f"exit code {code}"
    if code < 0:
        reason = f"its process was ended by signal {-code} ({signal.Signals(-code).name})"
    with job.folder.held():
        job.folder.set_status("failed", ended=now(), error=reason)
