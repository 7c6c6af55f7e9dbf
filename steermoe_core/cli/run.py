"""`steermoe run FILE…`: train and score experiments; resume interrupted runs.

A finished run is not repeated: its tables are printed again.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from steermoe_core.cli.shared.flags import add_runs, add_set
from steermoe_core.system.printing import say

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from steermoe_core.cli.shared.session import Session
    from steermoe_core.run.folder.finished import FinishedRun


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's flags."""
    parser.add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help="experiment files, run one after the other"
    )
    add_set(parser)
    add_runs(parser)
    parser.add_argument("--json", action="store_true", help="print the scores as JSON")


def run(args: Namespace, session: Session) -> int:
    """Check every file before the first run starts, then execute them and print the tables of each."""
    from steermoe_core.config.resolve import resolve

    resolved = [resolve(file, args.set, session.registry) for file in args.files]
    from steermoe_core.cli.shared.run_tables import print_results
    from steermoe_core.run.assembly.parts import check_imports
    from steermoe_core.run.console import Console
    from steermoe_core.run.execute import Run
    from steermoe_core.scripting.execute import execute
    from steermoe_core.train.ranks import first

    for one in resolved:
        check_imports(one, session.registry)
    finished: list[FinishedRun] = []
    for one in resolved:
        finished.append(execute(Run(one, session.registry, args.runs, Console(quiet=not first()))))
        if first() and not args.json:
            if len(finished) > 1:
                say()
            print_results(finished[-1:], session.console, as_json=False)
    if first() and args.json:
        print_results(finished, session.console, as_json=True)
    return 0
