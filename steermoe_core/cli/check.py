"""`steermoe check FILE…`: find every mistake in experiment files, without running them or importing torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    from steermoe_core.config.sweep import resolve_sweep

    try:
        cells = resolve_sweep(file, args.set, session.registry)
        _check_packages(cells, session)
    except (ConfigError, PluginError) as error:
        if args.json and error.problems:
            say_json({"file": str(file), "ok": False, "problems": _facts(error)}, indent=None)
        elif len(args.files) == 1:
            raise
        else:
            complain(error)
        return int(error.exit_code)
    if args.json:
        say_json({"file": str(file), "ok": True, **_sweep_facts(cells)}, indent=None)
    elif cells[0].settings:
        say(f"{file}: ok, a sweep of {len(cells)} experiment{'' if len(cells) == 1 else 's'}")
    else:
        (cell,) = map(_cell, cells)
        count = cell["components"]
        say(f"{file}: ok, {count} component{'' if count == 1 else 's'}, run folder {cell['folder']}")
    return 0


def _check_packages(cells: Sequence[Cell], session: Session) -> None:
    """Report the packages that components of any cell need and this environment lacks.

    :raises PluginError: there are some.
    """
    from steermoe_core.config.check.packages import missing_packages
    from steermoe_core.config.resolve import problem_error

    if problems := missing_packages((cell.resolved for cell in cells), session.registry):
        raise problem_error(problems)


def _sweep_facts(cells: Sequence[Cell]) -> dict[str, Any]:
    """Return the facts of an experiment, or of each cell of a sweep."""
    if not cells[0].settings:
        return _cell(cells[0])
    return {"cells": [{"settings": cell.settings, **_cell(cell)} for cell in cells]}


def _cell(cell: Cell) -> dict[str, Any]:
    from steermoe_core.config.fields import selections

    resolved = cell.resolved
    folder = f"{resolved.experiment.experiment.name}-{resolved.digest}"
    return {"components": len(list(selections(resolved.experiment))), "folder": folder}


def _facts(error: ConfigError | PluginError) -> list[dict[str, Any]]:
    from steermoe_core.config.text.problems import Problem

    return [problem.as_dict() for problem in error.problems if isinstance(problem, Problem)]
