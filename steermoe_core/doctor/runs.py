"""Runs that stopped without a word, and locks that they left."""

from __future__ import annotations

import fcntl
import json
import os
from shlex import quote
from typing import TYPE_CHECKING, Any

from steermoe_core.doctor.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def runs(folder: Path) -> Iterator[Finding]:
    """Yield what is wrong with the run folders.

    :param folder: the folder that holds them; it need not exist.
    """
    for path in sorted(folder.glob("*/status.json")):
        run = path.parent
        if not _in_use(run):
            yield from _left(run, _read(path))


def _left(run: Path, status: dict[str, Any]) -> Iterator[Finding]:
    if status.get("state") == "running":
        yield Finding(
            code="run-abandoned",
            what=f"{run} says that it is running (step {status.get('step', 0)}), and no process is",
            mend=f"`{_again(run)}` goes on from its last checkpoint",
            where=str(run),
        )
    elif (run / ".lock").exists():
        yield Finding(
            code="run-lock",
            what=f"{run}/.lock is held by no process",
            mend=f"`rm {quote(str(run / '.lock'))}`",
            where=str(run),
        )


def _again(run: Path) -> str:
    """Return the command that goes on with a run."""
    processes = _read(run / "lock.json").get("processes", 1)
    command = "run" if processes == 1 else f"launch --nproc {processes}"
    place = "" if str(run.parent) == "runs" else f" --runs {quote(str(run.parent))}"
    return f"steermoe {command} {quote(str(run / 'experiment.toml'))}{place}"


def _in_use(run: Path) -> bool:
    """Tell whether a process works in a run folder: it lives, or holds the lock from another machine."""
    try:
        with (run / ".lock").open(encoding="utf-8") as file:
            if _lives(file.read().strip()):
                return True
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _lives(number: str) -> bool:
    try:
        os.kill(int(number), 0)
    except (ValueError, OverflowError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, TypeError, ValueError):
        return {}
