"""Tables that become settings: those of the experiment, and those of components, with a `use` key."""

from __future__ import annotations

import re
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from steermoe_core.component import Selection, Trained, choose
from steermoe_core.config.check.catalogue import Catalogue
from steermoe_core.config.check.faults import Fault, InvalidError
from steermoe_core.config.check.limits import broken_limits
from steermoe_core.config.check.strict import Strict
from steermoe_core.config.experiment import Experiment
from steermoe_core.config.fields import fields_of, plain, tables
from steermoe_core.config.naming import article, described, shown, table_name
from steermoe_core.config.text.axes import SWEEP
from steermoe_core.config.text.layers import EXTENDS
from steermoe_core.config.text.unset import UNSET
from steermoe_core.config.text.write import inline
from steermoe_core.config.types import ComponentOf, Settings
from steermoe_core.errors import SteermoeError, UsageError
from steermoe_core.suggest import closest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from steermoe_core.config.fields import Field
    from steermoe_core.config.text.locate import KeyPath, Toml
    from steermoe_core.config.types import Type
    from steermoe_core.plugins import Registry

#: Prefix and pattern of the name of an adapter on the hub.
HUB = "hub:"
HUB_SOURCE = re.compile(r"hub:([\w.-]+/[\w.-]+)(?:@([\w./-]+))?")


