"""The registry: what is installed, what of it is healthy, and the component or command behind each name.

A plugin is imported only when one of its components, commands or life-cycle hooks is used. One that cannot be
used is quarantined with its reason instead of stopping the program, and offers nothing. Names that clash:

* two distributions with the same plugin name: neither is examined, both are broken;
* a component that has a built-in's kind and name, or a command that has a built-in's name: the built-in
  stays, the plugin is broken;
* two plugins with a component of the same kind and name, or a command of the same name: both are broken,
  because which of them is meant would depend on what else is installed. `--block NAME` of either cures the
  other.
"""

from __future__ import annotations

import os
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steermoe_core.component import COMMAND
from steermoe_core.errors import PluginError, SteermoeError, UsageError
from steermoe_core.plugins.discovery import Entry, installed
from steermoe_core.plugins.loading import plugins_of
from steermoe_core.plugins.plugin import BUILTIN, ENGINE, Plugin
from steermoe_core.plugins.quarantine import Broken, described, hooks_of, imported, loaded
from steermoe_core.suggest import closest, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from steermoe_core.component import Command, Component

__all__ = ["PartError", "Plugin", "Registry", "load_registry"]


class PartError(PluginError):
    """The code of a component cannot be used.

    :ivar part: its kind and name.
    """

    def __init__(self, message: str, part: tuple[str, str]) -> None:
        super().__init__(message)
        self.part = part


class Registry:
    """Every plugin with its status, and every component and command of the active ones.

    :param plugins: built-in first, then by name.
    :param unknown_blocks: names in STEERMOE_BLOCK that no installed plugin has.
    """

    def __init__(
        self,
        plugins: Iterable[Plugin],
        unknown_blocks: tuple[str, ...] = (),
    ) -> None:
        self.plugins = tuple(plugins)
        self.unknown_blocks = unknown_blocks
        self._owners = {(kind, part.name): plugin for plugin in self.plugins for kind, part in plugin.offer}
        self._components = {
            (kind, part.name): part for plugin in self.plugins for kind, part in plugin.components
        }
        self._commands = {command.name: command for plugin in self.plugins for command in plugin.commands}

    def find(self, kind: str, name: str) -> Component | None:
        """Return the component, or None if no active plugin has it."""
        return self._components.get((kind, name))

    def get(self, kind: str, name: str) -> Component:
        """Return the component.

        :raises PluginError: no active plugin has it; says what is near, what is known and what is broken.
        """
        component = self.find(kind, name)
        if component is None:
            raise PluginError(self.explain(kind, name))
        return component

    def command(self, name: str) -> Command:
        """Return the command.

        :raises PluginError: no active plugin has it; says what `get` says.
        """
        if name not in self._commands:
            raise PluginError(self.explain(COMMAND, name))
        return self._commands[name]

    def names(self, kind: str) -> list[str]:
        """Return the names of all components of a kind, or of all commands, sorted."""
        return sorted(name for owned, name in self._owners if owned == kind)

    def plugin_of(self, kind: str, name: str) -> Plugin:
        """Return the plugin that offers a component or a command.

        :raises PluginError: no active plugin has it.
        """
        if (kind, name) not in self._owners:
            raise PluginError(self.explain(kind, name))
        return self._owners[kind, name]

    def factory(self, kind: str, name: str) -> Any:
        """Import and return what builds a component.

        :raises PluginError: no active plugin has it.
        :raises PartError: its code cannot be imported; says what to do.
        """
        return self._loaded(kind, name, self.get(kind, name).factory)

    def command_code(self, name: str) -> Any:
        """Import and return the module or object of a command; an instance where its record names a class.

        :raises PluginError: no active plugin has it.
        :raises PartError: its code cannot be imported; says what to do.
        """
        code = self._loaded(COMMAND, name, self.command(name).code)
        return code() if isinstance(code, type) else code

    def _loaded(self, kind: str, name: str, path: str) -> Any:
        """Import the object at a path that a record names."""
        plugin = self.plugin_of(kind, name)
        try:
            return loaded(path, plugin)
        except Broken as verdict:
            if isinstance(verdict.__cause__, SteermoeError):
                raise verdict.__cause__ from None  # the part says itself what it lacks
            whose = f'{kind} "{name}" ({plugin.origin})'
            msg = f"the code of {whose} cannot be used: {verdict.reason}; {verdict.hint}"
            raise PartError(msg, (kind, name)) from verdict.__cause__

    def weights_folder(self, name: str) -> Path | None:
        """Return the folder of a set of weights that a plugin provides; None if no plugin has that name.

        :raises PartError: its code fails.
        """
        provided = self.find("weights", name)
        if provided is None:
            return None
        try:
            with redirect_stdout(sys.stderr):
                return Path(provided.build(provided.config_class()()))
        except SteermoeError:
            raise  # it says itself what it lacks
        except Exception as error:
            plugin = self.plugin_of("weights", name)
            msg = (
                f'the weights "{name}" of {plugin.origin} cannot be provided: {described(error)}; '
                f'repair the plugin "{plugin.name}", or upgrade {plugin.distribution}'
            )
            raise PartError(msg, ("weights", name)) from error

    def suggest(self, kind: str, name: str) -> str | None:
        """Return the name that was probably meant, if one is near."""
        return closest(name, self.names(kind))

    def absent(self, kind: str, name: str) -> list[Plugin]:
        """Return the broken and blocked plugins that may have the component, the likeliest first.

        If one is known to have it, only the known ones are returned.
        """
        idle = [plugin for plugin in self.plugins if plugin.status != "active"]
        sure = [plugin for plugin in idle if (kind, name) in {(k, part.name) for k, part in plugin.withheld}]
        return sure or sorted(
            (plugin for plugin in idle if not plugin.withheld), key=lambda p: name not in p.name
        )

    def explain(self, kind: str, name: str) -> str:
        """Say why there is no such component: near names, known names, plugins that are not active."""
        suggestion = self.suggest(kind, name)
        near = (
            f'; did you mean "{suggestion}" ({self.plugin_of(kind, suggestion).origin})?'
            if suggestion
            else ""
        )
        known = ", ".join(self.names(kind)) or "none"
        notes = [
            f'\n  note: "{plugin.name}" ({plugin.origin}) is {plugin.status}: {plugin.reason}'
            + (f"; {plugin.hint}" if plugin.hint else "")
            for plugin in self.absent(kind, name)
        ]
        return f'no {kind} is named "{name}"{near} (known: {known}){"".join(notes)}'

    def fire(self, hook: str, **arguments: Any) -> None:
        """Call a life-cycle hook of every active plugin that implements it; that imports the plugin.

        All of them are called even if one fails, so that each can clean up.

        :raises PluginError: a hook raised, or its plugin cannot be imported; names the plugin.
        """
        failures: list[tuple[Plugin, BaseException]] = []
        for plugin in reversed(self.plugins):
            if plugin.status != "active" or hook not in plugin.hooks:
                continue
            try:
                with redirect_stdout(sys.stderr):
                    _call(plugin, hook, arguments)
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # noqa: BLE001 - a plugin may raise anything, SystemExit too
                failures.append((plugin, error))
        if failures:
            lines = [
                f'plugin "{plugin.name}" failed in {hook}: '
                + (error.reason if isinstance(error, Broken) else described(error))
                for plugin, error in failures
            ]
            raise PluginError("\n".join(lines)) from failures[0][1]


