"""The keys of a settings class: attrs attributes with their types resolved."""

from __future__ import annotations

import types
from functools import cache
from pathlib import Path, PurePath
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import attrs

from steermoe_core.component import Selection
from steermoe_core.config.naming import listed, shown

_NAMES = {
    bool: "true or false", int: "a whole number", float: "a number", str: "text",
    Path: "a path", Any: "any value",
}  # fmt: skip


@attrs.frozen
class Field:
    """One key of a settings class.

    :param key: as an experiment file writes it.
    :param type: its annotation.
    :param attribute: the attrs attribute behind it.
    """

    key: str
    type: Any
    attribute: attrs.Attribute[Any]

    @property
    def kind(self) -> str | None:
        """Kind of the component that it chooses; None for an ordinary setting."""
        kind: str | None = self.attribute.metadata.get("kind")
        return kind

    @property
    def default_component(self) -> str | None:
        """Component of a table that is left out; empty for no component, None where it is required."""
        name: str | None = self.attribute.metadata.get("default")
        return name

    @property
    def many(self) -> type | None:
        """`list` or `dict` for a field that chooses several components."""
        origin = get_origin(self.type)
        return origin if origin in (list, dict) else None

    @property
    def required(self) -> bool:
        """Whether an experiment has to set it."""
        return self.attribute.default is attrs.NOTHING

    def default(self) -> Any:
        """Return the value of a key that is left out; None where only a whole instance can tell."""
        default: Any = self.attribute.default
        if not hasattr(default, "factory"):
            return default
        return None if default.takes_self else default.factory()


def fields_of(cls: type) -> dict[str, Field]:
    """Return the keys of a settings class, in its order.

    :raises NameError: when an annotation names something that the class's module does not import.
    """
    return _fields(cls)


@cache
def _fields(cls: type) -> dict[str, Field]:
    hints = get_type_hints(cls)
    return {
        str(attribute.alias): Field(str(attribute.alias), hints.get(attribute.name, Any), attribute)
        for attribute in attrs.fields(cls)
        if attribute.init
    }


@cache
def tables(cls: type, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], type]:
    """Return the settings classes of a tree of tables by their key paths; components are not entered."""
    found = {path: cls}
    for key, field in fields_of(cls).items():
        for inner in (field.type, *get_args(field.type)):
            if field.kind is None and attrs.has(inner):
                found |= tables(inner, (*path, key))
    return found


def plain(value: Any) -> Any:
    """Return settings, or the value of a key, as plain TOML values; keys without a value are left out."""
    if attrs.has(type(value)):
        values = {key: getattr(value, field.attribute.name) for key, field in fields_of(type(value)).items()}
        return {key: plain(item) for key, item in values.items() if item is not None}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value.as_posix() if isinstance(value, PurePath) else value


def type_name(kind: Any) -> str:
    """Return a type in words: `a whole number`, `a list of text`, `"a" or "b"`."""
    origin, inner = get_origin(kind), get_args(kind)
    if kind in _NAMES:
        return _NAMES[kind]
    if origin in (Union, types.UnionType):
        return " or ".join(type_name(member) for member in inner if member is not type(None))
    if origin is Literal:
        return listed(map(shown, inner))
    if origin in (list, tuple):
        return f"a list: {type_name(inner[0])}" if inner else "a list"
    if origin is dict or attrs.has(kind):
        return "a table"
    return getattr(kind, "__name__", str(kind)) if kind is not Selection else "a component"
