"""The plain table of a resolved experiment with all defaults, and the origin of each value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from steermoe_core.component import Selection, Trained
from steermoe_core.config.experiment import ModelConfig
from steermoe_core.config.fields import fields_of, plain, written
from steermoe_core.config.groups import groups_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from steermoe_core.config.text.layers import Layers
    from steermoe_core.config.text.locate import KeyPath, Toml
    from steermoe_core.config.text.source import Source
    from steermoe_core.plugins import Registry

ENGINE = "steermoe"


@attrs.frozen(eq=False)
class Origin:
    """The origin of one value; `str` is what `--blame` prints.

    :param source: the file or flag that sets it; None for a default.
    :param path: its key path in that source.
    :param owner: distribution (with its version) whose settings class gives the default.
    """

    source: Source | None
    path: KeyPath
    owner: str

    @property
    def line(self) -> int | None:
        """Line in the file, from 1; None for a flag or a default."""
        return None if self.source is None else self.source.line(self.path)

    def __str__(self) -> str:
        """Return the file with the line, the flag, or the distribution whose default it is."""
        if self.source is None:
            return f"default of {self.owner}"
        return self.source.name if self.line is None else f"{self.source.name}:{self.line}"


class Filler:
    """Writes an experiment as a plain table and records the owner of every value's default."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self.owners: dict[KeyPath, str] = {}
        self._trainers: dict[str, str] = {}

    def table(self, settings: object, path: KeyPath = (), owner: str = ENGINE) -> Toml:
        """Return the keys of a settings object; those without a value are left out."""
        if isinstance(settings, ModelConfig):
            groups = groups_of(settings.projector, settings.adapter, self._registry).known.items()
            self._trainers = {name: self._distribution(one.kind, one.names[0]) for name, one in groups}
        table = {}
        for key, field in fields_of(type(settings)).items():
            value = written(field, settings)
            if value is None or _comes_along(value):
                continue
            table[key] = self._plain(value, (*path, key), owner)
            if field.by_group and isinstance(value, dict):
                self.owners |= {(*path, key, name): self._trainers.get(name, owner) for name in value}
        return table

    def _plain(self, value: Any, path: KeyPath, owner: str) -> Any:
        if isinstance(value, Selection) and isinstance(value.config, Trained):
            self.owners[path] = owner
            return value.config.source
        if isinstance(value, Selection):
            self.owners[(*path, "use")] = owner
            return {
                "use": value.name,
                **self.table(value.config, path, self._distribution(value.kind, value.name)),
            }
        if attrs.has(type(value)):
            return self.table(value, path, owner)
        if isinstance(value, dict):
            return {key: self._plain(item, (*path, key), owner) for key, item in value.items()}
        if isinstance(value, (list, tuple)) and any(attrs.has(type(item)) for item in value):
            return [self._plain(item, (*path, index), owner) for index, item in enumerate(value)]
        self.owners[path] = owner
        return plain(value)

    def _distribution(self, kind: str, name: str) -> str:
        plugin = self._registry.plugin_of(kind, name)
        return ENGINE if plugin.distribution == ENGINE else plugin.origin


def _comes_along(value: object) -> bool:
    """Return whether a value is the projector of a trained adapter, which no key sets."""
    return isinstance(value, Selection) and value.kind == "projector" and isinstance(value.config, Trained)


def origins(layers: Layers, owners: Mapping[KeyPath, str]) -> dict[KeyPath, Origin]:
    """Return the origin of every value; lines are looked up on use."""
    found = {}
    for path, owner in owners.items():
        raw = layers.raw_path(path)
        if raw is None:
            found[path] = Origin(None, path, owner)
        else:
            source, _ = layers.written(raw)
            found[path] = Origin(source, raw, owner)
    return found
