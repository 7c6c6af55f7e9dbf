"""`steermoe evaluate RUN`: score a trained run's splits again; goes on where it was stopped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from steermoe_core.cli.shared.numbers import count
from steermoe_core.cli.shared.scores import score
from steermoe_core.cli.shared.table_formats import Sheet, terminal
from steermoe_core.system.printing import say_json

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from steermoe_core.cli.shared.session import Session


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's flags."""
    parser.add_argument("folder", type=Path, metavar="RUN", help="a run folder")
    parser.add_argument(
        "--split", action="append", metavar="NAME", help="only this one of its splits (repeatable)"
    )
    parser.add_argument(
        "--batch-size", type=count, metavar="N", help="clips generated together; texts stay the same"
    )
    parser.add_argument(
        "--own-decoder",
        action="store_true",
        help="score what the encoder's own decoder writes down, in place of the run's model",
    )
    parser.add_argument("--again", action="store_true", help="score anew what has scores already")
    parser.add_argument("--json", action="store_true", help="print the scores as JSON")


def run(args: Namespace, session: Session) -> int:
    """Score and print the run's table."""
    from steermoe_core.cli.shared.run_tables import print_results
    from steermoe_core.run.console import Console
    from steermoe_core.run.folder.finished import FinishedRun
    from steermoe_core.run.scoring.again import evaluate_run

    if args.own_decoder:
        return _own_decoder(args, session)
    folder = evaluate_run(
        args.folder,
        session.registry,
        Console(),
        splits=args.split,
        batch_size=args.batch_size,
        again=args.again,
    )
    print_results([FinishedRun(folder.path, session.registry)], session.console, as_json=args.json)
    return 0


def _own_decoder(args: Namespace, session: Session) -> int:
    """Score the encoder's own decoder and print a line a split and metric."""
    from steermoe_core.run.console import Console
    from steermoe_core.run.scoring.own_decoder import score_own_decoder
    from steermoe_core.study.seeds import own_decoder_group
    from steermoe_core.study.table import row

    score_own_decoder(
        args.folder,
        session.registry,
        Console(),
        splits=args.split,
        batch_size=args.batch_size,
        again=args.again,
    )
    group = own_decoder_group(args.folder, session.registry)
    rows = [row(group, split) for split in group.splits()]
    if args.json:
        say_json([one.to_json() for one in rows])
        return 0
    cells = [
        [one.split, str(one.clips), name.upper(), score(found)]
        for one in rows
        for name, found in one.metrics.items()
    ]
    sheet = Sheet(
        title="the encoder's own decoder, with 95 % intervals",
        columns=["split", "clips", "score", "value"],
        lines=cells,
    )
    session.console.print(terminal(sheet))
    return 0
