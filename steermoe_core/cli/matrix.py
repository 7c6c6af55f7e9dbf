"""`steermoe matrix KIND KIND`: which components of two kinds work together, and what the others lack.

`yes` and `no` follow from what the components declare; `?` means that one of them declares nothing.
`steermoe check` refuses every combination that is a `no`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from steermoe_core.cli.shared.table import Cell, Table, words
from steermoe_core.component import COMMAND, KINDS
from steermoe_core.config.naming import article
from steermoe_core.errors import UsageError
from steermoe_core.suggest import did_you_mean
from steermoe_core.system.printing import say_json

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Sequence

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
    cells = _cells(session.registry, rows, columns)
    if args.json:
        say_json({"rows": rows, "columns": columns, "cells": cells})
        return 0
    session.console.print(_table(session.registry, rows, columns, cells))
    for cell in cells:
        if cell["lacks"]:
            text = f"{rows} {cell[rows]} and {columns} {cell[columns]}: lacks {', '.join(cell['lacks'])}"
            session.console.print(text, soft_wrap=True)
    return 0


def _check(rows: str, columns: str, registry: Registry) -> None:
    """Refuse kinds that do not exist, and kinds that need nothing of each other."""
    from steermoe_core.config.check.capabilities import dependent_kinds

    listed = (*KINDS, COMMAND)
    for kind in (rows, columns):
        if kind not in listed:
            msg = f'there is no kind "{kind}"{did_you_mean(kind, listed)} (known: {", ".join(listed)})'
            raise UsageError(msg)
    pairs = dependent_kinds(registry)
    if not {(rows, columns), (columns, rows)} & set(pairs):
        known = ", ".join(map(" ".join, pairs)) or "none"
        msg = f"no {rows} needs anything of {article(columns)}, or vice versa (pairs that do: {known})"
        raise UsageError(msg)


def _cells(registry: Registry, rows: str, columns: str) -> list[dict[str, Any]]:
    from steermoe_core.config.check.capabilities import lacking_mutually

    found = []
    for row in registry.names(rows):
        for column in registry.names(columns):
            lacks = lacking_mutually(rows, registry.get(rows, row), columns, registry.get(columns, column))
            works = None if lacks is None else not lacks
            found.append({rows: row, columns: column, "works": works, "lacks": list(lacks or ())})
    return found


def _table(registry: Registry, rows: str, columns: str, cells: Sequence[dict[str, Any]]) -> Table:
    works = {(cell[rows], cell[columns]): cell["works"] for cell in cells}
    names = registry.names(columns)
    return Table(
        columns=words(f"{rows} \\ {columns}", *names),
        rows=[[row, *(_ANSWERS[works[row, name]] for name in names)] for row in registry.names(rows)],
        look="wide",
    )
