"""`steermoe list-plugins`: list installed plugins: their origin, their status and what they offer.

The exit code is 0 even if a plugin is broken: only commands that need it fail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from steermoe_core.cli.shared.table import Cell, Table, figures, tags, words
from steermoe_core.component import API, COMMAND, KINDS
from steermoe_core.system.printing import say_json

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from steermoe_core.cli.shared.session import Session
    from steermoe_core.plugins import Plugin
    from steermoe_core.system.records import Json
    from steermoe_core.system.terminal import Terminal

#: Width from which a terminal shows a column of folders; a narrower one shows them below the components.
_WIDE = 120
_LISTED = (*KINDS, COMMAND)
#: What is printed of a component; the first three of a command, too.
_FACTS = ("name", "api", "summary", "gives", "needs")
_STYLES = {"active": "green", "blocked": "yellow", "broken": "bold red"}


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's flags."""
    parser.add_argument("--json", action="store_true", help="print the facts as JSON")
    parser.add_argument(
        "--kind",
        choices=_LISTED,
        metavar="KIND",
        help=f"only components of a kind, or commands: {', '.join(_LISTED)}",
    )
    parser.add_argument("--timings", action="store_true", help="show the import time of each plugin")
    parser.add_argument(
        "--refresh", action="store_true", help="examine every plugin again, not only changed ones"
    )


def run(args: Namespace, session: Session) -> int:
    """Print the table, or the facts."""
    plugins = [plugin for plugin in session.registry.plugins if _concerns(plugin, args.kind)]
    if args.json:
        say_json({"api": API, "plugins": [_facts(plugin, args.kind) for plugin in plugins]})
        return 0
    wide = session.console.width >= _WIDE
    session.console.print(_table(plugins, args.kind, timings=args.timings, wide=wide))
    for plugin in plugins:
        _print_reason(plugin, session.console)
        if session.traceback and plugin.trace:
            session.console.print(f"\n{plugin.name} ({plugin.origin}):\n{plugin.trace}")
    for name in session.registry.unknown_blocks:
        session.console.print(f"note: STEERMOE_BLOCK names {name}, which is not installed")
    return 0


def _concerns(plugin: Plugin, kind: str | None) -> bool:
    """Return whether a plugin has components of a kind, or may have them."""
    offer = plugin.offer or plugin.withheld
    return kind is None or not offer or any(of == kind for of, _ in offer)


def _by_kind(plugin: Plugin, kind: str | None) -> dict[str, list[str]]:
    kinds = _LISTED if kind is None else (kind,)
    found = {one: [part.name for of, part in plugin.offer if of == one] for one in kinds}
    return {one: names for one, names in found.items() if names}


def _facts(plugin: Plugin, kind: str | None) -> Json:
    return {
        "name": plugin.name,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "status": plugin.status,
        "reason": plugin.reason,
        "hint": plugin.hint or None,
        "location": plugin.location,
        "editable": plugin.editable,
        "seconds": round(plugin.seconds, 4),
        "slow": plugin.slow,
        "heavy_imports": list(plugin.heavy),
        "components": [
            {"kind": of, **{key: getattr(part, key) for key in _FACTS}}
            for of, part in plugin.components
            if kind in (None, of)
        ],
        "commands": [
            {key: getattr(one, key) for key in _FACTS[:3]}
            for one in plugin.commands
            if kind in (None, COMMAND)
        ],
    }


def _table(plugins: list[Plugin], kind: str | None, *, timings: bool, wide: bool) -> Table:
    columns = [*words("plugin", "distribution"), *tags("status"), *(figures("ms") if timings else ())]
    columns += words("components", "from") if wide else words("components")
    rows = []
    for plugin in plugins:
        offer, place = _offer(plugin, kind), _place(plugin)
        rows.append(
            [
                plugin.name,
                plugin.origin,
                Cell(plugin.status, _STYLES[plugin.status]),
                *([f"{plugin.seconds * 1000:.1f}"] if timings else []),
                *([offer, Cell(place, "dim")] if wide else [[*offer, Cell(f"from {place}", "dim")]]),
            ]
        )
    return Table(columns=columns, rows=rows, look="wide")


def _place(plugin: Plugin) -> str:
    """Return the folder that a plugin is imported from, relative to here or home if possible."""
    from pathlib import Path

    place = Path(plugin.location or "unknown")
    name = str(place)
    for root, shown in ((Path.home(), "~/"), (Path.cwd(), "")):
        if place.is_relative_to(root):
            name = f"{shown}{place.relative_to(root)}"
    return f"{name} (editable)" if plugin.editable else name


def _print_reason(plugin: Plugin, console: Terminal) -> None:
    """Print why a plugin is not active: below the table, on lines that can be searched and copied."""
    if not plugin.reason:
        return
    style = _STYLES[plugin.status]
    console.print(
        f"\n{plugin.name} ({plugin.origin}) is {plugin.status}: {plugin.reason}",
        style=style,
        markup=False,
        soft_wrap=True,
    )
    if plugin.hint:
        console.print(f"  hint: {plugin.hint}", soft_wrap=True)


def _offer(plugin: Plugin, kind: str | None) -> list[Cell]:
    """Return a line for each kind of component, and one if the plugin is slow to import."""
    lines = [Cell(f"{one}: {', '.join(names)}") for one, names in _by_kind(plugin, kind).items()]
    return [*lines, Cell(f"slow: {plugin.slow}", "yellow")] if plugin.slow else lines
