"""The built-in dataset `folder`: sound files and metadata.csv."""

from __future__ import annotations

import csv
import warnings
from typing import TYPE_CHECKING

from steermoe_core.config.naming import some
from steermoe_core.data.sources.rows import (
    TEXTS,
    Columns,
    Row,
    column,
    examples,
    no_such_part,
    take_parts,
    takes,
)
from steermoe_core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from steermoe_core.data.config import FolderConfig
    from steermoe_core.data.example import Example

TABLE = "metadata.csv"
#: Sub-folders that are parts of a dataset.
PARTS = ("train", "dev", "test")
#: Suffixes by which audio files that no table lists are found.
SUFFIXES = frozenset(
    {".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".aif", ".m4a", ".mp4", ".webm", ".mka", ".g722"}
)


def read_folder(config: FolderConfig) -> list[Example]:
    """Read an audiofolder: sound files and metadata.csv, in the table's order.

    A clip that is missing or unreadable has nan seconds: `data.usable` counts it. A warning lists sound files
    without a row.

    :raises DataError: the folder, a table, a column or the chosen part is missing, a row is malformed, or
        nothing is left.
    """
    if not config.path.is_dir():
        msg = f"{config.path}: there is no such folder"
        raise DataError(msg)
    rows = _read(config.path, config) if (config.path / TABLE).is_file() else _divided(config)
    return take_parts(examples(rows, config), config, config.split)


def _divided(config: FolderConfig) -> list[Row]:
    """Read a folder whose sub-folders are its parts."""
    present = [part for part in PARTS if (config.path / part).is_dir()]
    if not present:
        columns = f"{config.file_column} and {config.text_column or TEXTS[0]}"
        msg = f"{config.path}: no {TABLE}; write one with columns {columns}"
        raise DataError(msg)
    if config.parts:
        msg = f"{config.path}: its sub-folders {', '.join(present)} divide it already; leave out `parts`"
        raise DataError(msg)
    parts = [part for part in present if takes(config.split, part)]
    if not parts:
        raise no_such_part(config, config.split, present)
    return [row for part in parts for row in _read(config.path / part, config, part)]


def _read(place: Path, config: FolderConfig, part: str | None = None) -> list[Row]:
    """Return the rows of one table."""
    table = place / TABLE
    if not table.is_file():
        msg = f"{place}: there is no {TABLE}"
        raise DataError(msg)
    lines = list(_lines(table))
    present = list(lines[0][1])
    file = column(config.file_column, (), present, str(table))
    columns = Columns.of(config, present, str(table))
    names = [_name(f"{table}:{line}", values, file) for line, values in lines]
    _warn_unnamed(place, names)
    return [
        Row(
            place=f"{table}:{line}",
            values=values,
            columns=columns,
            audio=place / name,
            name=name if part is None else f"{part}/{name}",
            part=part,
        )
        for name, (line, values) in zip(names, lines, strict=True)
    ]


def _lines(table: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the line number and the fields of each row; at least one row, all as long as the header."""
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            for row in reader:
                if None in row or None in row.values():  # the reader's marks of extra and missing fields
                    where = f"{table}:{reader.line_num}"
                    msg = f"{where}: not as many fields as the header; quote texts with commas"
                    raise DataError(msg)
                yield reader.line_num, row
            if reader.line_num <= 1:
                msg = f"{table}: the table has no rows"
                raise DataError(msg)
    except (UnicodeDecodeError, csv.Error) as error:
        msg = f"{table}: cannot be read as a table in UTF-8 ({error})"
        raise DataError(msg) from None


def _name(where: str, values: dict[str, str], file: str) -> str:
    name = values[file].strip()
    if not name:
        msg = f"{where}: the row names no file in column {file!r}"
        raise DataError(msg)
    return name


def _warn_unnamed(place: Path, listed: Iterable[str]) -> None:
    known = {(place / name).resolve() for name in listed}
    files = (path for path in sorted(place.rglob("*")) if path.suffix.lower() in SUFFIXES)
    if unnamed := [str(path.relative_to(place)) for path in files if path.resolve() not in known]:
        message = (
            f"{place}: {len(unnamed)} sound files without a row in {TABLE} are not used: {some(unnamed)}"
        )
        warnings.warn(message, stacklevel=2)
