"""The keys that an experiment may have, from the top down: what a shell offers behind `--set`."""

from __future__ import annotations

import types
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

import attrs

from steermoe_core.config.check.catalogue import loaded
from steermoe_core.config.describe.documentation import parameters
from steermoe_core.config.experiment import Experiment
from steermoe_core.config.fields import fields_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from steermoe_core.config.fields import Field
    from steermoe_core.plugins import Registry


@attrs.frozen(kw_only=True)
class Key:
    """One key of a table, as a flag would set it.

    :param about: what it means.
    :param values: what it may be, where these are few.
    :param path: it is the path of a file or folder.
    :param below: the keys of the table that it is; empty where it is a value.
    """

    about: str = ""
    values: tuple[str, ...] = ()
    path: bool = False
    below: dict[str, Key] = attrs.field(factory=dict, repr=False)


def keys(registry: Registry, table: Mapping[str, Any]) -> dict[str, Key]:
    """Return all keys of an experiment; which ones a component has depends on what the file chooses.

    :param table: the file, with what it extends; wrong values in it count as absent.
    """
    return _table(registry, Experiment, table)


def find(known: Mapping[str, Key], path: Sequence[str]) -> Key:
    """Return the key at a path; one without anything where there is none."""
    key = Key(below=dict(known))
    for name in path:
        key = key.below.get(name, Key())
    return key


def _table(registry: Registry, cls: type, raw: object) -> dict[str, Key]:
    texts, values = parameters(cls), raw if isinstance(raw, dict) else {}
    return {
        key: _key(registry, field, values.get(key), texts.get(key, ""))
        for key, field in fields_of(cls).items()
    }


def _key(registry: Registry, field: Field, raw: object, about: str) -> Key:
    if field.kind is not None:
        return Key(about=about, below=_chosen(registry, field, field.kind, raw))
    for annotation in (field.type, *_members(field.type)):
        if attrs.has(annotation):
            return Key(about=about, below=_table(registry, annotation, raw))
    values = registry.names("weights") if field.key == "weights" else _values(field.type)
    return Key(about=about, values=tuple(values), path=field.type is Path)


def _chosen(registry: Registry, field: Field, kind: str, raw: object) -> dict[str, Key]:
    """Return the keys of one component, or of several by number or name."""
    if field.many is dict:
        named = raw if isinstance(raw, dict) else {}
        return {name: Key(below=_component(registry, field, kind, item)) for name, item in named.items()}
    if field.many is list:
        items = [*raw, None] if isinstance(raw, list) else [raw]
        return {str(i): Key(below=_component(registry, field, kind, item)) for i, item in enumerate(items)}
    return _component(registry, field, kind, raw)


def _component(registry: Registry, field: Field, kind: str, raw: object) -> dict[str, Key]:
    name = raw.get("use") if isinstance(raw, dict) else None
    part = registry.find(kind, str(name or field.default_component))
    below = {}
    if part:
        try:
            below = _table(registry, loaded(part), raw)
        except Exception:  # noqa: BLE001 - a plugin's code may raise anything
            below = {}
    use = Key(about=f"which {kind}", values=tuple(registry.names(kind)))
    return {"use": use, **below}


def _members(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else ()


def _values(annotation: Any) -> list[str]:
    """Return the values of a choice, as a flag writes them."""
    if annotation is bool:
        return ["true", "false"]
    if get_origin(annotation) is Literal:
        return [str(choice) for choice in get_args(annotation)]
    return [value for member in _members(annotation) for value in _values(member)]