class Structurer(Strict):
    """Turns the tables of an experiment into settings classes, those of plugins included.

    :param registry: where components are looked up.
    """

    def __init__(
        self, registry: Registry, folder: Callable[[KeyPath], Path], whole: str = "the file"
    ) -> None:
        super().__init__(folder, whole)
        self._catalogue = Catalogue(registry)
        self._owners: list[tuple[int, str]] = []
        self._trained: Trained | None = None

    def structure(self, value: object, wanted: Type) -> Any:
        """Return a value as its type; tables as settings and components.

        :raises InvalidError: with every fault in it.
        """
        if isinstance(wanted, Settings):
            return self.settings(value, wanted.table)
        if isinstance(wanted, ComponentOf):
            return self._components(value, wanted)
        return super().structure(value, wanted)

    def settings(self, value: object, cls: type) -> Any:
        """Return a table as its settings class.

        :raises InvalidError: with all its unknown, missing and wrong keys and broken limits.
        """
        table, fields = self.table(value), fields_of(cls)
        faults = [self._unknown(key, cls) for key in table if key not in fields]
        present = [(key, (table[key], field.type)) for key, field in fields.items() if key in table]
        done, wrong = self.each(present, lambda pair: self.structure(*pair))
        defaults, missing = self.each(self._absent(table, fields), self._missing)
        faults += wrong + missing + [
            Fault(code="E301", message=message, path=(*self.path(), *path), hint=hint)
            for path, message, hint in broken_limits(cls, done)
        ]  # fmt: skip
        if faults:
            raise InvalidError(faults, {**done, **defaults})
        try:
            return cls(**done, **defaults)
        except (TypeError, ValueError, SteermoeError) as error:
            raise self.fault("E302", f"{self._owner()}: {error}", "key") from error

    def _absent(self, table: Toml, fields: Mapping[str, Field]) -> Iterator[tuple[str, Field]]:
        """Yield the keys whose default depends on the file, and missing keys that are not just misspelt."""
        misspelt = {closest(key, fields) for key in table if key not in fields}
        for key, field in fields.items():
            special = (
                isinstance(field.type, ComponentOf) or field.required or isinstance(field.default(), Path)
            )
            if special and key not in table and key not in misspelt:
                yield key, field

    def _missing(self, field: Field) -> Any:
        """Return the default component or path of a key that is left out; a required one is a fault."""
        if isinstance(field.type, ComponentOf):
            return self._default_components(field.type)
        if not field.required:
            return self.located(str(field.default()))
        if isinstance(field.type, Settings):
            raise self.fault("E103", f"the table {table_name(self.path())} is missing")
        *above, key = self.path()
        message = f'the key "{key}" is missing in {table_name(tuple(above)) if above else self.whole}'
        raise self.fault("E103", message, "key", f"{key} is {field.type.name}")

    def _unknown(self, key: str, cls: type) -> Fault:
        chooses = bool(self._owners) and self._owners[-1][0] == len(self._path)
        known = [*(["use"] if chooses else []), *fields_of(cls)]
        others = [] if self.path() else [name for name in (EXTENDS, UNSET, SWEEP) if name != key]
        near, home = closest(key, [*known, *others]), _home(key)
        hint = f"known keys: {', '.join(known)}"
        if near or home:
            hint = f"it is a key of {home}" if home else f'did you mean "{near}"?'
        message = f'unknown key "{key}" in {self._owner()}'
        return Fault("E102", message, (*self.path(), key), "key", hint)

    def _owner(self) -> str:
        """Return the current table and, for a component, whose settings it holds."""
        where = table_name(self.path()) if self.path() else self.whole
        for depth, name in reversed(self._owners):
            if depth <= len(self.path()):
                return f"{where} ({name})"
        return where

    def _components(self, value: object, wanted: ComponentOf) -> Any:
        """Return the components that one table, a list of tables or named tables choose."""
        if wanted.many is dict:
            return self.every(self.table(value).items(), lambda table: self._component(table, wanted))
        if wanted.many is list and isinstance(value, list):
            components = self.every(enumerate(value), lambda table: self._component(table, wanted))
            return list(components.values()) or self._no_components(wanted)
        chosen = self._component(value, wanted)
        return [chosen] if wanted.many is list else chosen

    def _default_components(self, wanted: ComponentOf) -> Any:
        """Return the default of a component table that is left out."""
        if self.path() == ("projector",) and self._trained is not None:
            return Selection("projector", self._trained.source, self._trained)
        if wanted.default is None:
            return self._no_components(wanted)
        if not wanted.default:
            return wanted.many() if wanted.many else None
        return self._components({"use": wanted.default}, wanted)

    def _no_components(self, wanted: ComponentOf) -> list[Any]:
        """Return no components, if that is allowed."""
        if wanted.default is not None:
            return []
        table = table_name(self.path())
        table = f"{table[:-1]}.NAME]" if wanted.many is dict else table
        message = f"the table {table} is missing: it chooses the {wanted.kind}"
        raise self.fault("E103", message, hint=f'add use = "…"; {self._catalogue.known(wanted.kind)}')

    def _component(self, value: object, wanted: ComponentOf) -> Selection:
        kind = wanted.kind
        if kind == "adapter" and isinstance(value, str) and is_source(value):
            return self._trained_adapter(value)
        use = shown(value) if isinstance(value, str) else '"…"'
        table = self.table(value, hint=f"write a table with use = {use}")
        name = table.get("use", None if wanted.many and not wanted.one else wanted.default or None)
        if name is None:
            message = f"{table_name(self.path())} does not choose {article(kind)}"
            raise self.fault("E202", message, "key", f'add use = "…"; {self._catalogue.known(kind)}')
        cls = self._settings_class(kind, name)
        self._owners.append((len(self.path()), f'{kind} "{name}"'))
        try:
            with redirect_stdout(sys.stderr):  # what a plugin prints; stdout belongs to the command
                config = self.settings({key: item for key, item in table.items() if key != "use"}, cls)
            inline(plain(config))  # fails unless they can be written to a file again
        except (InvalidError, KeyboardInterrupt):
            raise
        except BaseException as error:  # a plugin may raise anything, SystemExit too
            raise self._catalogue.unusable(kind, str(name), (*self.path(), "use"), error) from error
        finally:
            self._owners.pop()
        return Selection(kind, name, config)

    def _trained_adapter(self, source: str) -> Selection:
        """Return the choice of a trained adapter; its projector comes with it."""
        if not source.startswith(HUB):
            path = self.located(source)
            source = source if self._catalogue.has_weights(source) and not path.exists() else path.as_posix()
        elif not HUB_SOURCE.fullmatch(source):
            pattern = "hub:OWNER/NAME or hub:OWNER/NAME@REVISION"
            raise self.fault("E301", f"{self.key()} must look like {pattern}, is {shown(source)}", "text")
        self._trained = Trained(source)
        return Selection("adapter", source, self._trained)

    def _settings_class(self, kind: str, name: object) -> type:
        with self.at("use"):
            if not isinstance(name, str):
                raise self.fault("E101", f"use must be text, is {described(name)}")
            return self._catalogue.settings_class(kind, name, self.path())


def is_source(text: str) -> bool:
    """Tell a trained adapter, at a path or on the hub, from the name of a component."""
    return text.startswith((HUB, ".", "~")) or "/" in text


def _home(key: str) -> str | None:
    """Return the table of an experiment that has a key."""
    for path, cls in tables(Experiment).items():
        if path and key in fields_of(cls):
            return table_name(path)
    return None


def selection(registry: Registry, kind: str, table: Mapping[str, Any]) -> Selection:
    """Return the choice of a component that a table with a `use` key makes, outside of an experiment.

    :raises UsageError: an experiment would not accept it; says why.
    """
    cls = attrs.make_class("Chosen", {kind: choose(kind)}, frozen=True, kw_only=True)
    try:
        found = Structurer(registry, lambda _: Path.cwd()).settings({kind: dict(table)}, cls)
    except InvalidError as error:
        raise UsageError("; ".join(fault.message for fault in error.faults)) from None
    one: Selection = getattr(found, kind)
    return one
