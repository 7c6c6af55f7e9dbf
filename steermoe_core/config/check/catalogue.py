"""From a kind and a name to a component's settings class, or to the reason why there is none."""

from __future__ import annotations

import re
import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING

import attrs

from steermoe_core.config.check.faults import Fault, InvalidError
from steermoe_core.config.fields import fields_of, tables
from steermoe_core.config.naming import dotted
from steermoe_core.plugins.quarantine import described as located
from steermoe_core.plugins.quarantine import import_failure

if TYPE_CHECKING:
    from steermoe_core.component import Component
    from steermoe_core.config.text.locate import KeyPath
    from steermoe_core.plugins import Plugin, Registry

_PLAIN_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")


class Catalogue:
    """The registry, with faults of the experiment file in place of its errors."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def settings_class(self, kind: str, name: str, path: KeyPath) -> type:
        """Return the settings class of a component.

        :param path: of the `use` key.
        :raises InvalidError: when no active plugin offers it, or its settings cannot be loaded.
        """
        component = self._registry.find(kind, name)
        if component is None:
            raise InvalidError([self._unknown(kind, name, path)])
        try:
            return settings_class(component)
        except Exception as error:
            message = (
                f"the settings of {self._whose(kind, name)} cannot be loaded: {type(error).__name__}: {error}"
            )
            hint = import_hint(error, component, self._registry.plugin_of(kind, name))
            raise InvalidError([Fault("E204", message, path, "text", hint)]) from error

    def unusable(self, kind: str, name: str, path: KeyPath, error: BaseException) -> InvalidError:
        """Return the error of a component whose settings class raises an error that concerns no setting."""
        plugin = self._registry.plugin_of(kind, name)
        message = f"the settings of {self._whose(kind, name)} cannot be used: {located(error)}"
        hint = f'repair the plugin "{plugin.name}", or upgrade {plugin.distribution}'
        return InvalidError([Fault("E204", message, path, "text", hint)])

    def _whose(self, kind: str, name: str) -> str:
        return f'{kind} "{name}" of {self._registry.plugin_of(kind, name).origin}'

    def has_weights(self, weights: str) -> bool:
        """Return whether a plugin provides weights of this name."""
        return self._registry.find("weights", weights) is not None

    def known(self, kind: str) -> str:
        """Return the installed components of a kind, for hints."""
        names = self._registry.names(kind)
        return f"known: {', '.join(names)}" if names else f"no {kind} is installed"

    def _unknown(self, kind: str, name: str, path: KeyPath) -> Fault:
        inactive = self._registry.absent(kind, name)
        notes = tuple(f"{plugin.origin} is {plugin.status}: {plugin.reason}" for plugin in inactive)
        message = f'no {kind} named "{name}"'
        for plugin in inactive:
            if plugin.withheld or name in (plugin.name, plugin.distribution.removeprefix("steermoe-")):
                message += f": its plugin is {plugin.status}"
                return Fault("E203", message, path, "text", plugin.hint, notes)
        return Fault("E201", message, path, "text", self._alternative(kind, name), notes)

    def _alternative(self, kind: str, name: str) -> str:
        """Return what to write or install instead of a component that no plugin offers."""
        near, known = self._registry.suggest(kind, name), self.known(kind)
        if near:
            return f'did you mean "{near}" ({self._registry.plugin_of(kind, near).origin})? {known}'
        if _PLAIN_NAME.fullmatch(name):
            return f"{known}; install the plugin that offers it, by convention named steermoe-{name}"
        return known


def import_hint(error: BaseException, component: Component, plugin: Plugin) -> str:
    """Return how to fix settings that cannot be imported; empty for settings that are wrong."""
    module = component.config.partition(":")[0]
    return import_failure(error, module, plugin).hint if isinstance(error, ImportError) else ""


def settings_class(component: Component) -> type:
    """Return a component's settings class, after its annotations and defaults have been read.

    :raises Exception: whatever a plugin's code raises; one that asks Python to exit raises a TypeError.
    """
    cls = component.config_class()
    if not attrs.has(cls):
        message = f"{component.config} is not an attrs class"
        raise TypeError(message)
    for path, table in tables(cls).items():
        for key, field in fields_of(table).items():
            try:
                with redirect_stdout(sys.stderr):
                    field.default()
            except (Exception, SystemExit) as error:
                message = f"the default of {dotted((*path, key))} raises {located(error)}"
                raise TypeError(message) from error
    return cls
