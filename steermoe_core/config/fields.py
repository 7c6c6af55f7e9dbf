"""The keys of a settings class, each with its type, default, limits and documentation."""

from __future__ import annotations

import re
from functools import cache
from inspect import cleandoc
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, get_origin, get_type_hints

import attrs

from steermoe_core.component import Selection, Trained
from steermoe_core.config.limits import limits_of
from steermoe_core.config.types import ComponentOf, Type, type_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from steermoe_core.config.limits import Limit
    from steermoe_core.config.text.locate import KeyPath

_PARAM = re.compile(r"^:param (\w+):\s*(.*?)(?=^:\w|^\s*$|\Z)", re.MULTILINE | re.DOTALL)


@attrs.frozen
class Field:
    """One key of a settings class.

    :param key: as an experiment file writes it.
    :param type: what it may hold.
    :param owner: the settings class.
    :param attribute: the attrs attribute behind it.
    """

    key: str
    type: Type
    owner: Any
    attribute: attrs.Attribute[Any]

    @property
    def required(self) -> bool:
        """Whether an experiment has to set it."""
        return self.attribute.default is attrs.NOTHING

    @property
    def doc(self) -> str:
        """What it means: the text of `:param key:`."""
        return parameters(self.owner).get(self.key, "")

    @property
    def by_group(self) -> bool:
        """Whether its table takes the parameter groups of the chosen components."""
        return bool(self.attribute.metadata.get("by_group"))

    @property
    def limits(self) -> tuple[Limit, ...]:
        """What a value has to satisfy."""
        return tuple(limits_of(self.attribute.validator))

    def default(self) -> Any:
        """Return the value of a key that is left out; None if it depends on the other keys."""
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
    hints, fields = get_type_hints(cls), {}
    for attribute in attrs.fields(cls):
        if attribute.init:
            key, annotation = str(attribute.alias), hints.get(attribute.name, Any)
            fields[key] = Field(key, _type(attribute, annotation), cls, attribute)
    return fields


def _type(attribute: attrs.Attribute[Any], annotation: Any) -> Type:
    kind = attribute.metadata.get("kind")
    if kind is None:
        return type_of(annotation)
    origin = get_origin(annotation)
    many = origin if origin in (list, dict) else None
    return ComponentOf(
        kind, attribute.metadata.get("default"), many, one=attribute.metadata.get("one", False)
    )


@cache
def tables(cls: type, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], type]:
    """Return the settings classes of a tree of tables by their key paths, without those of components."""
    found = {path: cls}
    for key, field in fields_of(cls).items():
        for inner in field.type.classes:
            found |= tables(inner, (*path, key))
    return found


def summary(cls: type) -> str:
    """Return the docstring of a class without its parameters."""
    return cleandoc(cls.__doc__ or "").partition("\n:param ")[0].strip()


@cache
def parameters(cls: type) -> dict[str, str]:
    """Return the text of each `:param key:` of a class and its bases, on one line each."""
    texts: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        for key, text in _PARAM.findall(cleandoc(vars(base).get("__doc__") or "")):
            texts[key] = " ".join(text.split())
    return texts


def plain(value: Any) -> Any:
    """Return settings, or the value of a key, as plain TOML values; keys without a value are left out."""
    if attrs.has(type(value)):
        values = {key: getattr(value, field.attribute.name) for key, field in fields_of(type(value)).items()}
        return {key: plain(item) for key, item in values.items() if item is not None}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value.as_posix() if isinstance(value, PurePath) else value


def written(field: Field, settings: Any) -> Any:
    """Return the value of a key; a list of one component that is written as a table as that component."""
    value = getattr(settings, field.attribute.name)
    one = isinstance(field.type, ComponentOf) and field.type.one and len(value) == 1
    return value[0] if one else value


def selections(value: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Selection]]:
    """Yield every component that settings choose, outer ones first, with the key path of its table.

    A trained adapter is not among them: its components are in the experiment of its own run.

    :param value: settings, or lists and tables of them.
    """
    items: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, Selection):
        if not isinstance(value.config, Trained):
            yield path, value
            yield from selections(value.config, path)
    elif attrs.has(type(value)):
        items = [(key, written(field, value)) for key, field in fields_of(type(value)).items()]
    elif isinstance(value, dict):
        items = value.items()
    elif isinstance(value, (list, tuple)):
        items = enumerate(value)
    for key, item in items:
        yield from selections(item, (*path, key))
