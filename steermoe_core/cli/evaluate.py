"""`steermoe evaluate RUN`: score a trained run's splits again; goes on where it was stopped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from steermoe_core.cli.numbers import count

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from steermoe_core.cli.session import Session


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's flags."""
    parser.add_argument("folder", type=Path, metavar="RUN", help="a run folder")
    parser.add_argument(
        "--split", action="append", metavar="NAME", help="only this one of its splits (repeatable)"
    )
    parser.add_argument(
        "--batch-size", type=count, metavar="N", help="clips generated together; texts stay the same"
    )
    parser.add_argument("--again", action="store_true", help="score anew what has scores already")
    parser.add_argument("--json", action="store_true", help="print the scores as JSON")


def run(args: Namespace, session: Session) -> int:
    """Score and print the run's table."""
    from steermoe_core.run.console import Console
    from steermoe_core.run.rescore import evaluate_run
    from steermoe_core.run.results import print_results

    folder = evaluate_run(
        args.folder,
        session.registry,
        Console(),
        splits=args.split,
        batch_size=args.batch_size,
        again=args.again,
    )
    print_results([folder], session.console, as_json=args.json)
    return 0
