"""`steermoe ladder FILE`: run the baselines of a steering experiment, and print what each rung adds.

Its rungs: the encoder's own decoder, the projection alone, static steering, the experiment, LoRA, controls.
Each is compared with the projection alone. It stops and goes on as a sweep does.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from steermoe_core.cli.shared.batch import add_batch, finish, print_plan, work_off
from steermoe_core.cli.shared.flags import add_set, seed
from steermoe_core.cli.shared.scores import chosen, difference, metrics_of, number, score
from steermoe_core.cli.shared.table import Table, figures, words

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator

    from steermoe_core.cli.shared.scores import Rows
    from steermoe_core.cli.shared.session import Session


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's flags."""
    text = "an experiment file with a steering adapter"
    parser.add_argument("file", type=Path, metavar="FILE", help=text)
    add_set(parser)
    text = "run each rung with this seed (repeatable; the file's own by default)"
    parser.add_argument("--seed", action="append", default=[], type=seed, metavar="N", help=text)
    add_batch(parser)


def run(args: Namespace, session: Session) -> int:
    """Check every rung before the first one starts, run them, print the table."""
    from steermoe_core.study.ladder import BASE, Ladder

    ladder = Ladder(file=args.file, overrides=args.set, seeds=args.seed, registry=session.registry)
    jobs = ladder.jobs(args.runs, session.flags)
    several = len(args.seed) > 1
    names = [
        f"{rung}, seed {one}" if several and one is not None else rung
        for rung, one in (job.settings.values() for job in jobs)
    ]
    if args.dry_run:
        return print_plan(jobs, names, args, session.console)
    facts = work_off(str(args.file), jobs, names, args)
    rows = ladder.rows(jobs)
    rows = chosen(rows, args) if rows else rows
    return finish(facts, rows, table(rows, BASE), args, session.console, list(_sentences(rows, BASE)))


def table(rows: Rows, base: str) -> Table:
    """Return the table: a line for each rung, split and score."""
    lines = [
        [
            row["rung"],
            row["split"],
            metric.upper(),
            ", ".join(map(str, row["seeds"])),
            f"{row['trainable_parameters']:,}",
            score(row["metrics"][metric]),
            difference(row["metrics"][metric]),
            number(row["metrics"][metric].get("against", {}).get("improvement"), 2),
        ]
        for metric in metrics_of(rows)
        for row in rows
        if metric in row["metrics"]
    ]
    columns = words("rung", "split", "score", "seeds")
    columns += figures("trained", "value\n(95 % interval)", f"difference to\n{base}")
    columns += figures("probability of\nimprovement")
    return Table(title="ladder: (95 % interval), [lowest–highest seed]", columns=columns, rows=lines)


def _sentences(rows: Rows, base: str) -> Iterator[str]:
    from steermoe_core.study.compare import sentence

    if rows and not metrics_of(rows):
        yield "the rungs have no scores: the experiment has no table [[metrics]]"
    for row in rows:
        for metric, one in row["metrics"].items():
            if "against" in one:
                yield sentence(base, row["rung"], row, metric)
