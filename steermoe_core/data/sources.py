"""Built-in datasets: where examples come from."""

from __future__ import annotations

import csv
import math
import warnings
from collections import Counter
from typing import TYPE_CHECKING

from steermoe_core.data.audio import duration
from steermoe_core.data.check import some
from steermoe_core.data.config import ALL
from steermoe_core.data.example import Example, at_speeds
from steermoe_core.data.split import part_of
from steermoe_core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from steermoe_core.data.config import FolderConfig

TABLE = "metadata.csv"
#: Sub-folders that are parts of a dataset.
PARTS = ("train", "dev", "test")
#: Files that are taken for audio when they stand beside a table that does not name them.
SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".aif", ".m4a", ".g722"})

_DEFAULT_TEXT, _OTHER_TEXT = "transcription", "text"


def folder(config: FolderConfig) -> list[Example]:
    """Read an audiofolder: sound files and metadata.csv, in the table's order.

    A clip that is missing or unreadable is kept with nan seconds: `data.check.usable` counts it. Sound
    files without a transcript are named in a warning.

    :raises DataError: when the folder, a table, a column or the part that was asked for is missing, a row
        is not well formed, or nothing is left.
    """
    if not config.path.is_dir():
        msg = f"{config.path}: there is no such folder"
        raise DataError(msg)
    examples = _whole(config) if (config.path / TABLE).is_file() else _divided(config)
    return at_speeds(_chosen(examples, config), config.speeds)


def _whole(config: FolderConfig) -> list[Example]:
    """Read a folder with one table, divided by the hash of the texts where the settings say so."""
    return list(_read(config.path, config, None))


def _divided(config: FolderConfig) -> list[Example]:
    """Read a folder whose sub-folders are its parts."""
    found = [part for part in PARTS if (config.path / part).is_dir()]
    if not found:
        msg = (
            f"{config.path}: no {TABLE}; write one with columns {config.file_column} and {config.text_column}"
        )
        raise DataError(msg)
    if config.parts:
        msg = f"{config.path}: its sub-folders {', '.join(found)} divide it already; leave out `parts`"
        raise DataError(msg)
    wanted = [part for part in found if config.split in (ALL, part)]
    if not wanted:
        raise _no_such_part(config, found)
    return [example for part in wanted for example in _read(config.path / part, config, part)]


def _read(place: Path, config: FolderConfig, part: str | None) -> Iterator[Example]:
    """Yield the examples of one table."""
    table = place / TABLE
    if not table.is_file():
        msg = f"{place}: there is no {TABLE}"
        raise DataError(msg)
    rows = list(_rows(table))
    text_column = _text_column(table, rows[0][1], config)
    seen: Counter[str] = Counter()
    for line, row in rows:
        name = _file_name(table, line, row[config.file_column], seen, config)
        text = row[text_column].strip()
        yield Example(
            id=_id(name, seen[name], part),
            audio=place / name,
            text=text,
            seconds=_seconds(place / name),
            prompt=row[config.prompt_column] if config.prompt_column else None,
            cluster=_cluster(row, name, config),
            split=part_of(text, config.parts, config.seed) if config.parts else part,
        )
    _warn_unnamed(place, seen)


def _rows(table: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the line number and the fields of each row; at least one row, all as long as the header."""
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            for row in reader:
                if (
                    None in row or None in row.values()
                ):  # where the reader puts what is too much or too little
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


def _text_column(table: Path, row: dict[str, str], config: FolderConfig) -> str:
    """Return the transcript's column, when all columns that the settings name are there."""
    default_missing = config.text_column == _DEFAULT_TEXT and _DEFAULT_TEXT not in row
    text_column = _OTHER_TEXT if default_missing and _OTHER_TEXT in row else config.text_column
    for column in (config.file_column, text_column, config.prompt_column, config.cluster_column):
        if column and column not in row:
            msg = f"{table}: there is no column {column!r}; its columns are {', '.join(row)}"
            raise DataError(msg)
    return text_column


def _file_name(table: Path, line: int, field: str, seen: Counter[str], config: FolderConfig) -> str:
    """Return the row's file and count it."""
    name = field.strip()
    if not name:
        msg = f"{table}:{line}: the row names no file in column {config.file_column!r}"
        raise DataError(msg)
    seen[name] += 1
    if seen[name] > 1 and not config.prompt_column:
        msg = f"{table}:{line}: {name} has a row already; without a prompt column a file has one transcript"
        raise DataError(msg)
    return name


def _id(name: str, occurrence: int, part: str | None) -> str:
    row = name if occurrence == 1 else f"{name}#{occurrence}"
    return row if part is None else f"{part}/{row}"


def _cluster(row: dict[str, str], name: str, config: FolderConfig) -> str | None:
    if config.cluster_column:
        return row[config.cluster_column]
    return name if config.prompt_column else None


def _seconds(path: Path) -> float:
    try:
        return duration(path)
    except DataError:
        return math.nan


def _warn_unnamed(place: Path, named: Iterable[str]) -> None:
    known = {(place / name).resolve() for name in named}
    files = (path for path in sorted(place.rglob("*")) if path.suffix.lower() in SUFFIXES)
    if unnamed := [str(path.relative_to(place)) for path in files if path.resolve() not in known]:
        message = (
            f"{place}: {len(unnamed)} sound files without a row in {TABLE} are not used: {some(unnamed)}"
        )
        warnings.warn(message, stacklevel=2)


def _chosen(examples: list[Example], config: FolderConfig) -> list[Example]:
    chosen = [example for example in examples if config.split in (ALL, example.split)]
    if not chosen:
        raise _no_such_part(
            config, sorted({example.split for example in examples if example.split is not None})
        )
    return chosen


def _no_such_part(config: FolderConfig, there: list[str]) -> DataError:
    parts = f"its parts are {', '.join(there)}" if there else "it has no parts; set `parts` to divide it"
    return DataError(f"{config.path}: no clip belongs to split {config.split!r}; {parts}")
