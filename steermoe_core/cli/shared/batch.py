"""What commands that execute many runs share: their flags, their progress, their output and exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from steermoe_core.cli.shared.flags import add_runs
from steermoe_core.cli.shared.progress import Progress, result, step
from steermoe_core.cli.shared.scores import add_choice
from steermoe_core.cli.shared.table import Table, add_formats, figures, print_tables, words
from steermoe_core.errors import ExitCode

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Sequence

    from steermoe_core.cli.shared.scores import Rows
    from steermoe_core.study.jobs import Job
    from steermoe_core.system.terminal import Terminal

    Facts = list[dict[str, Any]]


def add_batch(parser: ArgumentParser) -> None:
    """Declare the flags for the runs and for the table of their scores."""
    add_runs(parser)
    flag = parser.add_argument
    flag("--retry-failed", action="store_true", help="resume failed runs from their last checkpoint")
    flag("--dry-run", action="store_true", help="list the runs and their progress; run nothing")
    flag("--table", action="store_true", help="print the table of the finished runs; run nothing")
    add_choice(parser)
    add_formats(parser)


def work_off(title: str, jobs: Sequence[Job], names: Sequence[str], args: Namespace) -> Facts:
    """Execute all jobs, unless the flags ask for their table only; return the facts of their folders.

    :raises KeyboardInterrupt: stopped on request.
    """
    from steermoe_core.run.console import Console
    from steermoe_core.study.jobs import work

    console = Console()
    progress = Progress(title, jobs, names, console)
    if not args.table:
        with progress.shown() as tick:
            work(jobs, tick, retry_failed=args.retry_failed)
    facts = [{"name": name, **one} for name, one in zip(names, progress.facts, strict=True)]
    for one in facts:
        if one["state"] != "finished":
            console.note(f"{one['name']}: {one['state']}{': ' if result(one) else ''}{result(one)}")
    if any(one["state"] == "failed" for one in facts):
        console.note("failed runs are not repeated; --retry-failed resumes them")
    return facts


def print_plan(jobs: Sequence[Job], names: Sequence[str], args: Namespace, console: Terminal) -> int:
    """Print the jobs and their progress."""
    facts = [{"name": name, **job.facts} for name, job in zip(names, jobs, strict=True)]
    table = Table(
        title=f"{len(jobs)} runs",
        columns=[*words("run", "state", "folder"), *figures("step")],
        rows=[[one["name"], one["state"], one["folder"], step(one)] for one in facts],
    )
    print_tables([table], args, console, facts={"runs": facts})
    return 0


def finish(
    facts: Facts, rows: Rows, table: Table, args: Namespace, console: Terminal, sentences: Sequence[str] = ()
) -> int:
    """Print the table and the sentences below it, and return the exit code: 1 if a run failed."""
    if rows or args.json:
        found = {"runs": facts, "rows": rows, **({"sentences": sentences} if sentences else {})}
        print_tables([table], args, console, facts=found, sentences=sentences)
    failed = any(one["state"] == "failed" for one in facts)
    return ExitCode.RUN_FAILED if failed and not args.table else ExitCode.OK
