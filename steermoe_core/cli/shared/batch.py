"""What commands that run several experiments share: their flags, their progress, and their output."""

from __future__ import annotations

from typing import TYPE_CHECKING

from steermoe_core.cli.shared.flags import add_parallel, add_runs, setting
from steermoe_core.cli.shared.progress import Progress, result, step
from steermoe_core.cli.shared.scores import add_choice, chosen
from steermoe_core.cli.shared.table import Table, add_formats, figures, print_tables, words
from steermoe_core.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable, Sequence

    from steermoe_core.cli.shared.session import Session
    from steermoe_core.plugins import Registry
    from steermoe_core.run.console import Console
    from steermoe_core.study.jobs import Job, JobStatus
    from steermoe_core.study.table import Row
    from steermoe_core.system.records import Json
    from steermoe_core.system.terminal import Terminal


def add_batch(parser: ArgumentParser) -> None:
    """Declare the flags that select what is run and what is printed."""
    add_runs(parser)
    add_parallel(parser)
    flag = parser.add_argument
    flag("--retry-failed", action="store_true", help="resume failed runs from their last checkpoint")
    one_of = parser.add_mutually_exclusive_group().add_argument
    one_of("--dry-run", action="store_true", help="list the runs and their progress; run nothing")
    one_of("--table", action="store_true", help="print the table of finished runs; run nothing")
    one_of("--on", default="", metavar="LAUNCHER", help="start workers elsewhere, such as slurm, and end")
    text = "a setting of the launcher, such as workers=8 (repeatable)"
    flag("--with", action="append", default=[], type=setting, dest="settings", metavar="KEY=VALUE", help=text)
    add_choice(parser)
    add_formats(parser)


def run_batch(
    title: str,
    jobs: Sequence[Job],
    args: Namespace,
    session: Session,
    *,
    rows: Callable[[], list[Row]],
    to_json: Callable[[Row], Json],
    table: Callable[[list[Row]], Table],
    sentences: Callable[[list[Row]], list[str]] = lambda _: [],
) -> int:
    """Run the jobs and print their table; with the flags for it, only list them or only print the table.

    :param rows: returns the scores of what is finished.
    :param to_json: returns a row as JSON values.
    :param table: makes the table.
    :param sentences: makes the sentences below the table.
    :returns: the exit code: 1 if a run failed.
    :raises KeyboardInterrupt: stopped on request.
    """
    if args.settings and not args.on:
        msg = "--with has the settings of a launcher; choose one by --on"
        raise UsageError(msg)
    if args.dry_run:
        _print_plan(jobs, args, session.console)
        return ExitCode.OK
    statuses = _work(title, jobs, args, session.registry)
    found = rows()
    found = chosen(found, args) if found else []
    below = sentences(found)
    facts = {
        "runs": statuses,
        "rows": [to_json(row) for row in found],
        **({"sentences": below} if below else {}),
    }
    if args.json or found:
        print_tables([table(found)] if found else [], args, session.console, facts=facts, sentences=below)
    failed = any(status.state == "failed" for status in statuses)
    return ExitCode.RUN_FAILED if failed and not args.table and not args.on else ExitCode.OK


def _print_plan(jobs: Sequence[Job], args: Namespace, console: Terminal) -> None:
    """Print the jobs and their progress."""
    statuses = [job.status for job in jobs]
    table = Table(
        title=f"{len(jobs)} runs",
        columns=[*words("run", "state", "folder"), *figures("step")],
        rows=[[one.name, one.state, one.folder, step(one)] for one in statuses],
    )
    print_tables([table], args, console, facts={"runs": statuses})


def _work(title: str, jobs: Sequence[Job], args: Namespace, registry: Registry) -> list[JobStatus]:
    """Run all jobs, here or elsewhere, unless only their table is asked for; return their states."""
    from steermoe_core.run.console import Console
    from steermoe_core.study.begun import Beginning
    from steermoe_core.study.jobs import unfinished, work
    from steermoe_core.study.launcher import Workers, launcher

    console = Console()
    progress = Progress(title, jobs, console)
    place = launcher(registry, args.on, args.settings) if args.on else None
    left = [] if args.table else unfinished(jobs, retry_failed=args.retry_failed)
    if left:
        beginning = Beginning.of(jobs, registry, args.runs)
        beginning.check()
        if place:
            workers = Workers.of(beginning.folder, len(left), args.file.stem, retry_failed=args.retry_failed)
            note = "the same command with --table in place of --on prints what is finished"
            console.note(f"started {place.start(workers)}; {note}")
        else:
            with progress.shown() as tick:
                how = {"retry_failed": args.retry_failed, "parallel": args.parallel}
                work(jobs, tick, beginning.check, **how)
    return ended(progress, console)


def ended(progress: Progress, console: Console) -> list[JobStatus]:
    """Report the runs that are not finished; return the states of all."""
    statuses = progress.statuses
    for one in statuses:
        if one.state != "finished":
            console.note(f"{one.name}: {one.state}{': ' if result(one) else ''}{result(one)}")
    if any(one.state == "failed" for one in statuses):
        console.note("failed runs are not started again; --retry-failed resumes them")
    return statuses
