"""`steermoe config FILE`: the resolved experiment, and the origin of each value."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from steermoe_core.cli.shared.flags import add_set
from steermoe_core.config.naming import dotted
from steermoe_core.config.resolve import resolve
from steermoe_core.errors import ConfigError, PluginError
from steermoe_core.system.printing import say, say_json

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from steermoe_core.cli.shared.session import Session


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's flags."""
    flag = parser.add_argument
    flag("file", type=Path, metavar="FILE", help="an experiment file")
    add_set(parser)
    flag("--blame", action="store_true", help="print the origin of each value")
    flag("--json", action="store_true", help="print JSON, also for problems of the file")


def run(args: Namespace, session: Session) -> int:
    """Print the experiment with all defaults filled in."""
    try:
        resolved = resolve(args.file, args.set, session.registry)
    except (ConfigError, PluginError) as error:
        if not args.json or not error.problems:
            raise
        say_json({"problems": error.problems})
        return error.exit_code
    if args.json:
        origins = {dotted(path): str(origin) for path, origin in resolved.origins.items()}
        facts = {"digest": resolved.digest, "experiment": resolved.table}
        say_json({**facts, "origins": origins} if args.blame else facts)
    else:
        say((resolved.blame() if args.blame else resolved.to_toml()).removesuffix("\n"))
    return 0
