"""cattrs without coercion: a value has the type that the settings class names, or it is a fault.

Left to itself cattrs turns ``"false"`` into True, 3.7 into 3 and 5 into ``"5"``. Here every hook compares
types first; only a whole number where a float is wanted is accepted. All faults of a table are gathered,
each with the path of its key.
"""

from __future__ import annotations

import math
import types
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

import attrs
import cattrs

from steermoe_core.config.fields import fields_of, type_name
from steermoe_core.config.limits import broken_limits
from steermoe_core.config.words import described, listed, shown, table_name
from steermoe_core.suggest import closest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from steermoe_core.config.fields import Field
    from steermoe_core.config.locate import KeyPath
    from steermoe_core.config.source import Part

_SCALARS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


@attrs.frozen
class Fault:
    """Something wrong at a key path; the place in a file is found later.

    :param part: what of the key is wrong: its name, its value, or its text.
    """

    code: str
    message: str
    path: KeyPath
    part: Part = "value"
    hint: str = ""
    notes: tuple[str, ...] = ()


class InvalidError(Exception):
    """A value has faults; raised inside this package only.

    :param done: the keys of a settings class that have none.
    """

    def __init__(self, faults: Iterable[Fault], done: Mapping[str, Any] | None = None) -> None:
        self.faults = list(faults)
        self.done = done or {}
        super().__init__(self.faults)


