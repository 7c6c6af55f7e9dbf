"""The keys that an experiment may have, from the top down, for shell completion of `--set`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from steermoe_core.config.check.catalogue import settings_class
from steermoe_core.config.experiment import Experiment
from steermoe_core.config.fields import fields_of
from steermoe_core.config.groups import installed_groups
from steermoe_core.config.types import ComponentOf, FilePath

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from steermoe_core.config.fields import Field
    from steermoe_core.plugins import Registry


@attrs.frozen(kw_only=True)
class Key:
    """One key of a table, as a flag would set it.

    :param doc: what it means.
    :param values: what it may be, if there are only a few values.
    :param path: it is the path of a file or folder.
    :param below: the keys of the table that it is; empty if it is a value.
    """

    doc: str = ""
    values: tuple[str, ...] = ()
    path: bool = False
    below: dict[str, Key] = attrs.field(factory=dict, repr=False)


def keys(registry: Registry, table: Mapping[str, Any]) -> dict[str, Key]:
    """Return all keys of an experiment; those of a component depend on what the file chooses.

    :param table: the file, with what it extends; wrong values in it are ignored.
    """
    return _table(registry, Experiment, table)


def find(known: Mapping[str, Key], path: Sequence[str]) -> Key:
    """Return the key at a path, or an empty one."""
    key = Key(below=dict(known))
    for name in path:
        key = key.below.get(name, Key())
    return key


def _table(registry: Registry, cls: type, raw: object) -> dict[str, Key]:
    values = raw if isinstance(raw, dict) else {}
    return {key: _key(registry, field, values.get(key)) for key, field in fields_of(cls).items()}


def _key(registry: Registry, field: Field, raw: object) -> Key:
    if isinstance(field.type, ComponentOf):
        return Key(doc=field.doc, below=_chosen(registry, field.type, raw))
    if field.by_group:
        groups = installed_groups(registry).items()
        return Key(
            doc=field.doc, below={name: Key(doc=f"parameters of {one.component}") for name, one in groups}
        )
    if field.type.table:
        return Key(doc=field.doc, below=_table(registry, field.type.table, raw))
    values = tuple(registry.names("weights")) if field.key == "weights" else field.type.flag_values
    return Key(doc=field.doc, values=values, path=isinstance(field.type, FilePath))


def _chosen(registry: Registry, chosen: ComponentOf, raw: object) -> dict[str, Key]:
    """Return the keys of one component, or of several by number or name."""
    if chosen.many is dict:
        named = raw if isinstance(raw, dict) else {}
        return {name: Key(below=_component(registry, chosen, item)) for name, item in named.items()}
    if chosen.many is list and not (chosen.one and not isinstance(raw, list)):
        items = [*raw, None] if isinstance(raw, list) else [raw]
        return {str(i): Key(below=_component(registry, chosen, item)) for i, item in enumerate(items)}
    return _component(registry, chosen, raw)


def _component(registry: Registry, chosen: ComponentOf, raw: object) -> dict[str, Key]:
    name = raw.get("use") if isinstance(raw, dict) else None
    component = registry.find(chosen.kind, str(name or chosen.default))
    below = {}
    if component:
        try:
            below = _table(registry, settings_class(component), raw)
        except Exception:  # noqa: BLE001 - a plugin's code may raise anything
            below = {}
    use = Key(doc=f"which {chosen.kind}", values=tuple(registry.names(chosen.kind)))
    return {"use": use, **below}
