"""Files and flags merged: `extends`, then the file, then `--set`; `unset` drops what came before.

Tables merge key by key; every other value, lists included, replaces the inherited one. A table whose
`use` names another component than the inherited table inherits nothing, because the old keys were settings
of the other component.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steermoe_core.config.experiment import Experiment
from steermoe_core.config.fields import fields_of, tables
from steermoe_core.config.naming import described, table_name
from steermoe_core.config.text.source import Excerpt
from steermoe_core.config.text.syntax import read, reason, shown_path
from steermoe_core.config.text.unset import UNSET, drop_listed
from steermoe_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from steermoe_core.config.text.locate import KeyPath, Toml
    from steermoe_core.config.text.problems import Problem
    from steermoe_core.config.text.source import Source

EXTENDS = "extends"


class Layers:
    """The merged tables, and the source of each value.

    :param top: the experiment file itself; errors about the whole point at it.
    :ivar problems: what is wrong with single files, even if other files override it.
    """

    def __init__(self, top: Source) -> None:
        self.top = top
        self.table: Toml = {}
        self.problems: list[Problem] = []
        self._written: dict[KeyPath, Source] = {}
        self._order: dict[Source, int] = {}

    def copy(self) -> Layers:
        """Return a copy, to merge other values into it."""
        other = Layers(self.top)
        other.table, other._written = copy.deepcopy(self.table), dict(self._written)
        other._order = dict(self._order)
        return other

    def lay(self, table: Toml, source: Source) -> None:
        """Merge the tables of a source into the layers."""
        self._order.setdefault(source, len(self._order))
        self._merge(self.table, table, (), source)

    def put(self, path: KeyPath, value: Any, source: Source) -> None:
        """Set one value; a list on its path is indexed, or created."""
        depth = max((i for i, part in enumerate(path, start=1) if isinstance(part, int)), default=0)
        for part in reversed(path[depth:]):
            value = {part: value}
        if not depth:
            self.lay(value, source)
        elif self.raw_path(path[: depth - 1]) is None:
            self.put(path[: depth - 1], [value], source)
        else:
            self._order.setdefault(source, len(self._order))
            self._lay_value(self.at(path[: depth - 1]), path[depth - 1], value, path[:depth], source)

    def drop(self, path: KeyPath) -> None:
        """Remove a key or table."""
        *above, key = path
        del self.at(tuple(above))[key]
        self._disown(path)

    @property
    def sources(self) -> set[Source]:
        """The files and flags that set at least one of the values; tables are none."""
        return {source for path, source in self._written.items() if not isinstance(self.at(path), dict)}

    def at(self, path: KeyPath) -> Any:
        """Return the raw value at a path."""
        value: Any = self.table
        for part in path:
            value = value[part]
        return value

    def written(self, path: KeyPath) -> tuple[Source, KeyPath]:
        """Return the source of a value, and the longest part of its path that a source sets."""
        while path and path not in self._written:
            path = path[:-1]
        return self._written.get(path, self.top), path

    def below(self, path: KeyPath, table: str) -> bool:
        """Return whether a value was written below the choice of a component: in a file that is extended.

        :param table: whose key `use` chooses the component; the file itself chooses the default.
        """
        raw = self.raw_path((table, "use")) or self.raw_path((table,))
        chooser = self.written(raw)[0] if raw else self.top
        return self._order.get(self.written(path)[0], 0) < self._order.get(chooser, 0)

    def raw_path(self, path: KeyPath) -> KeyPath | None:
        """Return the path of a resolved value in the files; None for a default.

        One table in place of a list counts as a list of one.
        """
        value: Any = self.table
        raw: KeyPath = ()
        for part in path:
            if part == 0 and isinstance(part, int) and isinstance(value, dict):
                continue
            found = part < len(value) if isinstance(part, int) else isinstance(value, dict) and part in value
            if not found:
                return None
            value, raw = value[part], (*raw, part)
        return raw

    def _merge(self, into: Toml, table: Toml, path: KeyPath, source: Source) -> None:
        for key, value in table.items():
            self._lay_value(into, key, value, (*path, key), source)

    def _lay_value(self, holder: Any, key: str | int, value: object, here: KeyPath, source: Source) -> None:
        if isinstance(holder, list) and key == len(holder):
            holder.append(None)
        inherited = holder.get(key) if isinstance(holder, dict) else holder[key]
        if isinstance(value, dict) and isinstance(inherited, dict) and not _other(inherited, value):
            if not isinstance(source, Excerpt):
                self._written[here] = source
            self._merge(inherited, value, here, source)
        else:
            holder[key] = copy.deepcopy(value)
            self._own(here, value, source)

    def _own(self, path: KeyPath, value: object, source: Source) -> None:
        """Record the source of a value and of everything in it."""
        self._disown(path)
        self._mark(path, value, source)

    def _disown(self, path: KeyPath) -> None:
        for old in [old for old in self._written if old[: len(path)] == path]:
            del self._written[old]

    def _mark(self, path: KeyPath, value: object, source: Source) -> None:
        self._written[path] = source
        if isinstance(value, (dict, list)):
            for key, item in value.items() if isinstance(value, dict) else enumerate(value):
                self._mark((*path, key), item, source)


def _other(inherited: Toml, table: Toml) -> bool:
    """Return whether two tables choose different components."""
    return "use" in inherited and "use" in table and inherited["use"] != table["use"]


def open_layers(path: Path) -> Layers:
    """Read a file with everything that it extends.

    :raises ConfigError: for a file that cannot be read, and for a cycle of files.
    """
    chain = _chain(path)
    layers = Layers(chain[0][0])
    for source, table in reversed(chain):
        layers.problems += _lists_for_tables(source, table)
        if UNSET in table:
            layers.problems += drop_listed(layers, table[UNSET], source, inherits=EXTENDS in table)
        layers.lay({key: value for key, value in table.items() if key not in (EXTENDS, UNSET)}, source)
    return layers


def _lists_for_tables(source: Source, table: Toml) -> Iterator[Problem]:
    """Yield the lists in place of tables, such as `[[train]]`; a table of another file would hide them."""
    for path, cls in tables(Experiment).items():
        holder: Any = table
        for part in path:
            holder = holder.get(part) if isinstance(holder, dict) else None
        for key, field in fields_of(cls).items():
            is_list = isinstance(holder, dict) and isinstance(holder.get(key), list)
            if is_list and field.type.fits({}) and not field.type.fits([]):
                where = (*path, key)
                message, hint = f"{key} must be a table, is a list", f"write {table_name(where)}"
                yield source.problem("E101", message, where, hint=hint)


def _chain(path: Path) -> list[tuple[Source, Toml]]:
    """Return the file, then the file that it extends, and so on."""
    source, table = read(path)
    chain, opened = [(source, table)], [path.resolve()]
    while EXTENDS in table:
        path = _extended(source, table[EXTENDS], opened)
        opened.append(path.resolve())
        source, table = read(path)
        chain.append((source, table))
    return chain


def _extended(source: Source, name: object, opened: list[Path]) -> Path:
    if not isinstance(name, str):
        message = f"extends must be text, is {described(name)}"
        raise ConfigError([source.problem("E101", message, (EXTENDS,))])
    if why := _unreadable(source.folder, name):
        message = f"cannot read the extended file {shown_path(source.folder / name)}: {why}"
        hint = "the path is relative to the file with `extends`" if not Path(name).is_absolute() else ""
        raise ConfigError([source.problem("E004", message, (EXTENDS,), "text", hint=hint)])
    path = source.folder / Path(name).expanduser()
    if path.resolve() in opened:
        raise ConfigError([_cycle(source, [*opened, path.resolve()])])
    return path


def _unreadable(folder: Path, name: str) -> str:
    """Return why an extended file cannot be read; empty if it can."""
    if "\0" in name:
        return "a path cannot contain a NUL character"
    try:
        path = folder / Path(name).expanduser()
    except RuntimeError:
        return "there is no such user"
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            return "it is a device or a pipe, not a file"
        path.open("rb").close()
    except OSError as error:
        return reason(error)
    return ""


def _cycle(source: Source, opened: list[Path]) -> Problem:
    names = [shown_path(path) for path in opened[opened.index(opened[-1]) :]]
    message = f"extends forms a cycle: {' → '.join(names)}"
    return source.problem("E005", message, (EXTENDS,), "text")