def _call(plugin: Plugin, hook: str, arguments: Mapping[str, Any]) -> None:
    """Import a plugin and call one of its life-cycle hooks with the arguments that it takes."""
    from inspect import signature

    from steermoe_core.plugins.examine import plugin_manager

    module = imported(Entry(plugin.name, plugin.value, plugin.distribution, plugin.version, plugin.location))
    function = hooks_of(module, plugin_manager())[hook]
    function(*(arguments[name] for name in signature(function).parameters))


def load_registry(
    block: Collection[str] = (), *, no_plugins: bool = False, again: bool = False, known: bool = False
) -> Registry:
    """Find every installed plugin and what it offers; none is imported.

    :param block: plugin or distribution names that are left out; STEERMOE_BLOCK adds to them.
    :param no_plugins: nothing but the built-in parts.
    :param again: examine all plugins again, whatever is kept of them.
    :param known: examine no plugin; leave out those of which nothing is kept.
    :raises UsageError: a name in `block` belongs to no installed plugin.
    """
    entries = installed()
    from_environment = [
        name.strip() for name in os.environ.get("STEERMOE_BLOCK", "").split(",") if name.strip()
    ]
    _check_blocks(block, entries)
    plugins = plugins_of(
        entries, [*block, *from_environment], no_plugins=no_plugins, again=again, known=known
    )
    unknown = tuple(name for name in from_environment if not any(entry.answers_to(name) for entry in entries))
    return Registry(plugins, unknown)


def _check_blocks(block: Collection[str], entries: list[Entry]) -> None:
    """Refuse a name that blocks nothing: it would leave running what the user meant to stop."""
    for name in block:
        if name in (BUILTIN, ENGINE):
            msg = "the built-in parts cannot be blocked"
            raise UsageError(msg)
        if not any(entry.answers_to(name) for entry in entries):
            known = {known for entry in entries for known in (entry.name, entry.distribution)}
            msg = f"--block {name}: no installed plugin has that name{did_you_mean(name, known)}"
            raise UsageError(msg)
