"""`steermoe routing RUN`: show what its routers do on a split, by layer and by label.

For each steered layer: the share of each expert, the entropy of the gates, the norm of the shift.
With --knockout, disable each expert and each layer in turn and score the clips again.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from steermoe_core.cli.shared.flags import count
from steermoe_core.system.printing import say_json

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from steermoe_core.cli.shared.session import Session


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's flags."""
    parser.add_argument("folder", type=Path, metavar="RUN", help="a run folder")
    parser.add_argument("--split", metavar="NAME", help="one of its splits (default: the first)")
    parser.add_argument(
        "--by",
        action="append",
        metavar="LABEL",
        help="show clips separately by duration, split, speaker or another label that they have (repeatable)",
    )
    parser.add_argument(
        "--knockout",
        action="store_true",
        help="disable each expert, each layer and the routing in turn; resumes where it was interrupted",
    )
    parser.add_argument("--limit", type=count, metavar="N", help="use N clips, spread evenly over the split")
    parser.add_argument("--batch-size", type=count, metavar="N", help="clips computed together")
    parser.add_argument("--json", action="store_true", help="print routing.json")


def run(args: Namespace, session: Session) -> int:
    """Observe and print the tables."""
    from steermoe_core.cli.shared.routing_tables import sentences, tables
    from steermoe_core.run.console import Console
    from steermoe_core.run.scoring.routing import Request, routing
    from steermoe_core.system.records import plain

    request = Request(
        split=args.split,
        by=args.by,
        knockout=args.knockout,
        limit=args.limit,
        batch_size=args.batch_size,
    )
    found = routing(args.folder, session.registry, Console(), request)
    if args.json:
        say_json(plain(found))
        return 0
    for number, table in enumerate(tables(found, args.by or [])):
        if number:
            session.console.print()
        session.console.print(table)
    if found.knockouts:
        session.console.print()
    for sentence in sentences(found):
        session.console.print(sentence)
    return 0
