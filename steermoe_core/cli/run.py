"""`steermoe run FILE…`: train and score experiments; resume interrupted runs.

Several files are run one after the other, or with `--parallel` at the same time. A finished run is not
repeated: its tables are printed again.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from steermoe_core.cli.shared.flags import add_parallel, add_runs, add_set
from steermoe_core.system.printing import say

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Sequence

    from steermoe_core.cli.shared.session import Session
    from steermoe_core.config.resolve import Resolved
    from steermoe_core.run.folder.finished import FinishedRun


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's flags."""
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="experiment files")
    add_set(parser)
    add_runs(parser)
    add_parallel(parser)
    parser.add_argument("--json", action="store_true", help="print the scores as JSON")


def run(args: Namespace, session: Session) -> int:
    """Check every file before the first run starts, then execute them and print the tables of each."""
    from steermoe_core.config.resolve import resolve

    resolved = [resolve(file, args.set, session.registry) for file in args.files]
    from steermoe_core.cli.shared.run_tables import print_results
    from steermoe_core.run.assembly.parts import check_imports
    from steermoe_core.run.console import Console
    from steermoe_core.run.execute import Run
    from steermoe_core.scripting.execute import execute
    from steermoe_core.train.ranks import first

    for one in resolved:
        check_imports(one, session.registry)
    if args.parallel > 1 and len(resolved) > 1:
        return _run_parallel(resolved, args, session)
    finished: list[FinishedRun] = []
    for one in resolved:
        finished.append(execute(Run(one, session.registry, args.runs, Console(quiet=not first()))))
        if first() and not args.json:
            if len(finished) > 1:
                say()
            print_results(finished[-1:], session.console, as_json=False)
    if first() and args.json:
        print_results(finished, session.console, as_json=True)
    return 0


def _run_parallel(resolved: Sequence[Resolved], args: Namespace, session: Session) -> int:
    """Run each experiment in its own process; print the tables of those that finish.

    :returns: the exit code: 1 if a run failed.
    :raises UsageError: this process is one of several ranks.
    """
    from steermoe_core.cli.shared.batch import ended
    from steermoe_core.cli.shared.progress import Progress
    from steermoe_core.cli.shared.run_tables import print_results
    from steermoe_core.config.sweep import Cell
    from steermoe_core.errors import ExitCode, UsageError
    from steermoe_core.run.console import Console
    from steermoe_core.run.folder.finished import FinishedRun
    from steermoe_core.study.jobs import Job, work
    from steermoe_core.train.ranks import world

    if world() > 1:
        msg = "--parallel starts processes of its own; drop it, or start the runs without a launcher"
        raise UsageError(msg)
    jobs = [
        Job.run(one.experiment.experiment.name, Cell({}, one), args.runs, session.flags) for one in resolved
    ]
    console = Console()
    progress = Progress(str(args.runs), jobs, console)
    with progress.shown() as tick:
        work(jobs, tick, lambda: None, retry_failed=True, parallel=args.parallel)
    states = [status.state for status in ended(progress, console)]
    finished = [
        FinishedRun(job.folder.path, session.registry)
        for job, state in zip(jobs, states, strict=True)
        if state == "finished"
    ]
    if finished:
        print_results(finished, session.console, as_json=args.json)
    return ExitCode.OK if len(finished) == len(jobs) else ExitCode.RUN_FAILED
