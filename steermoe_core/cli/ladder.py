"""`steermoe ladder FILE`: run the baselines of a steering experiment, and print what each rung adds.

Its rungs: the encoder's own decoder, the projection alone, static steering, the experiment, LoRA, controls.
Each is compared with the projection alone. It stops and resumes as a sweep does.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from steermoe_core.cli.shared.batch import add_batch, run_batch
from steermoe_core.cli.shared.flags import add_set, seed
from steermoe_core.cli.shared.scores import difference, metrics_of, number, score
from steermoe_core.cli.shared.table import Table, figures, words

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from steermoe_core.cli.shared.session import Session
    from steermoe_core.study.table import Row


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's flags."""
    text = "an experiment file with a steering adapter"
    parser.add_argument("file", type=Path, metavar="FILE", help=text)
    add_set(parser)
    text = "run each rung with this seed (repeatable; default the seed of the file)"
    parser.add_argument("--seed", action="append", default=[], type=seed, metavar="N", help=text)
    text = "also run the rung of this name, such as 'LoRA on the decoder' (repeatable)"
    parser.add_argument("--add", action="append", default=[], metavar="RUNG", help=text)
    add_batch(parser)


def run(args: Namespace, session: Session) -> int:
    """Check every rung before the first one starts, run them, print the table."""
    from steermoe_core.study.ladder import Ladder

    ladder = Ladder(
        file=args.file, overrides=args.set, seeds=args.seed, registry=session.registry, add=args.add
    )
    jobs = ladder.jobs(args.runs, session.flags)
    return run_batch(
        str(args.file),
        jobs,
        args,
        session,
        rows=lambda: ladder.rows(jobs),
        to_json=lambda row: {"rung": row.label, **row.to_json()},
        table=_table,
        sentences=_sentences,
    )


def _table(rows: list[Row]) -> Table:
    """Return the table: a line for each rung, split and score."""
    from steermoe_core.study.ladder import BASE

    lines = [
        [
            row.label,
            row.split,
            metric.upper(),
            ", ".join(map(str, row.seeds)),
            f"{row.trainable_parameters:,}",
            score(one),
            difference(one),
            number(one.against.improvement if one.against else None, 2),
        ]
        for metric in metrics_of(rows)
        for row in rows
        if (one := row.metrics.get(metric))
    ]
    columns = [*words("rung", "split", "score", "seeds"), *figures("trained", "value\n(95 % interval)")]
    columns += figures(f"difference to\n{BASE}", "probability of\nimprovement")
    return Table(title="ladder: (95 % interval), [lowest–highest seed]", columns=columns, rows=lines)


def _sentences(rows: list[Row]) -> list[str]:
    from steermoe_core.study.compare import sentences
    from steermoe_core.study.ladder import BASE

    if rows and not metrics_of(rows):
        return ["the rungs have no scores: the experiment has no table [[metrics]]"]
    return list(sentences(rows, BASE))
