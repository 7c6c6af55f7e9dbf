"""`steermoe matrix KIND KIND`: which components of two kinds work together, and what the others lack.

`yes` and `no` follow from what the components declare; `?` means that one of them declares nothing.
`steermoe check` refuses every combination that is a `no`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from steermoe_core.cli.shared.flags import check_kinds
from steermoe_core.cli.shared.table import Cell, Table, words
from steermoe_core.config.naming import article
from steermoe_core.errors import UsageError
from steermoe_core.system.printing import say_json

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from steermoe_core.cli.shared.session import Session
    from steermoe_core.plugins import Registry

_ANSWERS = {True: Cell("yes", "green"), False: Cell("no", "bold red"), None: Cell("?", "yellow")}


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's flags."""
    parser.add_argument("rows", metavar="KIND", help="a kind; each of its components is a row")
    parser.add_argument("columns", metavar="KIND", help="a second kind; each of its components is a column")
    parser.add_argument("--json", action="store_true", help="print the facts as JSON")


def run(args: Namespace, session: Session) -> int:
    """Print the components of the first kind as rows and those of the second as columns."""
    rows, columns = args.rows, args.columns
    _check(rows, columns, session.registry)
    from steermoe_core.config.check.capabilities import lacking_mutually

    registry = session.registry
    lacks = {
        (row, column): lacking_mutually(rows, registry.get(rows, row), columns, registry.get(columns, column))
        for row in registry.names(rows)
        for column in registry.names(columns)
    }
    works = {pair: None if lacking is None else not lacking for pair, lacking in lacks.items()}
    if args.json:
        cells = [
            {rows: row, columns: column, "works": works[row, column], "lacks": lacking or ()}
            for (row, column), lacking in lacks.items()
        ]
        say_json({"rows": rows, "columns": columns, "cells": cells})
        return 0
    names = registry.names(columns)
    table: list[list[str | Cell]] = [
        [row, *(_ANSWERS[works[row, name]] for name in names)] for row in registry.names(rows)
    ]
    session.console.print(Table(columns=words(f"{rows} \\ {columns}", *names), rows=table, look="wide"))
    for (row, column), lacking in lacks.items():
        if lacking:
            text = f"{rows} {row} and {columns} {column}: lacks {', '.join(lacking)}"
            session.console.print(text, soft_wrap=True)
    return 0


def _check(rows: str, columns: str, registry: Registry) -> None:
    """Refuse kinds that do not exist, and kinds that need nothing of each other."""
    from steermoe_core.config.check.capabilities import dependent_kinds

    check_kinds(rows, columns)
    pairs = dependent_kinds(registry)
    if not {(rows, columns), (columns, rows)} & set(pairs):
        known = ", ".join(map(" ".join, pairs)) or "none"
        msg = f"no {rows} needs anything of {article(columns)}, or vice versa (pairs that do: {known})"
        raise UsageError(msg)
