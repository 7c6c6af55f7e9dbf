"""`steermoe certify RUN`: measure what supports the results of a trained run, and report what fails."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from steermoe_core.cli.shared.table import Cell, Table, tags, words
from steermoe_core.system.printing import say_json

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from steermoe_core.cli.shared.session import Session
    from steermoe_core.run.folder.records import Certificate


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's flags."""
    parser.add_argument("folder", type=Path, metavar="RUN", help="a run folder")
    parser.add_argument("--json", action="store_true", help="print certificates.json")


def run(args: Namespace, session: Session) -> int:
    """Print the certificates; the exit code is 1 if one fails."""
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
    cells = {True: Cell("yes", "green"), False: Cell("NO", "bold red"), None: Cell("–", "dim")}
    return Table(
        columns=[*tags("certificate", "holds"), *words("measured")],
        rows=[[one.name, cells[one.passed], one.why] for one in certificates],
    )
