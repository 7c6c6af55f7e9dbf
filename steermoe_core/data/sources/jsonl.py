"""The built-in dataset `jsonl`: a manifest with a JSON object a line."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING

from steermoe_core.data.audio.stored import Segment
from steermoe_core.data.sources.blocks import rows_in_blocks
from steermoe_core.data.sources.keys import Keys
from steermoe_core.data.sources.rows import Row, examples, indexed
from steermoe_core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from steermoe_core.data.audio.stored import Audio
    from steermoe_core.data.config import JsonlConfig
    from steermoe_core.data.example import Example
    from steermoe_core.system.records import Json


def read_jsonl(config: JsonlConfig) -> Sequence[Example]:
    """Read a manifest, in its order.

    A clip that is missing or unreadable has nan seconds: `data.usable` counts it.

    :raises DataError: the manifest is missing, a line is not a JSON object or lacks a key, or no clip belongs
        to the chosen part.
    """
    return indexed(
        config,
        [config.path],
        lambda: examples(_rows(config), config),
        config.split,
        lambda: rows_in_blocks(config),
    )


def _rows(config: JsonlConfig) -> Callable[[], Iterator[Row]]:
    """Return a function that yields the rows; the keys of all lines are checked here."""
    # A dict keeps the order, and most lines have the same keys.
    keys = dict.fromkeys(tuple(values) for _, values in _lines(config.path))
    present = list(dict.fromkeys(key for line in keys for key in line))
    found = Keys.of(config, present)
    clip = lru_cache(config.path.parent.joinpath)  # many spans are of one file
    return lambda: (_row(config.path, line, values, found, clip) for line, values in _lines(config.path))


def _lines(path: Path) -> Iterator[tuple[int, Json]]:
    """Yield the line number and the object of each line that is not blank; at least one."""
    if not path.is_file():
        msg = f"{path}: there is no such manifest"
        raise DataError(msg)
    number = 0
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, _object(f"{path}:{number}", line)
    except UnicodeDecodeError as error:
        msg = f"{path}: cannot be read as UTF-8 ({error})"
        raise DataError(msg) from None
    if not number:
        msg = f"{path}: the manifest has no lines"
        raise DataError(msg)


def _object(place: str, line: str) -> Json:
    try:
        value = json.loads(line)
    except ValueError as error:
        msg = f"{place}: the line is not JSON ({error})"
        raise DataError(msg) from None
    if not isinstance(value, dict):
        msg = f"{place}: the line must be an object in braces, is {line.strip()[:40]}"
        raise DataError(msg)
    return value


def _row(
    path: Path,
    line: int,
    values: Json,
    keys: Keys,
    clip: Callable[[str], Path],
) -> Row:
    place, name = f"{path}:{line}", values.get(keys.audio)
    if not isinstance(name, str) or not name:
        msg = f"{place}: {keys.audio!r} must name a sound file, is {name!r}"
        raise DataError(msg)
    start = _number(place, values, keys.offset)
    length = _number(place, values, keys.columns.seconds)
    file: Audio = clip(name)
    if start is not None:
        file, name = Segment(clip(name), start, length), f"{name}@{start:g}"
    return Row(place=place, values=values, columns=keys.columns, audio=file, name=name)


def _number(place: str, values: Json, key: str) -> float | None:
    value = values.get(key) if key else None
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0:
        msg = f"{place}: {key!r} must be a number of seconds, is {value!r}"
        raise DataError(msg)
    return float(value)
