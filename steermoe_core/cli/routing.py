"""`steermoe routing RUN`: what its routers do over a split's clips, by label, and what depends on them.

Of each steered layer: how the experts share the frames, how sure the gates are, how large the shift is.
With --knockout each expert and each layer is taken out and the clips are scored again.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from steermoe_core.cli.shared.numbers import count
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
        help="show clips apart: duration, split, speaker or any label that they have (repeatable)",
    )
    parser.add_argument(
        "--knockout",
        action="store_true",
        help="take out each expert, each layer and the routing; a stopped one goes on where it was",
    )
    parser.add_argument(
        "--limit", type=count, metavar="N", help="so many clips, spread evenly over the split"
    )
    parser.add_argument("--batch-size", type=count, metavar="N", help="clips that are computed together")
    parser.add_argument("--json", action="store_true", help="print routing.json")


def run(args: Namespace, session: Session) -> int:
    """Observe and print the tables."""
    from steermoe_core.cli.shared.routing_tables import tables
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
    for number, part in enumerate(tables(found, args.by or [])):
        if number:
            session.console.print()
        session.console.print(part)
    return 0
