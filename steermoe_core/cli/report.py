"""`steermoe report RUN…`: one self-contained page about a run, or about several side by side."""

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
        help="where the page goes (default RUN/report/index.html; for several runs report.html)",
    )
    parser.add_argument(
        "--open",
        choices=("yes", "no"),
        metavar="YES/NO",
        help="show it in a browser (default yes at a terminal with a screen)",
    )
    parser.add_argument("--json", action="store_true", help="print what the page says as JSON; write none")


def run(args: Namespace, session: Session) -> int:
    """Write the page and say where it is."""
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
    """Tell whether a person looks on who has a graphical browser."""
    screen = sys.platform in {"darwin", "win32"} or {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys()
    return sys.stdout.isatty() and bool(screen)
