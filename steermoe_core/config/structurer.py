"""Tables with a `use` key: the component that they choose, and its settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from steermoe_core.component import Component, Selection
from steermoe_core.config.experiment import Experiment
from steermoe_core.config.fields import fields_of, tables
from steermoe_core.config.strict import InvalidError, Strict
from steermoe_core.config.words import described, listed, shown, table_name

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from steermoe_core.config.fields import Field
    from steermoe_core.config.locate import KeyPath
    from steermoe_core.plugins import Registry

#: Components of distributions that are not part of the engine, for hints to install them.
DISTRIBUTIONS = {
    ("encoder", "whisper"): "steermoe-whisper",
    ("encoder", "conformer"): "steermoe-conformer",
    ("dataset", "clotho-aqa"): "steermoe-clothoaqa",
    ("adapter", "lora"): "steermoe-lora",
}


class Structurer(Strict):
    """Turns the tables of an experiment into settings classes, those of plugins included.

    :param registry: where components are looked up.
    """

    def __init__(self, registry: Registry, folder: Callable[[KeyPath], Path]) -> None:
        super().__init__(folder)
        self._registry = registry
        self._owners: list[tuple[int, str]] = []

    def owner(self) -> str:
        """Return the table that is looked at and, for a component, whose settings it holds."""
        where = table_name(self.path()) if self.path() else "the file"
        for depth, name in reversed(self._owners):
            if depth <= len(self.path()):
                return f"{where} ({name})"
        return where

    def chosen(self, field: Field, value: object) -> Any:
        """Structure what stands under a field that chooses: one table, a list or named tables."""
        if field.many is dict:
            tables = self.table(value)
            return self.every((name, lambda t=t: self._select(field, t)) for name, t in tables.items())  # type: ignore[misc]
        if field.many is list and isinstance(value, list):
            items = self.every((i, lambda t=t: self._select(field, t)) for i, t in enumerate(value))  # type: ignore[misc]
            return list(items.values()) or self._none(field)
        return [self._select(field, value)] if field.many is list else self._select(field, value)

    def unchosen(self, field: Field) -> Any:
        """Return the default of a component table that is left out."""
        name = field.default_component
        if name is None:
            return self._none(field)
        if not name:
            return field.many() if field.many else None
        chosen = self._select(field, {"use": name})
        return [chosen] if field.many is list else chosen

    def home(self, key: str) -> str | None:
        """Return the table of an experiment that has a key."""
        for path, cls in tables(Experiment).items():
            if path and key in fields_of(cls):
                return table_name(path)
        return None

    def _none(self, field: Field) -> list[Any]:
        """Return no components, where the field allows that."""
        if field.default_component is not None:
            return []
        name = f"{table_name(self.path())[:-1]}.NAME]" if field.many is dict else table_name(self.path())
        message = f"the table {name} is missing: it chooses the {field.kind}"
        raise self.fault("E103", message, hint=f'add use = "…"; {self._known(field.kind)}')

    def _select(self, field: Field, value: object) -> Selection:
        kind, example = str(field.kind), shown(value) if isinstance(value, str) else '"…"'
        table = self.table(value, hint=f"write a table with use = {example}")
        name = table.get("use", None if field.many else field.default_component or None)
        if name is None:
            message = f"{table_name(self.path())} does not say which {kind} it wants"
            raise self.fault("E202", message, "key", f'add use = "…"; {self._known(kind)}')
        component = self._component(kind, name)
        cls = self._config_class(kind, component)
        settings = {key: setting for key, setting in table.items() if key != "use"}
        return Selection(kind, name, self._settings_of(kind, component, settings, cls))

    def _settings_of(self, kind: str, component: Component, table: dict[str, Any], cls: type) -> Any:
        self._owners.append((len(self.path()), f'{kind} "{component.name}"'))
        try:
            return self.structure(table, cls)
        finally:
            self._owners.pop()

    def _component(self, kind: str, name: object) -> Component:
        if not isinstance(name, str):
            with self.at("use"):
                raise self.fault("E101", f"use must be text, is {described(name)}")
        component = self._registry.find(kind, name)
        if component is None:
            with self.at("use"):
                raise self._unknown_component(kind, name)
        return component

    def _unknown_component(self, kind: str, name: str) -> InvalidError:
        silent = self._registry.absent(kind, name)
        notes = tuple(f"{plugin.origin} is {plugin.status}: {plugin.reason}" for plugin in silent)
        message = f'no {kind} named "{name}"'
        for plugin in silent:
            if plugin.withheld or name in (plugin.name, plugin.distribution.removeprefix("steermoe-")):
                message += f": its plugin is {plugin.status}"
                return self.fault("E203", message, "text", plugin.hint, notes=notes)
        return self.fault("E201", message, "text", self._instead(kind, name), notes=notes)

    def _instead(self, kind: str, name: str) -> str:
        """Return what to write or install instead of a component that is not there."""
        near, known = self._registry.suggest(kind, name), self._known(kind)
        if (kind, name) in DISTRIBUTIONS:
            return f"pip install {DISTRIBUTIONS[kind, name]}; {known}"
        if near:
            return f'did you mean "{near}" ({self._registry.plugin_of(kind, near).origin})? {known}'
        return known

    def _known(self, kind: str | None) -> str:
        names = self._registry.names(str(kind))
        return f"known: {listed(names)}" if names else f"no {kind} is installed"

    def _config_class(self, kind: str, component: Component) -> type:
        name = f'{kind} "{component.name}" of {self._registry.plugin_of(kind, component.name).origin}'
        try:
            cls = component.config_class()
            if attrs.has(cls):
                fields_of(cls)
        except Exception as error:  # noqa: BLE001 - a plugin's code may raise anything
            why = f"{type(error).__name__}: {error}"
        else:
            if attrs.has(cls):
                return cls
            why = f"{component.config} is not an attrs class"
        with self.at("use"):
            raise self.fault("E204", f"the settings of {name} cannot be loaded: {why}", "text")

