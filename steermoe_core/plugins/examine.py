"""One plugin, examined: its import, its hooks, its settings classes.

This runs the plugin's code, so it belongs into a process of its own (`steermoe_core.plugins.probe`). Only
the built-in parts are examined in the process of the command.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import attrs
import pluggy

from steermoe_core import hookspecs
from steermoe_core.plugins.plugin import Plugin
from steermoe_core.plugins.quarantine import Broken, check_offer, hooks_of, imported, offered, trace_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from steermoe_core.plugins.discovery import Entry

#: Libraries that a plugin must not import before a run needs them.
HEAVY = ("torch", "transformers", "datasets", "numpy", "deepspeed")


def examine(entry: Entry, doing: Callable[[str], None] = lambda _: None) -> Plugin:
    """Import a plugin, call the hooks that yield its offer, and import its settings classes.

    :param doing: is called with what is done next: the subject of "… did not finish".
    :returns: the plugin, active or broken, whatever its code raises.
    """
    plugin, step = Plugin.of(entry), ""

    def begin(what: str) -> None:
        nonlocal step
        step = what
        doing(what)

    before, start = set(sys.modules), time.process_time()
    try:
        begin("its import")
        module = imported(entry)
        hooks = hooks_of(module, plugin_manager())
        components, commands = offered(hooks, begin)
        hooks_of_runs = tuple(sorted(set(hooks) - hookspecs.YIELDING))
        plugin = attrs.evolve(plugin, components=components, commands=commands, hooks=hooks_of_runs)
        check_offer(plugin.offer, entry)
        _import_settings(plugin, begin)
    except Broken as verdict:
        plugin = attrs.evolve(plugin.broken(verdict.reason, verdict.hint), trace=trace_of(verdict))
    except KeyboardInterrupt:  # nobody pressed Ctrl-C: the process that examines plugins is out of its reach
        plugin = plugin.broken(f"{step} raised KeyboardInterrupt", f"upgrade or repair {entry.distribution}")
    heavy = tuple(name for name in HEAVY if name in sys.modules and name not in before)
    return attrs.evolve(plugin, seconds=time.process_time() - start, heavy=heavy)


def plugin_manager() -> pluggy.PluginManager:
    """Return a manager that knows the hooks and no plugin."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    return manager


def _import_settings(plugin: Plugin, doing: Callable[[str], None]) -> None:
    """Import the settings classes: one that ends or stops the process must do so here.

    What they raise is left to the commands that need the component; they say where it is asked for.
    """
    for kind, component in plugin.components:
        doing(f'importing the settings of its {kind} "{component.name}"')
        try:
            component.config_class()
        except BaseException:  # noqa: BLE001, S112 - see above; a plugin may raise anything
            continue
