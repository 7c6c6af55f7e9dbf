"""`steermoe report RUN…`: write one self-contained HTML page about a run or several."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from steermoe_core.system.printing import say, say_json

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from steermoe_core.cli.shared.session import Session


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's flags."""
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run folders")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE.html",
        help="path of the page (default RUN/report/index.html; for several runs report.html)",
    )
    parser.add_argument(
        "--open",
        choices=("yes", "no"),
        metavar="YES/NO",
        help="open it in a browser (default: yes in a terminal with a graphical display)",
    )
    parser.add_argument(
        "--json", action="store_true", help="print the content of the page as JSON; write no page"
    )


def run(args: Namespace, session: Session) -> int:
    """Write the page and print its path."""
    from steermoe_core.report.page import contents, report
    from steermoe_core.run.console import Console
    from steermoe_core.run.folder.run_folder import RunFolder
    from steermoe_core.study.seeds import scored_runs

    runs = scored_runs(args.runs, Console().note)
    if args.json:
        say_json(contents(runs, session.registry, audio=False))
        return 0
    place = args.out or (Path("report.html") if len(args.runs) > 1 else RunFolder(runs[0]).report)
    report(runs, session.registry, place)
    say(place)
    if args.open == "yes" or (args.open is None and _watched()):
        import webbrowser

        webbrowser.open(place.resolve().as_uri())
    return 0


def _watched() -> bool:
    """Return whether stdout is a terminal on a machine with a graphical display."""
    screen = sys.platform in {"darwin", "win32"} or {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys()
    return sys.stdout.isatty() and bool(screen)
