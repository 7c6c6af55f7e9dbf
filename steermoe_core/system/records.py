"""JSON files as records: an attrs class declares what a file holds, and is its only reader and writer.

The content of a file is checked against the class: a key without a default has to be there, every value has
the declared type, nothing is converted. Keys that the class does not know are ignored, so that a file with
more in it can still be read; a field made by `rest` collects them.

A record with a method `to_json` is written as what that returns: a dict whose values may be records again.
"""

from __future__ import annotations

import json
from functools import cache
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, Union, get_args, get_origin, get_type_hints

import attrs
from cattrs import Converter

from steermoe_core.errors import RunFolderError, SteermoeError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typing_extensions import Self

    Hook = Callable[[Any, Any], Any]

#: A JSON object.
Json = dict[str, Any]

T = TypeVar("T")
_NAMES = {
    str: "a text", int: "a whole number", float: "a number", bool: "true or false", dict: "a table",
    list: "a list", NoneType: "null",
}  # fmt: skip
_REST = "rest"
_EMPTY: tuple[Any, ...] = (None, [], {})
_UNIONS: tuple[Any, ...] = (Union, UnionType)


class Record:
    """Base class of what one JSON file holds.

    :cvar FORMAT: the version of the schema, written as the key ``format``; a file without one has format 1.
    :cvar ERROR: what a damaged or missing file raises.
    :cvar REMEDY: what to do about a damaged file; ``{path}`` is the file and ``{folder}`` its folder.
    :cvar MISSING: what to do about a missing file; empty: the same.
    """

    __slots__ = ()
    FORMAT: ClassVar[int] = 1
    ERROR: ClassVar[type[SteermoeError]] = RunFolderError
    REMEDY: ClassVar[str] = "restore it, or move it away"
    MISSING: ClassVar[str] = ""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the content of a file.

        :raises SteermoeError: of the class `ERROR`: the file is missing, damaged or of a newer format.
        """
        found = cls.find(path)
        if found is None:
            remedy = cls.MISSING or cls.REMEDY
            msg = f"{path} is missing; {remedy.format(path=path, folder=path.parent)}"
            raise cls.ERROR(msg)
        return found

    @classmethod
    def find(cls, path: Path) -> Self | None:
        """Return the content of a file; None where there is none.

        :raises SteermoeError: of the class `ERROR`: the file is damaged or of a newer format.
        """
        try:
            return parsed(_text(path), cls)
        except FileNotFoundError:
            return None
        except NewerError as error:
            msg = f"{path} {error}"
        except DamagedError as error:
            msg = f"{path} is damaged ({error}); {cls.REMEDY.format(path=path, folder=path.parent)}"
        raise cls.ERROR(msg)

    @classmethod
    def salvage(cls, path: Path) -> Self | None:
        """Return the content of a file that can be lost; None where it is missing or damaged.

        :raises SteermoeError: of the class `ERROR`: the file is of a newer format.
        """
        try:
            return parsed(_text(path), cls)
        except NewerError as error:
            msg = f"{path} {error}"
            raise cls.ERROR(msg) from None
        except (FileNotFoundError, DamagedError):
            return None


class DamagedError(ValueError):
    """A JSON text does not hold what it should; the message does not name the file.

    :param fault: what is wrong, with ``{}`` for the place.
    :param place: keys that lead to the value.
    """

    def __init__(self, fault: str, place: tuple[str, ...] = ()) -> None:
        self.fault = fault
        self.place = place
        super().__init__(fault.format(".".join(place) or "it"))

    def below(self, key: object) -> DamagedError:
        """Return the same fault, seen from one level above."""
        return DamagedError(self.fault, (str(key), *self.place))


class NewerError(DamagedError):
    """A JSON text has a format that a later version wrote."""


def rest() -> Any:
    """Declare the field that holds the keys which the class does not name.

    A class with such a field is open: a plugin may add keys. Its fields that are empty are not written, and a
    key that is there is not null.
    """
    return attrs.field(factory=dict, metadata={_REST: True})


def parsed(text: str, cls: type[T]) -> T:
    """Return a JSON text as an instance of a class.

    :raises DamagedError: it is not JSON, of another shape, or of a newer format.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        msg = "it is not JSON"
        raise DamagedError(msg) from None
    newest = getattr(cls, "FORMAT", 1)
    form = value.get("format", 1) if isinstance(value, dict) else 1
    if isinstance(form, int) and form > newest:
        msg = f"has format {form}, and this steermoe reads {newest}; use the version that wrote it"
        raise NewerError(msg)
    return structured(value, cls)


