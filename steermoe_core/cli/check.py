"""`steermoe check FILE`: find every mistake in an experiment file, without running it or loading torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steermoe_core.errors import ConfigError, PluginError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator

    from steermoe_core.cli.session import Session


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's flags."""
    parser.add_argument("file", type=Path, metavar="FILE", help="an experiment file")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change a key (repeatable)"
    )
    parser.add_argument("--json", action="store_true", help="print the facts as JSON")


def run(args: Namespace, session: Session) -> int:
    """Print that the file is right, or all that is wrong with it."""
    from steermoe_core.config.resolve import resolve

    try:
        resolved = resolve(args.file, args.set, session.registry)
    except (ConfigError, PluginError) as error:
        if not (args.json and error.problems):
            raise
        print(json.dumps({"file": str(args.file), "ok": False, "problems": _facts(error)}, indent=2))
        return int(error.exit_code)
    count = len(list(_uses(resolved.table)))
    folder = f"{resolved.experiment.experiment.name}-{resolved.digest}"
    if args.json:
        print(
            json.dumps({"file": str(args.file), "ok": True, "components": count, "folder": folder}, indent=2)
        )
    else:
        print(f"{args.file}: ok, {count} component{'' if count == 1 else 's'}, run folder {folder}")
    return 0


def _facts(error: ConfigError | PluginError) -> list[dict[str, Any]]:
    from steermoe_core.config.problems import Problem

    return [problem.as_dict() for problem in error.problems if isinstance(problem, Problem)]


def _uses(value: object) -> Iterator[str]:
    """Yield the name of every component that a resolved table chooses."""
    if isinstance(value, dict):
        if isinstance(value.get("use"), str):
            yield value["use"]
        for item in value.values():
            yield from _uses(item)
    elif isinstance(value, list):
        for item in value:
            yield from _uses(item)
