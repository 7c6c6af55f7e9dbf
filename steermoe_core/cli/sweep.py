"""`steermoe sweep FILE`: run every combination of the axes in [sweep], then print their table.

Runs come one after the other, each in its own process. After a stop, the same command resumes; several of
them, for example one a GPU, share the work.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from steermoe_core.cli.shared.batch import add_batch, run_batch
from steermoe_core.cli.shared.flags import add_set
from steermoe_core.cli.shared.scores import metrics_of, score
from steermoe_core.cli.shared.table import Table, figures, words

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from steermoe_core.cli.shared.session import Session
    from steermoe_core.study.table import Row


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's flags."""
    parser.add_argument("file", type=Path, metavar="FILE", help="an experiment file with a table [sweep]")
    add_set(parser)
    add_batch(parser)


def run(args: Namespace, session: Session) -> int:
    """Check every cell before the first one starts, run them, print the table."""
    from steermoe_core.config.sweep import resolve_sweep

    cells = resolve_sweep(args.file, args.set, session.registry)
    from steermoe_core.study.sweep import jobs_of, sweep_rows

    names = {str(cell) or "the experiment itself": cell for cell in cells}
    jobs = jobs_of(names, session.registry, args.runs, session.flags)
    return run_batch(
        str(args.file),
        jobs,
        args,
        session,
        rows=lambda: sweep_rows(jobs, session.registry),
        to_json=lambda row: {"settings": row.settings, **row.to_json()},
        table=_table,
    )


def _table(rows: list[Row]) -> Table:
    """Return the table: a line for each combination of the axes but the seed, and split."""
    from steermoe_core.study.names import shown

    axes = list(dict.fromkeys(name for row in rows for name in row.settings))
    lines = [
        [
            *(shown(row.settings.get(name)) for name in axes),
            row.split,
            ", ".join(map(str, row.seeds)),
            f"{row.trainable_parameters:,}",
            *(score(row.metrics.get(metric)) for metric in metrics_of(rows)),
        ]
        for row in rows
    ]
    columns = words(*axes, "split", "seeds")
    columns += figures("trained", *(metric.upper() for metric in metrics_of(rows)))
    return Table(title="sweep: (95 % interval), [lowest–highest seed]", columns=columns, rows=lines)
