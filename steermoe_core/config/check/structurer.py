"""Tables that become settings: those of the experiment, and with a `use` key those of a component."""

from __future__ import annotations

import re
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from steermoe_core.component import Selection, Trained
from steermoe_core.config.check.catalogue import Catalogue
from steermoe_core.config.check.faults import Fault, InvalidError
from steermoe_core.config.check.limits import broken_limits
from steermoe_core.config.check.strict import Strict
from steermoe_core.config.experiment import Experiment
from steermoe_core.config.fields import fields_of, plain, tables, type_name
from steermoe_core.config.naming import described, listed, shown, table_name
from steermoe_core.config.text.axes import SWEEP
from steermoe_core.config.text.layers import EXTENDS
from steermoe_core.config.text.write import inline
from steermoe_core.errors import SteermoeError
from steermoe_core.suggest import closest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from steermoe_core.config.fields import Field
    from steermoe_core.config.text.locate import KeyPath
    from steermoe_core.plugins import Registry

#: What the place of an adapter on the hub begins with, and what it looks like.
HUB = "hub:"
HUB_SOURCE = re.compile(r"hub:([\w.-]+/[\w.-]+)(?:@([\w./-]+))?")


class Structurer(Strict):
    """Turns the tables of an experiment into settings classes, those of plugins included.

    :param registry: where components are looked up.
    """

    def __init__(self, registry: Registry, folder: Callable[[KeyPath], Path]) -> None:
        super().__init__(folder)
        self._catalogue = Catalogue(registry)
        self._owners: list[tuple[int, str]] = []
        self._trained: Trained | None = None

    def hooks(self) -> list[tuple[Callable[[Any], bool], Callable[[Any, Any], Any]]]:
        """Add settings classes to the types that are known."""
        return [*super().hooks(), (attrs.has, self._settings)]

    def _settings(self, value: object, cls: type) -> Any:
        """Structure a table as its settings class: unknown, missing, wrong and out-of-limit keys at once."""
        table, fields = self.table(value), fields_of(cls)
        faults = [self._unknown(key, cls) for key in table if key not in fields]
        done, wrong = self.each(self._present(table, fields))
        defaults, more = self.each(self._absent(table, fields))
        faults += wrong + more + [
            Fault(code="E301", message=message, path=(*self.path(), *path), hint=hint)
            for path, message, hint in broken_limits(cls, done)
        ]  # fmt: skip
        if faults:
            raise InvalidError(faults, {**done, **defaults})
        try:
            return cls(**done, **defaults)
        except (TypeError, ValueError, SteermoeError) as error:
            raise self.fault("E302", f"{self._owner()}: {error}", "key") from error

    def _present(self, table: dict[str, Any], fields: Mapping[str, Field]) -> Iterator[tuple[str, Any]]:
        for key in fields:
            if key in table:
                yield key, lambda key=key: self._field(fields[key], table[key])

    def _absent(self, table: dict[str, Any], fields: Mapping[str, Field]) -> Iterator[tuple[str, Any]]:
        """Yield the keys whose default has to be worked out, and the missing ones but for a misspelt one."""
        meant = {closest(key, fields) for key in table if key not in fields}
        for key, field in fields.items():
            special = field.kind is not None or field.required or isinstance(field.default(), Path)
            if special and key not in table and key not in meant:
                yield key, lambda field=field: self._missing(field)

    def _field(self, field: Field, value: object) -> Any:
        if field.kind is not None:
            return self._chosen(field, value)
        return self.structure(value, field.type)

    def _missing(self, field: Field) -> Any:
        """Return the default component or path of a key that is left out; a required one is a fault."""
        if field.kind is not None:
            return self._unchosen(field)
        if not field.required:
            return self.located(str(field.default()))
        if attrs.has(field.type):
            raise self.fault("E103", f"the table {table_name(self.path())} is missing")
        *above, key = self.path()
        message = f'the key "{key}" is missing in {table_name(tuple(above)) if above else "the file"}'
        raise self.fault("E103", message, "key", f"{key} is {type_name(field.type)}")

    def _unknown(self, key: str, cls: type) -> Fault:
        chooses = bool(self._owners) and self._owners[-1][0] == len(self._path)
        known = [*(["use"] if chooses else []), *fields_of(cls)]
        others = [] if self.path() else [name for name in (EXTENDS, SWEEP) if name != key]
        near, home = closest(key, [*known, *others]), _home(key)
        hint = f"known keys: {listed(known)}"
        if near or home:
            hint = f"it is a key of {home}" if home else f'did you mean "{near}"?'
        message = f'unknown key "{key}" in {self._owner()}'
        return Fault("E102", message, (*self.path(), key), "key", hint)

    def _owner(self) -> str:
        """Return the table that is looked at and, for a component, whose settings it holds."""
        where = table_name(self.path()) if self.path() else "the file"
        for depth, name in reversed(self._owners):
            if depth <= len(self.path()):
                return f"{where} ({name})"
        return where

    def _chosen(self, field: Field, value: object) -> Any:
        """Structure what stands under a field that chooses: one table, a list or named tables."""
        if field.many is dict:
            named = self.table(value)
            return self.every((name, lambda t=t: self._select(field, t)) for name, t in named.items())  # type: ignore[misc]
        if field.many is list and isinstance(value, list):
            items = self.every((i, lambda t=t: self._select(field, t)) for i, t in enumerate(value))  # type: ignore[misc]
            return list(items.values()) or self._none(field)
        return [self._select(field, value)] if field.many is list else self._select(field, value)

    def _unchosen(self, field: Field) -> Any:
        """Return the default of a component table that is left out."""
        name = field.default_component
        if field.kind == "projector" and self._trained is not None:
            return Selection("projector", self._trained.source, self._trained)
        if name is None:
            return self._none(field)
        if not name:
            return field.many() if field.many else None
        chosen = self._select(field, {"use": name})
        return [chosen] if field.many is list else chosen

    def _none(self, field: Field) -> list[Any]:
        """Return no components, where the field allows that."""
        if field.default_component is not None:
            return []
        name = f"{table_name(self.path())[:-1]}.NAME]" if field.many is dict else table_name(self.path())
        message = f"the table {name} is missing: it chooses the {field.kind}"
        raise self.fault("E103", message, hint=f'add use = "…"; {self._catalogue.known(str(field.kind))}')

    def _select(self, field: Field, value: object) -> Selection:
        kind, example = str(field.kind), shown(value) if isinstance(value, str) else '"…"'
        if kind == "adapter" and isinstance(value, str) and is_source(value):
            return self._start(value)
        table = self.table(value, hint=f"write a table with use = {example}")
        name = table.get("use", None if field.many else field.default_component or None)
        if name is None:
            message = f"{table_name(self.path())} does not say which {kind} it wants"
            raise self.fault("E202", message, "key", f'add use = "…"; {self._catalogue.known(kind)}')
        cls = self._settings_class(kind, name)
        self._owners.append((len(self.path()), f'{kind} "{name}"'))
        try:
            settings = {key: setting for key, setting in table.items() if key != "use"}
            return Selection(kind, name, self._made(settings, cls))
        except (InvalidError, KeyboardInterrupt):
            raise
        except BaseException as error:  # a plugin may raise anything, SystemExit too
            raise self._catalogue.failed(kind, str(name), (*self.path(), "use"), error) from error
        finally:
            self._owners.pop()

    def _made(self, settings: dict[str, Any], cls: type) -> Any:
        """Structure the settings of a component; they can be written to a file again."""
        with redirect_stdout(sys.stderr):  # what a plugin prints; stdout belongs to the command
            made = self.structure(settings, cls)
        inline(plain(made))
        return made

    def _start(self, value: str) -> Selection:
        """Return the choice of a trained adapter; its projector comes with it."""
        if not value.startswith(HUB):
            path = self.located(value)
            value = value if self._catalogue.brings(value) and not path.exists() else path.as_posix()
        elif not HUB_SOURCE.fullmatch(value):
            wanted = "hub:OWNER/NAME or hub:OWNER/NAME@REVISION"
            message = f"{self.key()} must look like {wanted}, is {shown(value)}"
            raise self.fault("E301", message, "text")
        self._trained = Trained(value)
        return Selection("adapter", value, self._trained)

    def _settings_class(self, kind: str, name: object) -> type:
        with self.at("use"):
            if not isinstance(name, str):
                raise self.fault("E101", f"use must be text, is {described(name)}")
            return self._catalogue.settings_class(kind, name, self.path())


def is_source(text: str) -> bool:
    """Tell a trained adapter from the name of a component: a place on the hub, or a path."""
    return text.startswith((HUB, ".", "~")) or "/" in text


def _home(key: str) -> str | None:
    """Return the table of an experiment that has a key."""
    for path, cls in tables(Experiment).items():
        if path and key in fields_of(cls):
            return table_name(path)
    return None
