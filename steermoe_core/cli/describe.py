"""`steermoe describe KIND [NAME]`: list the components of a kind, or every key of a component.

The kind `command` stands for the commands.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from steermoe_core.cli.shared.flags import check_kinds
from steermoe_core.cli.shared.table import Table, words
from steermoe_core.component import COMMAND, KINDS
from steermoe_core.config.naming import article
from steermoe_core.errors import PluginError
from steermoe_core.system.printing import say_json

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator

    from steermoe_core.cli.shared.session import Session
    from steermoe_core.component import Component
    from steermoe_core.config.describe.documentation import Setting
    from steermoe_core.plugins import Registry
    from steermoe_core.system.records import Json


_DESCRIBED = (*KINDS, COMMAND)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's flags."""
    parser.add_argument("kind", metavar="KIND", help=", ".join(_DESCRIBED))
    parser.add_argument(
        "name", metavar="NAME", nargs="?", help="the component, as experiments write it after `use =`"
    )
    parser.add_argument("--json", action="store_true", help="print the facts as JSON")


def run(args: Namespace, session: Session) -> int:
    """Print a list of components, or one in full."""
    check_kinds(args.kind)
    if args.name is None:
        return _list(args, session)
    return _command(args, session) if args.kind == COMMAND else _one(args, session)


def _list(args: Namespace, session: Session) -> int:
    registry, kind = session.registry, args.kind
    facts = [_facts(registry, kind, name) for name in registry.names(kind)]
    if args.json:
        say_json({"kind": kind, "components": facts})
    elif facts:
        rows = [[one["name"], f"{one['distribution']} {one['version']}", one["summary"]] for one in facts]
        session.console.print(Table(columns=words(kind, "from", "summary"), rows=rows, look="wide"))
    else:
        session.console.print(f"no {kind} is installed")
    return 0


def _facts(registry: Registry, kind: str, name: str) -> Json:
    plugin = registry.plugin_of(kind, name)
    return {
        "name": name,
        "summary": next(part.summary for of, part in plugin.offer if (of, part.name) == (kind, name)),
        "plugin": plugin.name,
        "distribution": plugin.distribution,
        "version": plugin.version,
    }


def _one(args: Namespace, session: Session) -> int:
    from steermoe_core.config.groups import declared

    registry, kind, name = session.registry, args.kind, args.name
    component = registry.get(kind, name)
    keys, about, snippet = _documented(registry, kind, name)
    if args.json:
        facts = {"kind": kind, **_facts(registry, kind, name), "api": component.api}
        facts |= {"config": component.config, "factory": component.factory}
        facts |= {"gives": component.gives, "needs": component.needs, "groups": declared(kind, component)}
        say_json({**facts, "about": about, "example": snippet, "settings": keys})
        return 0
    show = session.console.print
    show(f"{kind} {name}: {component.summary}")
    show(f"from {registry.plugin_of(kind, name).origin}, settings {component.config}\n")
    show(f"{about}\n")
    for line in _capabilities(component):
        show(line)
    if groups := declared(kind, component):
        rates = ", ".join(f"{group} (learning rate {rate:g})" for group, rate in groups.items())
        show(f"parameter groups: {rates}")
    show(_keys(keys) if keys else "It has no settings.")
    show(f"\n{snippet}", soft_wrap=True, end="")
    return 0


def _command(args: Namespace, session: Session) -> int:
    command, origin = session.registry.command(args.name), _facts(session.registry, COMMAND, args.name)
    if args.json:
        say_json({"kind": COMMAND, **origin, "api": command.api, "code": command.code})
        return 0
    session.console.print(f"command {args.name}: {command.summary}")
    session.console.print(f"from {origin['distribution']} {origin['version']}, code {command.code}\n")
    session.console.print(f"`steermoe {args.name} --help` lists its arguments.")
    return 0


def _documented(registry: Registry, kind: str, name: str) -> tuple[list[Setting], str, str]:
    """Return the keys, the description and an example of a component.

    :raises PluginError: the settings class cannot be imported or is not an attrs class.
    """
    from steermoe_core.config.check.catalogue import settings_class
    from steermoe_core.config.describe.documentation import settings
    from steermoe_core.config.describe.example import example
    from steermoe_core.config.fields import summary

    component = registry.get(kind, name)
    try:
        cls = settings_class(component)
        return settings(cls), summary(cls), example(registry, kind, name)
    except PluginError:
        raise
    except Exception as error:  # a plugin's code may raise anything
        origin = registry.plugin_of(kind, name).origin
        msg = f'the settings of {kind} "{name}" ({origin}) cannot be loaded: {type(error).__name__}: {error}'
        raise PluginError(msg) from error


def _capabilities(component: Component) -> Iterator[str]:
    """Yield what a component gives to other kinds and needs of them."""
    if component.gives:
        yield f"It gives {', '.join(component.gives)}."
    for kind, needed in (component.needs or {}).items():
        yield f"It needs {article(kind)} with {', '.join(needed)}."
    if component.undeclared:
        yield "It does not declare what it gives and needs."
    yield ""


def _keys(keys: list[Setting]) -> Table:
    rows = [[key.key, "; ".join((key.type, *key.limits)), _shown(key), key.doc] for key in keys]
    return Table(columns=words("key", "type", "default", "meaning"), rows=rows, look="wide")


def _shown(key: Setting) -> str:
    """Return the default of a key as a cell shows it."""
    if key.required:
        return "required"
    if isinstance(key.default, dict) and key.default:
        return "see below"
    return "" if key.default is None else json.dumps(key.default, default=str)
