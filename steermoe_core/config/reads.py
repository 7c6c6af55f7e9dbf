"""Which keys of an experiment its run reads: settings that note who asks for them.

A read is an attribute that code asks for by name. What walks over all keys of a table alike (to write it out,
to compare it, to copy it) reads none of them.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from steermoe_core.component import Selection, Trained
from steermoe_core.config.fields import FOR_PEOPLE, fields_of, plain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from steermoe_core.config.locate import KeyPath

T = TypeVar("T")

#: Modules that walk over settings whose names they do not know.
_WALKERS = ("steermoe_core.config.", "steermoe_core.run.parts")
#: Functions that look at a part's settings beside the part itself: where it comes from, whether they fit.
_BOOKKEEPING = {"__attrs_post_init__", "located", "_card"}


class Reads:
    """Notes the keys that were read.

    :ivar names: dotted names of the keys, tables among them.
    """

    def __init__(self) -> None:
        self.names: set[str] = set()

    def watched(self, settings: T, path: KeyPath = ()) -> T:
        """Return equal settings, of subclasses of their classes, that note here what is read of them."""
        found: Any = self._watched(settings, path)
        return found  # type: ignore[no-any-return]

    def _watched(self, value: Any, path: KeyPath) -> Any:
        if isinstance(value, Selection):
            trained = isinstance(value.config, Trained)
            return value if trained else attrs.evolve(value, config=self._watched(value.config, path))
        if attrs.has(type(value)):
            given = {
                key: self._watched(getattr(value, field.attribute.name), (*path, key))
                for key, field in fields_of(type(value)).items()
            }
            return self._noting(type(value), path)(**given)
        if isinstance(value, dict):
            return {key: self._watched(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self._watched(item, (*path, number)) for number, item in enumerate(value)]
        return value

    def _noting(self, cls: type, path: KeyPath) -> type:
        names = {field.attribute.name: dotted((*path, key)) for key, field in fields_of(cls).items()}

        def read(settings: object, name: str) -> Any:
            if name in names and _is_read(sys._getframe(1)):  # noqa: SLF001 - there is no other way to ask
                self.names.add(names[name])
            return object.__getattribute__(settings, name)

        body = {
            "__slots__": (),
            "__module__": cls.__module__,
            "__qualname__": cls.__qualname__,
            "__getattribute__": read,
            # Another process gets them as they were: nobody would hear what it reads.
            "__reduce_ex__": lambda settings, _: (partial(cls, **_values(settings)), ()),
        }
        return type(cls.__name__, (cls,), body)


def keys(settings: Any, path: KeyPath = (), defaults: Any = None) -> Iterator[tuple[str, Any, bool]]:
    """Yield the dotted name of every key that has a value, the value, and whether it is not the default.

    Keys that are kept for people are left out.

    :param defaults: what the table is where it is left out, if it can be.
    """
    for key, field in fields_of(type(settings)).items():
        value = getattr(settings, field.attribute.name)
        default = field.default() if defaults is None else getattr(defaults, field.attribute.name)
        if value is not None and not field.attribute.metadata.get(FOR_PEOPLE):
            yield from _keys(value, (*path, key), default)


def _keys(value: Any, path: KeyPath, default: Any) -> Iterator[tuple[str, Any, bool]]:
    if isinstance(value, Selection):
        if not isinstance(value.config, Trained):
            yield from keys(value.config, path)
        elif value.kind == "adapter":  # the projector that comes along has no key
            yield dotted(path), value.config.source, True
    elif attrs.has(type(value)):
        yield from keys(value, path, default if isinstance(default, type(value)) else None)
    elif isinstance(value, dict) and any(attrs.has(type(item)) for item in value.values()):
        for key, item in value.items():
            yield from _keys(item, (*path, key), None)
    elif isinstance(value, list) and any(attrs.has(type(item)) for item in value):
        for number, item in enumerate(value):
            yield from _keys(item, (*path, number), None)
    else:
        yield dotted(path), plain(value), value != default


def dotted(path: KeyPath) -> str:
    """Return a key path as one name: ``data.train.0.path``."""
    return ".".join(map(str, path))


def _values(settings: Any) -> dict[str, Any]:
    return {key: getattr(settings, f.attribute.name) for key, f in fields_of(type(settings)).items()}


def _is_read(frame: FrameType | None) -> bool:
    """Tell whether an attribute is asked for by name, or taken along with all others."""
    while frame is not None and frame.f_globals.get("__name__", "").startswith("attr."):
        if frame.f_code.co_name == "evolve":
            return False
        frame = frame.f_back  # a table as a whole, by `attrs.asdict`: who asked for that?
    if frame is None or frame.f_code.co_filename.startswith("<attrs generated"):
        return False
    walks = frame.f_globals.get("__name__", "").startswith(_WALKERS)
    return not walks and frame.f_code.co_name not in _BOOKKEEPING
