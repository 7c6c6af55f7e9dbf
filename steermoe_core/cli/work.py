"""`steermoe work FOLDER`: take free runs of a sweep or ladder that has begun, until none is free.

A launcher of `steermoe sweep` starts this command elsewhere, any number of times. Each worker takes
the next run that no other process works on. It does not wait for the runs of others: a run that one of them
leaves unfinished is resumed by the next worker.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from steermoe_core.cli.shared.session import Session


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's flags."""
    text = "the folder that a sweep made when it began: runs/.sweeps/…"
    parser.add_argument("folder", type=Path, metavar="FOLDER", help=text)
    text = "resume failed runs from their last checkpoint"
    parser.add_argument("--retry-failed", action="store_true", help=text)


def run(args: Namespace, session: Session) -> int:  # noqa: ARG001 - the runs have the flags of the sweep
    """Run what is free."""
    from steermoe_core.cli.shared.batch import ended
    from steermoe_core.cli.shared.progress import Progress
    from steermoe_core.errors import ExitCode
    from steermoe_core.run.console import Console
    from steermoe_core.study.begun import Beginning
    from steermoe_core.study.jobs import work

    beginning, console = Beginning.read(args.folder), Console()
    jobs = beginning.begun.jobs
    progress = Progress(str(args.folder), jobs, console)
    shuffled = random.sample(jobs, len(jobs))  # workers that start together take different runs
    with progress.shown() as tick:
        work(shuffled, tick, beginning.check, retry_failed=args.retry_failed, wait=False)
    failed = any(one.state == "failed" for one in ended(progress, console))
    return ExitCode.RUN_FAILED if failed else ExitCode.OK
