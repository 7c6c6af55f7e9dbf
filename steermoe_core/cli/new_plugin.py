"""`steermoe new-plugin NAME --kind KIND`: create a working plugin, ready to adapt.

It is a complete distribution: settings, code, tests, README, licence and checks for continuous integration.
The folder steermoe-NAME is written completely or not at all.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from steermoe_core.cli.shared.flags import check_kinds
from steermoe_core.component import COMMAND, KINDS
from steermoe_core.system.printing import say

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from steermoe_core.cli.shared.session import Session


_KINDS = (*KINDS, COMMAND)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's flags."""
    parser.add_argument(
        "name",
        metavar="NAME",
        help="the name of the component, as experiments write it after `use =`, or of the command",
    )
    parser.add_argument("--kind", required=True, metavar="KIND", help=", ".join(_KINDS))
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="parent folder of the plugin (default: here)",
    )


def run(args: Namespace, session: Session) -> int:
    """Write the distribution and print the next steps."""
    check_kinds(args.kind)
    from steermoe_core.scaffold.names import chosen
    from steermoe_core.scaffold.templates import check
    from steermoe_core.scaffold.write import write

    names = chosen(args.name, args.kind, session.registry)
    folder = write(names, args.folder)
    say(f"{folder} is a plugin with the {names.kind} {names.component}; next steps:\n")
    for words in (
        f'pip install -e "{folder}[test]"',
        "steermoe list-plugins",
        check(names),
        f"pytest {folder}",
    ):
        say(f"  {words}")
    return 0