def structured(value: Any, cls: type[T]) -> T:
    """Return plain values as an instance of a class.

    :raises DamagedError: they are of another shape.
    """
    return _converter().structure(value, cls)


def plain(value: Any) -> Any:
    """Return a record as plain JSON values, its format first."""
    return _converter().unstructure(value)


def _text(path: Path) -> str:
    """Return the text of a file.

    :raises FileNotFoundError: there is none.
    :raises DamagedError: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(path) from error
    except IsADirectoryError:
        msg = "it is a folder"
        raise DamagedError(msg) from None
    except (OSError, UnicodeDecodeError) as error:
        raise DamagedError(getattr(error, "strerror", None) or "it is not UTF-8") from None


@cache
def _converter() -> Converter:
    made = Converter()
    for kind in (str, int, float, bool, NoneType):
        made.register_structure_hook(kind, _scalar)
    made.register_structure_hook_func(lambda kind: get_origin(kind) in _UNIONS, _union)
    made.register_structure_hook_func(lambda kind: _origin(kind) in (list, tuple), _list)
    made.register_structure_hook_func(lambda kind: _origin(kind) is dict, _table)
    made.register_structure_hook_factory(attrs.has, _reader)
    made.register_unstructure_hook_func(attrs.has, _written)
    return made


def _origin(kind: Any) -> Any:
    return get_origin(kind) or kind


def _check(value: Any, kind: type) -> Any:
    """Return a value of a type; a whole number is a number, too."""
    if isinstance(value, (int, float) if kind is float else kind) and (
        kind is bool or not isinstance(value, bool)
    ):
        return value
    raise DamagedError("{} is not " + _NAMES[kind])


def _scalar(value: Any, kind: Any) -> Any:
    return _check(value, NoneType if kind is None else kind)


def _union(value: Any, kind: Any) -> Any:
    """Return a value as the first member that it fits; the fault is that of the first that is not null."""
    members = get_args(kind)
    if value is None and NoneType in members:
        return None
    fault = None
    for member in (one for one in members if one is not NoneType):
        try:
            return _converter().structure(value, member)
        except DamagedError as error:
            fault = fault or error
    assert fault is not None  # noqa: S101 - a union has a member that is not None
    raise fault


def _list(value: Any, kind: Any) -> Any:
    item = (get_args(kind) or (Any,))[0]
    values = [_below(number, one, item) for number, one in enumerate(_check(value, list))]
    return tuple(values) if _origin(kind) is tuple else values


def _table(value: Any, kind: Any) -> Json:
    item = (get_args(kind) or (str, Any))[1]
    return {key: _below(key, one, item) for key, one in _check(value, dict).items()}


def _below(key: object, value: Any, kind: Any) -> Any:
    if kind is Any:
        return value
    try:
        return _converter().structure(value, kind)
    except DamagedError as error:
        raise error.below(key) from None


def _reader(cls: type) -> Hook:
    """Return what structures a table as an attrs class."""
    types = get_type_hints(cls)
    fields = [field for field in attrs.fields(cls) if field.init]
    open_end = next((field.name for field in fields if field.metadata.get(_REST)), None)
    known = {field.name: types[field.name] for field in fields if field.name != open_end}
    if open_end is not None:
        known = {name: _not_null(kind) for name, kind in known.items()}
    required = [one.name for one in fields if one.default is attrs.NOTHING]

    def read(value: Any, _: Any) -> Any:
        table = _check(value, dict)
        for name in required:
            if name not in table:
                msg = "it has no {}"
                raise DamagedError(msg, (name,))
        found = {name: _below(name, table[name], kind) for name, kind in known.items() if name in table}
        if open_end is not None:
            found[open_end] = {key: one for key, one in table.items() if key not in known}
        return cls(**found)

    return read


def _not_null(kind: Any) -> Any:
    members = tuple(member for member in get_args(kind) if member is not NoneType)
    return Union[members] if get_origin(kind) in _UNIONS else kind  # noqa: UP007 - members are values


def _written(record: Any) -> Json:
    if hasattr(record, "to_json"):
        return {key: plain(value) for key, value in record.to_json().items()}
    found: Json = {"format": record.FORMAT} if isinstance(record, Record) else {}
    more: Json | None = None
    for field in attrs.fields(type(record)):
        value = getattr(record, field.name)
        if field.metadata.get(_REST):
            more = value
        elif field.init:
            found[field.name] = plain(value)
    if more is None:
        return found
    return {**{key: value for key, value in found.items() if value not in _EMPTY}, **more}
