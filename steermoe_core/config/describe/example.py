"""A piece of an experiment file that chooses a component, with every key it has."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import attrs

from steermoe_core.config.check.catalogue import loaded
from steermoe_core.config.fields import fields_of, plain
from steermoe_core.config.text.write import dumps

if TYPE_CHECKING:
    from steermoe_core.config.fields import Field
    from steermoe_core.plugins import Registry

#: Values tried for a required key, the first one within its limits is shown.
_NUMBERS = (1, 2, 4, 8, 16, 64, 0)


def example(registry: Registry, kind: str, name: str) -> str:
    """Return TOML that chooses the component; keys with a default have it, required ones a stand-in.

    :raises PluginError: no active plugin has the component.
    """
    if kind == "weights":
        return f'# in [encoder] or [decoder]\nweights = "{name}"\n'
    chosen = _chosen(registry, kind, name)
    if kind == "router":
        return dumps({"adapter": {"use": "steering", "router": chosen}})
    if kind == "dataset":
        return dumps({"data": {"train": chosen}})
    return dumps({f"{kind}s": [chosen]} if kind in ("metric", "callback") else {kind: chosen})


def _chosen(registry: Registry, kind: str, name: str) -> dict[str, Any]:
    return {"use": name, **_table(registry, loaded(registry.get(kind, name)))}


def _table(registry: Registry, cls: type) -> dict[str, Any]:
    values = {key: _value(registry, key, field) for key, field in fields_of(cls).items()}
    return {key: value for key, value in values.items() if value is not None}


def _value(registry: Registry, key: str, field: Field) -> Any:
    if field.kind:
        return _selection(registry, field, field.kind)
    if not field.required:
        return plain(field.default())
    return _table(registry, field.type) if attrs.has(field.type) else _stand_in(key, field)


def _selection(registry: Registry, field: Field, kind: str) -> Any:
    """Return the default component's table, or where one is required that of the first that can be used."""
    name = field.default_component
    if name == "":
        return None
    table = {"use": name or f"some-{kind}"}
    for one in [name] if name else registry.names(kind):
        try:
            table = _chosen(registry, kind, one)
        except Exception:  # noqa: BLE001, S112 - another plugin's code may raise anything
            continue
        break
    if field.many is list:
        return [table]
    return {"name": table} if field.many is dict else table


def _stand_in(key: str, field: Field) -> Any:
    """Return a value of the key's type that its limits allow, as far as trying can tell."""
    candidates = _candidates(key, field.type)
    return next((value for value in candidates if _allowed(field, value)), candidates[0])


def _candidates(key: str, annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    if get_origin(annotation) in (list, tuple):
        return ([], [_candidates(key, get_args(annotation)[0])[0]])
    if get_origin(annotation) is dict:
        return ({},)
    if annotation is float:
        return tuple(float(number) for number in (*_NUMBERS, 0.5))
    return {bool: (True, False), int: _NUMBERS, Path: (f"path/to/{key}",)}.get(
        annotation, (f"my-{key}", "a", "1")
    )


def _allowed(field: Field, value: Any) -> bool:
    if field.attribute.validator is None:
        return True
    try:
        field.attribute.validator(None, field.attribute, value)
    except Exception:  # noqa: BLE001 - a plugin's code may raise anything
        return False
    return True
