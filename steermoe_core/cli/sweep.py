"""`steermoe sweep FILE`: run every combination of the axes in [sweep], then print their table.

Runs come one after the other, each in its own process. The same command goes on after any stop; several of
them, on several GPUs, share the work.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from steermoe_core.cli.shared.batch import add_batch, finish, print_plan, work_off
from steermoe_core.cli.shared.flags import add_set
from steermoe_core.cli.shared.scores import chosen, metrics_of, score
from steermoe_core.cli.shared.table import Table, figures, words

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from steermoe_core.cli.shared.scores import Rows
    from steermoe_core.cli.shared.session import Session


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's flags."""
    parser.add_argument("file", type=Path, metavar="FILE", help="an experiment file with a table [sweep]")
    add_set(parser)
    add_batch(parser)


def run(args: Namespace, session: Session) -> int:
    """Check every cell before the first one starts, run them, print the table."""
    from steermoe_core.config.sweep import resolve_sweep

    cells = resolve_sweep(args.file, args.set, session.registry)
    from steermoe_core.study.sweep import sweep_jobs, sweep_rows

    jobs = sweep_jobs(cells, session.registry, args.runs, session.flags)
    names = [str(cell) or "the file as it is" for cell in cells]
    if args.dry_run:
        return print_plan(jobs, names, args, session.console)
    facts = work_off(str(args.file), jobs, names, args)
    rows = sweep_rows(jobs, session.registry)
    rows = chosen(rows, args) if rows else rows
    return finish(facts, rows, table(rows), args, session.console)


def table(rows: Rows) -> Table:
    """Return the table: a line for each combination of the axes but the seed, and split."""
    axes = list(dict.fromkeys(name for row in rows for name in row["settings"]))
    lines = [
        [
            *(_shown(row["settings"].get(name)) for name in axes),
            row["split"],
            ", ".join(map(str, row["seeds"])),
            f"{row['trainable_parameters']:,}",
            *(score(row["metrics"].get(metric)) for metric in metrics_of(rows)),
        ]
        for row in rows
    ]
    scores = (metric.upper() for metric in metrics_of(rows))
    return Table(
        title="sweep: (95 % interval), [lowest–highest seed]",
        columns=[*words(*axes, "split", "seeds"), *figures("trained", *scores)],
        rows=lines,
    )


def _shown(value: Any) -> str:
    from steermoe_core.config.text.write import inline

    return value if isinstance(value, str) else inline(value)
