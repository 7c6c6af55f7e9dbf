"""`steermoe check FILE…`: find every mistake in experiment files, without running them or importing torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from steermoe_core.cli.shared.flags import add_set
from steermoe_core.errors import ConfigError, PluginError
from steermoe_core.system.printing import complain, say, say_json

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Sequence

    from steermoe_core.cli.shared.session import Session
    from steermoe_core.config.sweep import Cell


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's flags."""
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="experiment files")
    add_set(parser)
    parser.add_argument("--json", action="store_true", help="print the facts as JSON, one line per file")


def run(args: Namespace, session: Session) -> int:
    """Print for each file that it is valid, or all its problems; return the highest exit code."""
    return max(_check(file, args, session) for file in args.files)


def _check(file: Path, args: Namespace, session: Session) -> int:
    from steermoe_core.config.fields import selections
    from steermoe_core.config.sweep import resolve_sweep

    try:
        cells = resolve_sweep(file, args.set, session.registry)
        _check_packages(cells, session)
    except (ConfigError, PluginError) as error:
        if args.json and error.problems:
            say_json({"file": str(file), "ok": False, "problems": error.problems}, indent=None)
        elif len(args.files) == 1:
            raise
        else:
            complain(error)
        return int(error.exit_code)
    sizes = [len(list(selections(cell.resolved.experiment))) for cell in cells]
    facts = [
        {"settings": cell.settings, "components": size, "folder": cell.resolved.folder}
        for cell, size in zip(cells, sizes, strict=True)
    ]
    sweep = bool(cells[0].settings)
    if args.json:
        found = {"cells": facts} if sweep else {"components": sizes[0], "folder": cells[0].resolved.folder}
        say_json({"file": str(file), "ok": True, **found}, indent=None)
    elif sweep:
        say(f"{file}: ok, a sweep of {len(cells)} experiment{'' if len(cells) == 1 else 's'}")
    else:
        parts = f"{sizes[0]} component{'' if sizes[0] == 1 else 's'}"
        say(f"{file}: ok, {parts}, run folder {cells[0].resolved.folder}")
    return 0


def _check_packages(cells: Sequence[Cell], session: Session) -> None:
    """Report the packages that components of any cell need and this environment lacks.

    :raises PluginError: there are some.
    """
    from steermoe_core.config.check.packages import missing_packages
    from steermoe_core.config.resolve import problem_error

    if problems := missing_packages((cell.resolved for cell in cells), session.registry):
        raise problem_error(problems)
