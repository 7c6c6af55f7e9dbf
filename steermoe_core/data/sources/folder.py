"""The built-in dataset `folder`: sound files and metadata.csv."""

from __future__ import annotations

import csv
import os
import warnings
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from steermoe_core.config.naming import some
from steermoe_core.data.sources.rows import (
    TEXTS,
    Columns,
    Row,
    column,
    examples,
    indexed,
    no_such_part,
    takes,
)
from steermoe_core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from steermoe_core.data.config import FolderConfig
    from steermoe_core.data.example import Example

TABLE = "metadata.csv"
#: Sub-folders that are parts of a dataset.
PARTS = ("train", "dev", "test")
#: Suffixes by which audio files that no table lists are found.
SUFFIXES = frozenset(
    {".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".aif", ".m4a", ".mp4", ".webm", ".mka", ".g722"}
)


def read_folder(config: FolderConfig) -> Sequence[Example]:
    """Read an audiofolder: sound files and metadata.csv, in the table's order.

    A clip that is missing or unreadable has nan seconds: `data.usable` counts it. A warning lists sound files
    without a row.

    :raises DataError: the folder, a table, a column or the chosen part is missing, a row is malformed, or
        nothing is left.
    """
    if not config.path.is_dir():
        msg = f"{config.path}: there is no such folder"
        raise DataError(msg)
    if (config.path / TABLE).is_file():
        folders: list[tuple[Path, str | None]] = [(config.path, None)]
    else:
        folders = [(config.path / part, part) for part in _divided(config)]
    # A file that comes or goes changes its folder.
    files = [file for place, _ in folders for file in (place / TABLE, place)]
    return indexed(config, files, lambda: examples(_rows(folders, config), config), config.split)


def _divided(config: FolderConfig) -> list[str]:
    """Return the chosen parts of a folder whose sub-folders are its parts."""
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
    return parts


def _rows(folders: Sequence[tuple[Path, str | None]], config: FolderConfig) -> Callable[[], Iterator[Row]]:
    """Return a function that yields the rows of several tables; their columns are checked here."""
    tables = [_rows_of(place, part, config) for place, part in folders]
    return lambda: chain.from_iterable(rows() for rows in tables)


def _rows_of(place: Path, part: str | None, config: FolderConfig) -> Callable[[], Iterator[Row]]:
    """Return a function that yields the rows of one table."""
    table = place / TABLE
    if not table.is_file():
        msg = f"{place}: there is no {TABLE}"
        raise DataError(msg)
    _, first = next(_lines(table))
    present = list(first)
    file = column(config.file_column, (), present, str(table))
    columns = Columns.of(config, present, str(table))

    def rows() -> Iterator[Row]:
        for line, values in _lines(table):
            name = _name(f"{table}:{line}", values, file)
            yield Row(
                place=f"{table}:{line}",
                values=values,
                columns=columns,
                audio=place / name,
                name=name if part is None else f"{part}/{name}",
                part=part,
            )

    _warn_unnamed(place, (str(row.audio) for row in rows()))
    return rows


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
    """Warn of sound files that no row lists.

    :param listed: paths of those that are.
    """
    known = set(map(os.path.normpath, listed))
    files = [
        Path(folder, name)
        for folder, _, names in os.walk(place)
        for name in names
        if os.path.splitext(name)[1].lower() in SUFFIXES  # noqa: PTH122 - quicker, for a million names
    ]
    if not (unknown := [path for path in files if os.path.normpath(path) not in known]):
        return
    resolved = set(map(os.path.realpath, known))  # links
    if unnamed := [
        str(path.relative_to(place)) for path in sorted(unknown) if str(path.resolve()) not in resolved
    ]:
        message = (
            f"{place}: {len(unnamed)} sound files without a row in {TABLE} are not used: {some(unnamed)}"
        )
        warnings.warn(message, stacklevel=2)
