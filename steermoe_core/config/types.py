"""The types of settings: what a key may hold, as one small tree made from the annotation of the key.

Whoever reads, documents, completes or describes settings works on these classes. There are no others; an
annotation that no TOML value has becomes `Inexpressible`.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import attrs

from steermoe_core.config.naming import article, shown

#: A JSON schema, or a part of one.
Node = dict[str, Any]
#: Returns the schema of a settings class; the flag requests all required keys.
TableSchema = Callable[[type, bool], Node]

#: Name, JSON type and examples of each type of a single value.
_SCALARS: dict[type, tuple[str, str, tuple[Any, ...]]] = {
    bool: ("true or false", "boolean", (True, False)),
    int: ("a whole number", "integer", (1, 2, 4, 8, 16, 64, 0)),
    float: ("a number", "number", (1.0, 2.0, 4.0, 8.0, 16.0, 64.0, 0.0, 0.5)),
    str: ("text", "string", ("a", "1")),
}


class Type:
    """What a key may hold."""

    @property
    def name(self) -> str:
        """The type in words: `a whole number`, `a list: text`, `"a", "b"`."""
        raise NotImplementedError

    @property
    def choices(self) -> tuple[Any, ...]:
        """The values of a choice, also of one inside a list."""
        return ()

    @property
    def classes(self) -> tuple[type, ...]:
        """The settings classes of the tables that a value is or contains."""
        return ()

    @property
    def table(self) -> type | None:
        """Settings class, if the value may be one table of settings."""
        return None

    @property
    def flag_values(self) -> tuple[str, ...]:
        """Every value as a `--set` flag writes it, if there are only a few."""
        return ()

    def fits(self, value: object) -> bool:
        """Return whether a value has the outer form: a table, a list, or a single value of the right type."""
        raise NotImplementedError

    def examples(self, key: str) -> tuple[Any, ...]:
        """Return values of the type, as TOML has them."""
        return (f"my-{key}", "a", "1")

    def schema(self, table: TableSchema, *, whole: bool) -> Node:
        """Return the JSON schema of a value.

        :param table: returns the schema of a settings class.
        :param whole: tables need all their required keys. Tables in a list always do.
        """
        raise NotImplementedError


@attrs.frozen
class Anything(Type):
    """Any TOML value."""

    name = "any value"

    def fits(self, value: object) -> bool:  # noqa: ARG002 - anything fits
        return True

    def schema(self, table: TableSchema, *, whole: bool) -> Node:  # noqa: ARG002
        return {}


@attrs.frozen
class Scalar(Type):
    """`bool`, `int`, `float` or `str`."""

    cls: type

    @property
    def name(self) -> str:
        return _SCALARS[self.cls][0]

    @property
    def flag_values(self) -> tuple[str, ...]:
        return ("true", "false") if self.cls is bool else ()

    def fits(self, value: object) -> bool:
        return type(value) is self.cls or (self.cls is float and type(value) is int)

    def examples(self, key: str) -> tuple[Any, ...]:
        known = _SCALARS[self.cls][2]
        return (f"my-{key}", *known) if self.cls is str else known

    def schema(self, table: TableSchema, *, whole: bool) -> Node:  # noqa: ARG002
        return {"type": _SCALARS[self.cls][1]}


@attrs.frozen
class FilePath(Type):
    """The path of a file or folder."""

    name = "a path"

    def fits(self, value: object) -> bool:
        return isinstance(value, str)

    def examples(self, key: str) -> tuple[Any, ...]:
        return (f"path/to/{key}",)

    def schema(self, table: TableSchema, *, whole: bool) -> Node:  # noqa: ARG002
        return {"type": "string"}


@attrs.frozen
class Choice(Type):
    """One of a few values: `Literal`."""

    choices: tuple[Any, ...]

    @property
    def name(self) -> str:
        return ", ".join(map(shown, self.choices))

    @property
    def flag_values(self) -> tuple[str, ...]:
        return tuple(map(str, self.choices))

    def fits(self, value: object) -> bool:
        return any(type(value) is type(choice) for choice in self.choices)

    def examples(self, key: str) -> tuple[Any, ...]:  # noqa: ARG002
        return self.choices

    def schema(self, table: TableSchema, *, whole: bool) -> Node:  # noqa: ARG002
        return {"enum": list(self.choices)}


class _Compound(Type):
    """A type that is made of others."""

    @property
    def members(self) -> tuple[Type, ...]:
        raise NotImplementedError

    @property
    def choices(self) -> tuple[Any, ...]:
        return tuple(choice for member in self.members for choice in member.choices)

    @property
    def classes(self) -> tuple[type, ...]:
        return tuple(cls for member in self.members for cls in member.classes)


@attrs.frozen
class ListOf(_Compound):
    """A list whose entries all have one type.

    :param cls: what it becomes, `list` or `tuple`.
    """

    item: Type
    cls: type = list

    @property
    def members(self) -> tuple[Type, ...]:
        return (self.item,)

    @property
    def name(self) -> str:
        return "a list" if self.item == Anything() else f"a list: {self.item.name}"

    def fits(self, value: object) -> bool:
        return isinstance(value, list)

    def examples(self, key: str) -> tuple[Any, ...]:
        return ([], [self.item.examples(key)[0]])

    def schema(self, table: TableSchema, *, whole: bool) -> Node:  # noqa: ARG002
        return {"type": "array", "items": self.item.schema(table, whole=True)}


@attrs.frozen
class Row(_Compound):
    """A list of fixed length in which each entry has its own type: `tuple[int, str]`."""

    members: tuple[Type, ...]

    @property
    def name(self) -> str:
        return f"a list: {self.members[0].name}"

    def fits(self, value: object) -> bool:
        return isinstance(value, list)

    def examples(self, key: str) -> tuple[Any, ...]:
        return ([member.examples(key)[0] for member in self.members],)

    def schema(self, table: TableSchema, *, whole: bool) -> Node:  # noqa: ARG002
        items = [member.schema(table, whole=True) for member in self.members]
        return {"type": "array", "items": items, "minItems": len(items), "maxItems": len(items)}


@attrs.frozen
class TableOf(_Compound):
    """A table with any keys, whose values all have one type."""

    name = "a table"
    item: Type

    @property
    def members(self) -> tuple[Type, ...]:
        return (self.item,)

    def fits(self, value: object) -> bool:
        return isinstance(value, dict)

    def examples(self, key: str) -> tuple[Any, ...]:  # noqa: ARG002
        return ({},)

    def schema(self, table: TableSchema, *, whole: bool) -> Node:
        return {"type": "object", "additionalProperties": self.item.schema(table, whole=whole)}


@attrs.frozen
class Settings(Type):
    """A table with the keys of a settings class."""

    name = "a table"
    table: type

    @property
    def classes(self) -> tuple[type, ...]:
        return (self.table,)

    def fits(self, value: object) -> bool:
        return isinstance(value, dict)

    def schema(self, table: TableSchema, *, whole: bool) -> Node:
        return table(self.table, whole)


@attrs.frozen
class OneOf(_Compound):
    """A value of any of several types."""

    members: tuple[Type, ...]

    @property
    def name(self) -> str:
        return " or ".join(member.name for member in self.members)

    @property
    def table(self) -> type | None:
        return next((member.table for member in self.members if member.table), None)

    @property
    def flag_values(self) -> tuple[str, ...]:
        return tuple(value for member in self.members for value in member.flag_values)

    def fits(self, value: object) -> bool:
        return any(member.fits(value) for member in self.members)

    def schema(self, table: TableSchema, *, whole: bool) -> Node:
        return {"anyOf": [member.schema(table, whole=whole) for member in self.members]}


@attrs.frozen
class ComponentOf(Type):
    """A table whose `use` key chooses a component, a list of such tables, or such tables by name.

    :param kind: of the component.
    :param default: component of a table that is left out; empty for no component, None if it is required.
    :param many: `list` or `dict` if there may be several components.
    :param one: a list of one component is written as a table.
    """

    kind: str
    default: str | None
    many: type | None
    one: bool = False

    @property
    def name(self) -> str:
        return f"a table: {article(self.kind)}"

    def fits(self, value: object) -> bool:
        return isinstance(value, dict) or (isinstance(value, list) and self.many is list)


@attrs.frozen
class Inexpressible(Type):
    """A type that no TOML value has."""

    annotation: Any

    @property
    def name(self) -> str:
        return getattr(self.annotation, "__name__", str(self.annotation))

    def fits(self, value: object) -> bool:  # noqa: ARG002 - nothing fits
        return False

    def schema(self, table: TableSchema, *, whole: bool) -> Node:  # noqa: ARG002
        return {"not": {}}


def type_of(annotation: Any) -> Type:  # noqa: PLR0911 - one return a type
    """Return the type that an annotation names. `None` in a union means that the key may be left out."""
    origin, inner = get_origin(annotation) or annotation, get_args(annotation)
    if origin in _SCALARS:
        return Scalar(origin)
    if origin is Path:
        return FilePath()
    if origin in (Any, object):
        return Anything()
    if origin is Literal:
        return Choice(inner)
    if origin in (Union, types.UnionType):
        members = tuple(type_of(member) for member in inner if member is not type(None))
        return members[0] if len(members) == 1 else OneOf(members)
    if origin is tuple and inner and inner[-1] is not ...:
        return Row(tuple(map(type_of, inner)))
    if origin in (list, tuple, Sequence):
        return ListOf(type_of(inner[0]) if inner else Anything(), tuple if origin is tuple else list)
    if origin in (dict, Mapping):
        return TableOf(type_of(inner[1]) if inner else Anything())
    return Settings(annotation) if attrs.has(annotation) else Inexpressible(annotation)