class Strict:
    """Turns plain tables into settings classes.

    :param folder: gives the folder that a relative path at a key path starts from.
    """

    def __init__(self, folder: Callable[[KeyPath], Path]) -> None:
        self._folder = folder
        self._path: list[str | int] = []
        self._converter = cattrs.Converter(detailed_validation=False)
        self._converter.register_structure_hook(Path, self._file_path)
        for cls in _SCALARS:
            self._converter.register_structure_hook(cls, self._scalar)
        for matches, hook in self._hooks():
            self._converter.register_structure_hook_func(matches, hook)

    def structure(self, value: object, kind: Any) -> Any:
        """Return a value as its type.

        :raises InvalidError: with every fault in it.
        """
        try:
            return self._converter.structure(value, kind)
        except cattrs.StructureHandlerNotFoundError:
            message = f"{self.key()} has a type that an experiment file cannot express: {type_name(kind)}"
            raise self.fault("E204", message) from None

    def key(self) -> str:
        """Return the name of the key that is looked at."""
        if not self._path:
            return "the file"
        *_, name = [part for part in self._path if isinstance(part, str)]
        last = self._path[-1]
        return f"entry {last + 1} of {name}" if isinstance(last, int) else name

    def path(self) -> KeyPath:
        """Return the key path that is looked at."""
        return tuple(self._path)

    def fault(
        self, code: str, message: str, part: Part = "value", hint: str = "", **more: Any
    ) -> InvalidError:
        """Return the error for the value that is looked at."""
        return InvalidError([Fault(code, message, self.path(), part, hint, **more)])

    @contextmanager
    def at(self, *keys: str | int) -> Iterator[None]:
        """Look at a key of the present table."""
        self._path += keys
        try:
            yield
        finally:
            del self._path[len(self._path) - len(keys) :]

    def each(self, values: Iterable[tuple[Any, Callable[[], Any]]]) -> tuple[dict[Any, Any], list[Fault]]:
        """Structure the values of some keys; return those that are right, and the faults of the others."""
        done, faults = {}, []
        for key, structure in values:
            try:
                with self.at(key):
                    done[key] = structure()
            except InvalidError as error:
                faults += error.faults
        return done, faults

    def every(self, values: Iterable[tuple[Any, Callable[[], Any]]]) -> dict[Any, Any]:
        """Structure the values of some keys; one fault fails all."""
        done, faults = self.each(values)
        if faults:
            raise InvalidError(faults)
        return done

    def table(self, value: object, hint: str = "") -> dict[str, Any]:
        """Return a value that must be a table."""
        if not isinstance(value, dict):
            raise self.fault("E101", f"{self.key()} must be a table, is {described(value)}", hint=hint)
        return value

    def chosen(self, field: Field, value: object) -> Any:
        """Return the component that a table chooses; a field that chooses needs `Structurer`."""
        raise NotImplementedError

    def unchosen(self, field: Field) -> Any:
        """Return what stands for a component table that is left out."""
        raise NotImplementedError

    def owner(self) -> str:
        """Return the table that is looked at, for messages about its keys."""
        raise NotImplementedError

    def home(self, key: str) -> str | None:
        """Return the name of another table that has a key."""
        raise NotImplementedError

    def _hooks(self) -> list[tuple[Callable[[Any], bool], Callable[[Any, Any], Any]]]:
        return [
            (lambda kind: kind is Any or kind is object, lambda value, _: value),
            (attrs.has, self._settings),
            (lambda kind: get_origin(kind) is Literal, self._choice),
            (lambda kind: get_origin(kind) in (list, Sequence) or kind is list, self._list),
            (lambda kind: get_origin(kind) is tuple, self._tuple),
            (lambda kind: get_origin(kind) in (dict, Mapping) or kind is dict, self._mapping),
            (lambda kind: get_origin(kind) in (Union, types.UnionType), self._union),
        ]

    def _scalar(self, value: object, kind: type) -> Any:
        if kind is float and type(value) in (int, float) and not math.isnan(value):  # type: ignore[arg-type]
            return float(value)  # type: ignore[arg-type]
        if type(value) is kind and kind is not float:
            return value
        hint = f'text needs quotes: "{value}"' if kind is str and isinstance(value, (int, float)) else ""
        raise self.fault("E101", f"{self.key()} must be {_SCALARS[kind]}, is {described(value)}", hint=hint)

    def _file_path(self, value: object, _: object) -> Path:
        if not isinstance(value, str):
            raise self.fault("E101", f"{self.key()} must be a path as text, is {described(value)}")
        return self._folder(self.path()) / Path(value).expanduser()

    def _choice(self, value: object, kind: Any) -> Any:
        choices = get_args(kind)
        if any(type(value) is type(choice) and value == choice for choice in choices):
            return value
        near = closest(str(value), map(str, choices))
        words = {str(choice): choice for choice in choices}
        hint = f"did you mean {shown(words[near])}?" if near else ""
        known = listed(map(shown, choices))
        raise self.fault("E104", f"{self.key()} must be one of {known}, is {shown(value)}", "text", hint)

    def _list(self, value: object, kind: Any) -> list[Any]:
        (item,) = get_args(kind) or (Any,)
        values = self._as_list(value)
        return list(self.every(self._items(values, [item] * len(values))).values())

    def _tuple(self, value: object, kind: Any) -> tuple[Any, ...]:
        values, items = self._as_list(value), get_args(kind)
        if items[-1:] == (...,):
            items = items[:1] * len(values)
        if len(items) != len(values):
            raise self.fault("E101", f"{self.key()} must have {len(items)} entries, has {len(values)}")
        return tuple(self.every(self._items(values, items)).values())

    def _items(self, values: list[Any], kinds: Sequence[Any]) -> Iterator[tuple[int, Callable[[], Any]]]:
        for index, (value, kind) in enumerate(zip(values, kinds, strict=True)):
            yield index, lambda value=value, kind=kind: self.structure(value, kind)  # type: ignore[misc]

    def _as_list(self, value: object) -> list[Any]:
        if not isinstance(value, list):
            hint = "one entry is a list too: put it in [ ]" if isinstance(value, (str, int, float)) else ""
            raise self.fault("E101", f"{self.key()} must be a list, is {described(value)}", hint=hint)
        return value

    def _mapping(self, value: object, kind: Any) -> dict[str, Any]:
        _, item = get_args(kind) or (str, Any)
        table = self.table(value)
        return self.every((key, lambda v=v: self.structure(v, item)) for key, v in table.items())  # type: ignore[misc]

    def _union(self, value: object, kind: Any) -> Any:
        """Structure as the member that the value is meant for: by its shape, then by the fewest faults."""
        members = [member for member in get_args(kind) if member is not type(None)]
        fitting = [member for member in members if _shape(member, value)] or members
        failures = []
        for member in fitting:
            try:
                return self.structure(value, member)
            except InvalidError as error:
                failures.append(error)
        if len(members) == 1 or any(_shape(member, value) for member in members):
            raise min(failures, key=lambda failure: len(failure.faults))
        wanted = " or ".join(type_name(member) for member in members)
        raise self.fault("E101", f"{self.key()} must be {wanted}, is {described(value)}")

    def _settings(self, value: object, cls: type) -> Any:
        """Structure a table as its settings class: unknown, missing, wrong and out-of-limit keys at once."""
        table, fields = self.table(value), fields_of(cls)
        faults = [self._unknown(key, cls) for key in table if key not in fields]
        done, wrong = self.each(self._present(table, fields))
        defaults, more = self.each(self._absent(table, fields))
        faults += wrong + more + [
            Fault(code="E301", message=message, path=(*self.path(), *path), hint=hint)
            for path, message, hint in broken_limits(cls, done)
        ]  # fmt: skip
        if faults:
            raise InvalidError(faults, {**done, **defaults})
        try:
            return cls(**done, **defaults)
        except (TypeError, ValueError) as error:
            raise self.fault("E302", f"{self.owner()}: {error}", "key") from error

    def _present(self, table: dict[str, Any], fields: Mapping[str, Field]) -> Iterator[tuple[str, Any]]:
        for key in fields:
            if key in table:
                yield key, lambda key=key: self._field(fields[key], table[key])

    def _absent(self, table: dict[str, Any], fields: Mapping[str, Field]) -> Iterator[tuple[str, Any]]:
        """Yield the keys that need a default component or are missing; a misspelt key is not missing too."""
        meant = {closest(key, fields) for key in table if key not in fields}
        for key, field in fields.items():
            if key not in table and key not in meant and (field.kind is not None or field.required):
                yield key, lambda field=field: self._missing(field)

    def _field(self, field: Field, value: object) -> Any:
        if field.kind is not None:
            return self.chosen(field, value)
        return self.structure(value, field.type)

    def _missing(self, field: Field) -> Any:
        if field.kind is not None:
            return self.unchosen(field)
        if attrs.has(field.type):
            raise self.fault("E103", f"the table {table_name(self.path())} is missing")
        *above, key = self.path()
        message = f'the key "{key}" is missing in {table_name(tuple(above)) if above else "the file"}'
        raise self.fault("E103", message, "key", f"{key} is {type_name(field.type)}")

    def _unknown(self, key: str, cls: type) -> Fault:
        known = fields_of(cls)
        near, home = closest(key, known), self.home(key)
        hint = f"known keys: {listed(known)}" if known else "it has no keys"
        if near or home:
            hint = f"it is a key of {home}" if home else f'did you mean "{near}"?'
        message = f'unknown key "{key}" in {self.owner()}'
        return Fault("E102", message, (*self.path(), key), "key", hint)


def _shape(member: Any, value: object) -> bool:
    """Return whether a value has the outward form of a type: table, list or scalar of that type."""
    origin = get_origin(member) or member
    if isinstance(value, dict):
        return attrs.has(origin) or origin in (dict, Mapping, Any)
    if isinstance(value, list):
        return origin in (list, tuple, Sequence, Any)
    if origin is Literal:
        return any(type(value) is type(choice) for choice in get_args(member))
    return origin is type(value) or (origin, type(value)) in ((float, int), (Path, str)) or origin is Any
