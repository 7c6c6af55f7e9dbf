"""Nested tables as flat ones, by key path, and the differences between several."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from steermoe_core.config.text.locate import KeyPath


def flat(value: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    """Yield every plain value of a table with its key path; a list without tables is one value."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from flat(item, (*path, key))
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        for number, item in enumerate(value):
            yield from flat(item, (*path, number))
    else:
        yield path, value


def differing(
    tables: Sequence[Mapping[KeyPath, Any]], apart: Sequence[KeyPath] = ()
) -> dict[KeyPath, list[Any]]:
    """Return the key paths in which flat tables differ, with the value of each table; None if it has none.

    :param apart: paths to ignore.
    """
    paths = dict.fromkeys(path for table in tables for path in table if path not in apart)
    values = {path: [table.get(path) for table in tables] for path in paths}
    return {path: found for path, found in values.items() if found != [found[0]] * len(found)}
