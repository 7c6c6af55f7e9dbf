"""`steermoe schema`: a JSON Schema of experiment files, with which an editor completes and checks them.

It contains the components of this installation: write it again after installing or removing a plugin. A
broken plugin is left out, with a note.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from steermoe_core.errors import UsageError
from steermoe_core.system.printing import complain, say, say_json

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from steermoe_core.cli.shared.session import Session


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's flags."""
    text = "write the schema to this file and create its folders; without it, print the schema"
    parser.add_argument("--output", type=Path, metavar="FILE", help=text)
    text = "schema of files that others extend, in which nothing is required"
    parser.add_argument("--base", action="store_true", help=text)


def run(args: Namespace, session: Session) -> int:
    """Print the schema, or write it to a file."""
    from steermoe_core.config.describe.schema import schema

    found, notes = schema(session.registry, base=args.base)
    for note in notes:
        complain(f"note: {note}")
    if args.output is None:
        say_json(found, indent=1)
        return 0
    text = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
    try:
        args.output.parent.mkdir(parents=True, exist_ok=True)
        args.output.write_text(text, encoding="utf-8")
    except OSError as error:
        msg = f"cannot write {args.output}: {(error.strerror or str(error)).lower()}"
        raise UsageError(msg) from None
    count = sum(len(plugin.components) for plugin in session.registry.plugins)
    say(f"{args.output}: {'base' if args.base else 'experiment'} files, {count} components")
    return 0
