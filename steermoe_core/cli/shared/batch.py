"""What commands that do many runs share: their flags, their progress, and how they end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from steermoe_core.cli.shared.flags import add_runs
from steermoe_core.cli.shared.progress import Progress, result, step
from steermoe_core.cli.shared.scores import add_choice
from steermoe_core.cli.shared.table_formats import Sheet, add_formats, print_sheets
from steermoe_core.errors import ExitCode
from steermoe_core.system.printing import say_json

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Sequence

    from steermoe_core.cli.shared.scores import Rows
    from steermoe_core.study.jobs import Job
    from steermoe_core.system.terminal import Terminal

    Facts = list[dict[str, Any]]


def add_batch(parser: ArgumentParser) -> None:
    """Declare the flags of running many and of printing what came of it."""
    add_runs(parser)
    flag = parser.add_argument
    flag("--retry-failed", action="store_true", help="begin failed runs again, from their last checkpoint")
    flag("--dry-run", action="store_true", help="list the runs and how far they are; run nothing")
    flag("--table", action="store_true", help="print the table of what is finished; run nothing")
    add_choice(parser)
    add_formats(parser)


def work_off(title: str, jobs: Sequence[Job], names: Sequence[str], args: Namespace) -> Facts:
    """Do all jobs, unless only their table is asked for; return what their folders say then.

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
        console.note("failed runs are left alone; --retry-failed goes on with them")
    return facts


def print_plan(jobs: Sequence[Job], names: Sequence[str], args: Namespace, console: Terminal) -> int:
    """Print the jobs and how far they are."""
    facts = [{"name": name, **job.facts} for name, job in zip(names, jobs, strict=True)]
    if args.json:
        say_json({"runs": facts})
        return 0
    lines = [[one["name"], one["state"], one["folder"], step(one)] for one in facts]
    sheet = Sheet(title=f"{len(jobs)} runs", columns=["run", "state", "folder", "step"], lines=lines, words=3)
    print_sheets([sheet], [], args, console)
    return 0


def finish(
    facts: Facts, rows: Rows, sheet: Sheet, args: Namespace, console: Terminal, sentences: Sequence[str] = ()
) -> int:
    """Print the table and sentences below it, and return the exit code: 1 where a run failed."""
    if args.json:
        found = {"runs": facts, "rows": rows, **({"sentences": sentences} if sentences else {})}
        say_json(found)
    elif rows:
        print_sheets([sheet], sentences, args, console)
    failed = any(one["state"] == "failed" for one in facts)
    return ExitCode.RUN_FAILED if failed and not args.table else ExitCode.OK
