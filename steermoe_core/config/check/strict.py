"""Values that become what their types name, without coercion: anything else is a fault.

`"false"` is not `false`, 3.7 is not a whole number, and 5 is not text. The only conversion is that of a whole
number to a float. `inf` and `nan` are refused. All faults of a value are collected, each with its key path.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from steermoe_core.config.check.faults import Fault, InvalidError
from steermoe_core.config.naming import described, shown, table_name
from steermoe_core.config.types import Choice, FilePath, Inexpressible, ListOf, OneOf, Row, Scalar, TableOf
from steermoe_core.suggest import closest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from steermoe_core.config.text.locate import KeyPath, Toml
    from steermoe_core.config.text.source import Part
    from steermoe_core.config.types import Type

T = TypeVar("T")


class Strict:
    """Turns plain values, lists and tables into what a type names.

    :param folder: returns the folder at which a relative path at a key path starts.
    :param whole: what messages call all settings together.
    """

    def __init__(self, folder: Callable[[KeyPath], Path], whole: str = "the file") -> None:
        self.folder = folder
        self.whole = whole
        self._path: list[str | int] = []

    def structure(self, value: object, wanted: Type) -> Any:  # noqa: PLR0911 - one return a type
        """Return a value as its type.

        :raises InvalidError: with every fault in it.
        """
        match wanted:
            case Scalar():
                return self._scalar(value, wanted)
            case FilePath():
                if not isinstance(value, str):
                    raise self.fault("E101", f"{self.key()} must be a path as text, is {described(value)}")
                return self.located(value)
            case Choice():
                return self._choice(value, wanted)
            case ListOf():
                values = self._list(value)
                return wanted.cls(self._entries(values, [wanted.item] * len(values)))
            case Row():
                return self._row(self._list(value), wanted)
            case TableOf():
                return self.every(self.table(value).items(), lambda item: self.structure(item, wanted.item))
            case OneOf():
                return self._union(value, wanted)
            case Inexpressible():
                message = f"{self.key()} has a type that an experiment file cannot express: {wanted.name}"
                raise self.fault("E204", message)
        return self._anything(value)

    def key(self) -> str:
        """Return the name of the current key, for messages."""
        names = [self.whole, *(part for part in self._path if isinstance(part, str))]
        last = self._path[-1] if self._path else ""
        return f"entry {last + 1} of {names[-1]}" if isinstance(last, int) else names[-1]

    def path(self) -> KeyPath:
        """Return the current key path."""
        return tuple(self._path)

    def fault(
        self, code: str, message: str, part: Part = "value", hint: str = "", **more: Any
    ) -> InvalidError:
        """Return the error for the current value."""
        return InvalidError([Fault(code, message, self.path(), part, hint, **more)])

    @contextmanager
    def at(self, *keys: str | int) -> Iterator[None]:
        """Enter a key of the current table."""
        self._path += keys
        try:
            yield
        finally:
            del self._path[len(self._path) - len(keys) :]

    def each(
        self, items: Iterable[tuple[Any, T]], read: Callable[[T], Any]
    ) -> tuple[dict[Any, Any], list[Fault]]:
        """Read the items at some keys; return those without faults, and the faults of the others."""
        done, faults = {}, []
        for key, item in items:
            try:
                with self.at(key):
                    done[key] = read(item)
            except InvalidError as error:
                faults += error.faults
        return done, faults

    def every(self, items: Iterable[tuple[Any, T]], read: Callable[[T], Any]) -> dict[Any, Any]:
        """Read the items at some keys.

        :raises InvalidError: with the faults of all of them.
        """
        done, faults = self.each(items, read)
        if faults:
            raise InvalidError(faults)
        return done

    def table(self, value: object, hint: str = "") -> Toml:
        """Return a value that must be a table."""
        if not isinstance(value, dict):
            hint = f"write {table_name(self.path())}" if isinstance(value, list) and self._path else hint
            raise self.fault("E101", f"{self.key()} must be a table, is {described(value)}", hint=hint)
        return value

    def located(self, path: str) -> Path:
        """Return a path, starting at the folder of the file or flag that sets it."""
        if "\0" in path:
            raise self.fault("E301", f"{self.key()} contains a NUL character, which a path cannot", "text")
        try:
            return self.folder(self.path()) / Path(path).expanduser()
        except RuntimeError:
            message = f"{self.key()} starts at the home folder of an unknown user: {shown(path)}"
            raise self.fault("E301", message, "text") from None

    def _scalar(self, value: object, wanted: Scalar) -> Any:
        if wanted.cls is float and type(value) is int and float(value) == value:
            return float(value)
        if type(value) is wanted.cls:
            return self._finite(value)
        quotes = wanted.cls is str and isinstance(value, (int, float))
        hint = f'text needs quotes: "{value}"' if quotes else ""
        raise self.fault("E101", f"{self.key()} must be {wanted.name}, is {described(value)}", hint=hint)

    def _finite(self, value: object) -> object:
        if isinstance(value, float) and not math.isfinite(value):
            raise self.fault("E301", f"{self.key()} must be a finite number, is {shown(value)}")
        return value

    def _anything(self, value: object) -> Any:
        """Return a value of any type; numbers in it have to be finite."""
        if not isinstance(value, (list, dict)):
            return self._finite(value)
        items = enumerate(value) if isinstance(value, list) else value.items()
        done = self.every(items, self._anything)
        return list(done.values()) if isinstance(value, list) else done

    def _choice(self, value: object, wanted: Choice) -> Any:
        if any(type(value) is type(choice) and value == choice for choice in wanted.choices):
            return value
        near = closest(str(value), map(str, wanted.choices))
        by_text = {str(choice): choice for choice in wanted.choices}
        hint = f"did you mean {shown(by_text[near])}?" if near else ""
        raise self.fault(
            "E104", f"{self.key()} must be one of {wanted.name}, is {shown(value)}", "text", hint
        )

    def _list(self, value: object) -> list[Any]:
        if not isinstance(value, list):
            hint = "write a list, even for one entry: [ ]" if isinstance(value, (str, int, float)) else ""
            raise self.fault("E101", f"{self.key()} must be a list, is {described(value)}", hint=hint)
        return value

    def _row(self, values: list[Any], wanted: Row) -> tuple[Any, ...]:
        if len(wanted.members) != len(values):
            message = f"{self.key()} must have {len(wanted.members)} entries, has {len(values)}"
            raise self.fault("E101", message)
        return tuple(self._entries(values, wanted.members))

    def _entries(self, values: Iterable[Any], wanted: Iterable[Type]) -> Iterable[Any]:
        pairs = enumerate(zip(values, wanted, strict=True))
        return self.every(pairs, lambda pair: self.structure(*pair)).values()

    def _union(self, value: object, wanted: OneOf) -> Any:
        """Structure as the type that the value is meant for: by its outer form, then by the fewest faults."""
        fitting = [member for member in wanted.members if member.fits(value)]
        failures = []
        for member in fitting:
            try:
                return self.structure(value, member)
            except InvalidError as error:
                failures.append(error)
        if failures:
            raise min(failures, key=lambda failure: len(failure.faults))
        raise self.fault("E101", f"{self.key()} must be {wanted.name}, is {described(value)}")
