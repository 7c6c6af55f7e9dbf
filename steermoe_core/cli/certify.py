"""`steermoe certify RUN`: measure on a trained run what its numbers rest on, and say what does not hold."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from steermoe_core.system.printing import say_json

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from rich.table import Table

    from steermoe_core.cli.shared.session import Session
    from steermoe_core.run.folder.records import Certificate


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's flags."""
    parser.add_argument("folder", type=Path, metavar="RUN", help="a run folder")
    parser.add_argument("--json", action="store_true", help="print certificates.json")


def run(args: Namespace, session: Session) -> int:
    """Print the certificates; the exit code is 1 where one does not hold."""
    from steermoe_core.run.certify.certify import certify_run
    from steermoe_core.run.console import Console
    from steermoe_core.system.records import plain

    found = certify_run(args.folder, session.registry, Console())
    if args.json:
        say_json(plain(found))
    else:
        session.console.print(_table(found.certificates))
    return 1 if any(one.passed is False for one in found.certificates) else 0


def _table(certificates: list[Certificate]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("certificate", no_wrap=True)
    table.add_column("holds", no_wrap=True)
    table.add_column("measured", overflow="fold")
    for one in certificates:
        word, style = {True: ("yes", "green"), False: ("NO", "bold red"), None: ("–", "dim")}[one.passed]
        table.add_row(one.name, Text(word, style), Text(one.why))
    return table
