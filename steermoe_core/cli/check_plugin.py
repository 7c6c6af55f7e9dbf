"""`steermoe check-plugin DIST`: check that the components and commands of a plugin keep the contract.

steermoe_core.testing has the same checks as test suites. The exit code is 1 if a check fails.
"""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING

import attrs

from steermoe_core.cli.shared.flags import check_kinds
from steermoe_core.cli.shared.table import Cell, Table, tags, words
from steermoe_core.component import Component
from steermoe_core.config.fields import fields_of
from steermoe_core.config.text.syntax import NotTomlError, loads
from steermoe_core.errors import ExitCode, PluginError, UsageError
from steermoe_core.plugins.discovery import normal
from steermoe_core.suggest import did_you_mean
from steermoe_core.system.printing import say_json

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Sequence

    from steermoe_core.cli.shared.session import Session
    from steermoe_core.component import Command
    from steermoe_core.config.text.locate import Toml
    from steermoe_core.plugins import Registry
    from steermoe_core.plugins.plugin import Plugin
    from steermoe_core.testing.runner import Result

_STYLES = {"ok": "green", "failed": "bold red", "skipped": "yellow"}


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's flags."""
    parser.add_argument(
        "dist", metavar="DIST", help="a distribution or plugin; steermoe for the built-in components"
    )
    parser.add_argument(
        "--only", nargs=2, metavar=("KIND", "NAME"), help="check one component or command instead of all"
    )
    text = "a setting for the checked components that have this key, as in an experiment (repeatable)"
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help=text)
    parser.add_argument("--json", action="store_true", help="print the facts as JSON")


def run(args: Namespace, session: Session) -> int:
    """Print the result of each check."""
    plugins = _plugins(session.registry, args.dist)
    chosen = _chosen(session.registry, plugins, args.only)
    settings = _settings(args.set, chosen)
    from steermoe_core.testing.runner import results, suite_of

    found: list[Result] = []
    for kind, part in chosen:
        own = {key: value for key, value in settings.items() if key in _keys(part)}
        with redirect_stdout(sys.stderr):
            checks = list(results(suite_of(session.registry, kind, part.name, own)))
        found += checks
        if not args.json:
            session.console.print(_table(checks))
    failed = sum(result.status == "failed" for result in found)
    if args.json:
        head = {"distribution": plugins[0].distribution, "version": plugins[0].version, "ok": not failed}
        checks = [attrs.evolve(result, seconds=round(result.seconds, 3)) for result in found]
        say_json({**head, "checks": checks})
    else:
        skipped = sum(result.status == "skipped" for result in found)
        session.console.print(f"\n{len(found)} checks, {failed} failed, {skipped} skipped")
    return int(ExitCode.RUN_FAILED if failed else ExitCode.OK)


def _plugins(registry: Registry, name: str) -> list[Plugin]:
    """Return the plugins of a distribution, or the plugin with this name.

    :raises UsageError: no installed plugin or distribution has this name.
    :raises PluginError: the plugin is not active.
    """
    found = [p for p in registry.plugins if normal(name) in (normal(p.distribution), normal(p.name))]
    if not found:
        known = {name for p in registry.plugins for name in (p.distribution, p.name)}
        msg = (
            f"no installed plugin is named {name}{did_you_mean(name, known)} (steermoe list-plugins shows "
            "all)"
        )
        raise UsageError(msg)
    for plugin in found:
        if plugin.status != "active":
            hint = f"; {plugin.hint}" if plugin.hint else ""
            msg = f'"{plugin.name}" ({plugin.origin}) is {plugin.status}: {plugin.reason}{hint}'
            raise PluginError(msg)
    return found


def _chosen(
    registry: Registry, plugins: Sequence[Plugin], only: Sequence[str] | None
) -> list[tuple[str, Component | Command]]:
    """Return kind and record of each part to check.

    :raises UsageError: the kind does not exist, or the plugins do not offer the part.
    :raises PluginError: no plugin offers the part.
    """
    offered = [pair for plugin in plugins for pair in plugin.offer]
    if only is None:
        return offered
    kind, name = only
    check_kinds(kind)
    chosen = [(of, part) for of, part in offered if (of, part.name) == (kind, name)]
    if not chosen:
        owner = registry.plugin_of(kind, name).distribution
        msg = f'{kind} "{name}" belongs to {owner}: steermoe check-plugin {owner} --only {kind} {name}'
        raise UsageError(msg)
    return chosen


def _settings(given: Sequence[str], chosen: Sequence[tuple[str, Component | Command]]) -> Toml:
    """Return the settings of `--set` flags.

    :raises UsageError: one is not KEY=VALUE, or no component has its key.
    """
    try:
        table = loads("\n".join(map(_line, given)))
    except NotTomlError as error:
        msg = f"--set: {error}; write KEY=VALUE once for each key, for example --set weights=some/folder"
        raise UsageError(msg) from None
    known = {key for _, part in chosen for key in _keys(part)}
    for key in table:
        if key not in known:
            msg = f"--set {key}: no checked component has that key{did_you_mean(key, known)}"
            raise UsageError(msg)
    return table


def _line(text: str) -> str:
    """Return KEY=VALUE as a line of TOML; a value that is not TOML is text."""
    key, _, value = text.partition("=")
    line = f"{key} = {value}"
    try:
        loads(line)
    except NotTomlError:
        return f"{key} = {json.dumps(value)}" if value else line
    return line


def _keys(part: Component | Command) -> set[str]:
    """Return the keys of a component; none if its settings cannot be loaded, which a check reports."""
    if not isinstance(part, Component):
        return set()
    try:
        return set(fields_of(part.config_class()))
    except Exception:  # noqa: BLE001 - a plugin's code may raise anything
        return set()


def _table(results: Sequence[Result]) -> Table:
    return Table(
        columns=[*words(f"{results[0].kind} {results[0].name}"), *tags("result"), *words("what is wrong")],
        rows=[[one.check, Cell(one.status, _STYLES[one.status]), one.sentence] for one in results],
        look="wide",
    )
