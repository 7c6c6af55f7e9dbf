"""A piece of an experiment file that chooses a component, with every key it has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from steermoe_core.config.check.catalogue import settings_class
from steermoe_core.config.fields import fields_of, plain
from steermoe_core.config.naming import LISTS
from steermoe_core.config.text.write import dumps
from steermoe_core.config.types import ComponentOf, Settings

if TYPE_CHECKING:
    from steermoe_core.config.fields import Field
    from steermoe_core.config.text.locate import Toml
    from steermoe_core.plugins import Registry


def example(registry: Registry, kind: str, name: str) -> str:
    """Return TOML that chooses the component, with the default or an example value of every key.

    :raises PluginError: no active plugin has the component.
    """
    if kind == "weights":
        return f'# in [encoder] or [decoder]\nweights = "{name}"\n'
    table = _component(registry, kind, name)
    if kind == "router":
        return dumps({"adapter": {"use": "steering", "router": table}})
    if kind == "dataset":
        return dumps({"data": {"train": table}})
    if kind == "launcher":
        return f"# steermoe sweep FILE --on {name} --with KEY=VALUE\n{dumps({kind: table})}"
    return dumps({LISTS[kind]: [table]} if kind in LISTS else {kind: table})


def _component(registry: Registry, kind: str, name: str) -> Toml:
    return {"use": name, **_table(registry, settings_class(registry.get(kind, name)))}


def _table(registry: Registry, cls: type) -> Toml:
    values = {key: _value(registry, key, field) for key, field in fields_of(cls).items()}
    return {key: value for key, value in values.items() if value is not None}


def _value(registry: Registry, key: str, field: Field) -> Any:
    """Return the default of a key, or the first example of its type that its limits allow."""
    if isinstance(field.type, ComponentOf):
        return _nested(registry, field.type)
    if not field.required:
        return plain(field.default())
    if isinstance(field.type, Settings):
        return _table(registry, field.type.table)
    values = field.type.examples(key)
    return next((value for value in values if _allowed(field, value)), values[0])


def _nested(registry: Registry, chosen: ComponentOf) -> Any:
    """Return the table of the default component; if there is none, of the first that can be used."""
    if chosen.default == "":
        return None
    table = {"use": chosen.default or f"some-{chosen.kind}"}
    for name in [chosen.default] if chosen.default else registry.names(chosen.kind):
        try:
            table = _component(registry, chosen.kind, name)
        except Exception:  # noqa: BLE001, S112 - another plugin's code may raise anything
            continue
        break
    if chosen.many is list and not chosen.one:
        return [table]
    return {"name": table} if chosen.many is dict else table


def _allowed(field: Field, value: Any) -> bool:
    if field.attribute.validator is None:
        return True
    try:
        field.attribute.validator(None, field.attribute, value)
    except Exception:  # noqa: BLE001 - a plugin's code may raise anything
        return False
    return True
