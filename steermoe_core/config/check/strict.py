"""cattrs without coercion: a value has the type that the settings class names, or it is a fault.

Left to itself cattrs turns ``"false"`` into True, 3.7 into 3 and 5 into ``"5"``. Here every hook compares
types first; only a whole number where a float is wanted is accepted. `inf` and `nan` are no settings. All
faults of a value are gathered, each with the path of its key.
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

from steermoe_core.config.check.faults import Fault, InvalidError
from steermoe_core.config.fields import type_name
from steermoe_core.config.naming import described, listed, shown, table_name
from steermoe_core.suggest import closest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from steermoe_core.config.text.locate import KeyPath
    from steermoe_core.config.text.source import Part

_SCALARS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


class Strict:
    """Turns plain values, lists and tables into what an annotation names.

    :param folder: gives the folder that a relative path at a key path starts from.
    """

    def __init__(self, folder: Callable[[KeyPath], Path]) -> None:
        self.folder = folder
        self._path: list[str | int] = []
        self._converter = cattrs.Converter(detailed_validation=False)
        self._converter.register_structure_hook(Path, self._file_path)
        for cls in _SCALARS:
            self._converter.register_structure_hook(cls, self._scalar)
        for matches, hook in self.hooks():
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
        names = ["the file", *(part for part in self._path if isinstance(part, str))]
        last = self._path[-1] if self._path else ""
        return f"entry {last + 1} of {names[-1]}" if isinstance(last, int) else names[-1]

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
            hint = f"write {table_name(self.path())}" if isinstance(value, list) and self._path else hint
            raise self.fault("E101", f"{self.key()} must be a table, is {described(value)}", hint=hint)
        return value

    def hooks(self) -> list[tuple[Callable[[Any], bool], Callable[[Any, Any], Any]]]:
        """Return which function structures which types; the last that matches counts."""
        return [
            (lambda kind: kind is Any or kind is object, self._anything),
            (lambda kind: get_origin(kind) is Literal, self._choice),
            (lambda kind: get_origin(kind) in (list, Sequence) or kind is list, self._list),
            (lambda kind: get_origin(kind) is tuple, self._tuple),
            (lambda kind: get_origin(kind) in (dict, Mapping) or kind is dict, self._mapping),
            (lambda kind: get_origin(kind) in (Union, types.UnionType), self._union),
        ]

    def _scalar(self, value: object, kind: type) -> Any:
        if kind is float and type(value) is int and float(value) == value:
            return float(value)
        if type(value) is kind:
            return self._finite(value)
        hint = f'text needs quotes: "{value}"' if kind is str and isinstance(value, (int, float)) else ""
        raise self.fault("E101", f"{self.key()} must be {_SCALARS[kind]}, is {described(value)}", hint=hint)

    def _finite(self, value: Any) -> Any:
        if isinstance(value, float) and not math.isfinite(value):
            raise self.fault("E301", f"{self.key()} must be a finite number, is {shown(value)}")
        return value

    def _anything(self, value: object, _: object) -> Any:
        """Return a value of any type; numbers in it are finite all the same."""
        if isinstance(value, list):
            return self._list(value, list)
        return self._mapping(value, dict) if isinstance(value, dict) else self._finite(value)

    def _file_path(self, value: object, _: object) -> Path:
        if not isinstance(value, str):
            raise self.fault("E101", f"{self.key()} must be a path as text, is {described(value)}")
        return self.located(value)

    def located(self, path: str) -> Path:
        """Return a path as it is written, starting at the folder of who wrote it."""
        if "\0" in path:
            raise self.fault("E301", f"{self.key()} has a NUL character, which no path has", "text")
        try:
            return self.folder(self.path()) / Path(path).expanduser()
        except RuntimeError:
            message = f"{self.key()} starts at the home folder of a user who does not exist: {shown(path)}"
            raise self.fault("E301", message, "text") from None

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
