"""Runs that stopped without an error."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

from steermoe_core.doctor.finding import Finding
from steermoe_core.errors import SteermoeError
from steermoe_core.run.folder.records import Lock, Status
from steermoe_core.run.folder.run_folder import RunFolder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def runs(folder: Path) -> Iterator[Finding]:
    """Yield what is wrong with the run folders.

    :param folder: the folder that holds them; it need not exist.
    """
    for path in sorted(folder.glob("*/status.json")):
        run = RunFolder(path.parent)
        try:
            if not run.in_use:
                yield from _left(run.path, run.status)
        except SteermoeError as error:
            yield Finding(
                code="run-damaged",
                what=str(error),
                mend=f"`ls -l {quote(str(run.path))}` shows it",
                where=str(run.path),
            )


def _left(run: Path, status: Status | None) -> Iterator[Finding]:
    if status and status.state == "running":
        yield Finding(
            code="run-abandoned",
            what=f"{run} says that it is running (step {status.step}), and no process is",
            mend=f"`{_again(run)}` resumes from its last checkpoint",
            where=str(run),
        )


def _again(run: Path) -> str:
    """Return the command that resumes a run."""
    processes = (Lock.find(run / "lock.json") or Lock()).processes
    command = "run" if processes == 1 else f"launch --nproc {processes}"
    place = "" if str(run.parent) == "runs" else f" --runs {quote(str(run.parent))}"
    return f"steermoe {command} {quote(str(run / 'experiment.toml'))}{place}"
