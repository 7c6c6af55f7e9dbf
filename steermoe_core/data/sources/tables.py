"""The built-in datasets `parquet`, `disk` and `hub`: tables with the audio inside.

A column `input_features` marks the two forms in which training scripts store processed speech: log-mel
features with the seconds in `input_length`, and 16-bit samples with the rate in `sample_rate`. Their token
ids belong to one tokenizer: where there are no texts, `tokenizer` decodes them, and the experiment's decoder
tokenises the texts again.
"""

from __future__ import annotations

import json
import re
from glob import glob
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from steermoe_core.data import columnar
from steermoe_core.data.audio.stored import Mel
from steermoe_core.data.sources.audio_columns import AudioColumn
from steermoe_core.data.sources.hub import prepare_split
from steermoe_core.data.sources.rows import (
    Columns,
    Row,
    column,
    examples,
    indexed,
    missing,
    no_such_part,
    takes,
    text_columns,
)
from steermoe_core.data.sources.token_ids import LABELS, decode
from steermoe_core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from steermoe_core.data.config import DiskConfig, HubConfig, ParquetConfig, TableConfig
    from steermoe_core.data.example import Example
    from steermoe_core.data.examples import Examples

AUDIO, FEATURES = "audio", "input_features"
#: Columns of processed speech.
LENGTH = "input_length"
PROCESSED = {"prompt": ("text_prompt",), "seconds": (LENGTH,)}
#: Samples a second of the audio that Whisper's features are made of.
_RATE = 16_000
_SET, _DICTIONARY = "state.json", "dataset_dict.json"


@attrs.frozen
class File:
    """A table, and the ids of its rows.

    :param path: a parquet or Arrow file.
    :param name: prefix of the ids of its rows.
    :param part: the part of all its rows.
    """

    path: Path
    name: str
    part: str | None = None


def read_parquet(config: ParquetConfig) -> Sequence[Example]:
    """Read parquet files, in the order of the numbers in their names.

    :raises DataError: there is no such file, or its columns are wrong.
    """
    if config.path.is_dir():
        paths, above = list(config.path.rglob("*.parquet")), config.path
    else:
        paths = [Path(name) for name in glob(str(config.path), recursive=True)]  # noqa: PTH207 - an absolute pattern
        above = config.path.parent
    if not paths:
        msg = f"{config.path}: there is no parquet file"
        raise DataError(msg)
    files = [File(path, _name(path, above)) for path in sorted(paths, key=natural)]
    return _indexed(files, config, config.split)


def read_disk(config: DiskConfig) -> Sequence[Example]:
    """Read what `save_to_disk` wrote: a set, a dictionary of sets, or a folder of sets.

    :raises DataError: there is no such folder or set, a set is incomplete, or its columns are wrong.
    """
    if not config.path.is_dir():
        msg = f"{config.path}: there is no such folder"
        raise DataError(msg)
    return _indexed(list(_saved(config.path, config)), config, config.split)


def read_hub(config: HubConfig) -> Sequence[Example]:
    """Read splits of a dataset of the hub; they are fetched once, and `datasets` caches them as Arrow files.

    :raises SetupError: it is not available.
    :raises DataError: it has no such configuration or split, this copy of it is incomplete, or its columns
        are wrong.
    """
    files = [file for split in config.split.split("+") for file in _fetched(config, split)]
    return _indexed(files, config, config.part)


def natural(path: Path) -> list[tuple[int, str]]:
    """Return a key that sorts numbers in names by their value: batch_2 before batch_10."""
    pieces = re.split(r"(\d+)", path.as_posix())
    return [(int(piece), "") if piece.isdecimal() else (-1, piece) for piece in pieces]


def _saved(folder: Path, config: DiskConfig) -> Iterator[File]:
    """Yield the files of the sets that were saved in a folder."""
    if (folder / _DICTIONARY).is_file():
        yield from _dictionary(folder, config)
    elif (folder / _SET).is_file():
        yield from _set(folder, "", None)
    else:
        inside = (path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
        folders = sorted(inside, key=natural)
        if not folders:
            msg = f"{folder}: nothing that save_to_disk wrote is there ({_SET} and {_DICTIONARY} are missing)"
            raise DataError(msg)
        for one in folders:
            yield from _set(one, f"{one.name}/", None)


def _dictionary(folder: Path, config: DiskConfig) -> Iterator[File]:
    splits = _json(folder / _DICTIONARY).get("splits", [])
    if config.parts:
        msg = f"{folder}: its splits {', '.join(splits)} divide it already; leave out `parts`"
        raise DataError(msg)
    parts = [part for part in splits if takes(config.split, part)]
    if not parts:
        raise no_such_part(config, config.split, splits)
    for part in parts:
        yield from _set(folder / part, f"{part}/", part)


def _set(folder: Path, prefix: str, part: str | None) -> Iterator[File]:
    """Yield the files of one set; several are numbered in the names of their rows."""
    if not (folder / _SET).is_file():
        msg = f"{folder}: no set that save_to_disk wrote ({_SET} is missing); write it again or move it away"
        raise DataError(msg)
    state = _json(folder / _SET)
    if state.get("_indices_data_files"):
        msg = f"{folder}: a selection saved by an old version of datasets; load it and save it again"
        raise DataError(msg)
    names = [entry["filename"] for entry in state["_data_files"]]
    for number, name in enumerate(names):
        yield File(folder / name, f"{prefix}{number}:" if len(names) > 1 else prefix, part)


def _json(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except ValueError:
        msg = f"{path}: is damaged; write the set again"
        raise DataError(msg) from None


def _fetched(config: HubConfig, split: str) -> Iterator[File]:
    """Yield the cached files of a split."""
    files = prepare_split(config, split)
    for number, file in enumerate(files):
        yield File(file, f"{split}/{number}:" if len(files) > 1 else f"{split}/", split)


def _rows_of(file: File, config: TableConfig) -> Callable[[], Iterator[Row]]:
    """Return a function that yields the rows of a file, whose columns are checked here.

    Their audio is not read.
    """
    schema, place = columnar.schema(file.path), str(file.path)
    name = column(config.audio_column, (AUDIO, FEATURES), schema.names, place)
    if not name:
        raise missing(place, (AUDIO, FEATURES), schema.names)
    standard = PROCESSED if FEATURES in schema.names else None
    if config.tokenizer:
        config = attrs.evolve(config, text_column=config.text_column or LABELS)
    elif not config.text_column and LABELS in schema.names and not text_columns(schema.names):
        msg = f"{place}: the texts are token ids in column {LABELS!r}; set `tokenizer` to what made them"
        raise DataError(msg)
    columns = Columns.of(config, schema.names, place, standard)
    audio = AudioColumn(file.path, name, schema.field(name).type, config.rate_column, columns.seconds)
    needed = list(dict.fromkeys([*columns.all, *audio.needs(schema.names)]))
    audio.check(columnar.rows(file.path, audio.needs([])))

    def rows() -> Iterator[Row]:
        start = 0
        for batch in columnar.batches(file.path, needed):
            if config.tokenizer:
                decode(batch, columns.text, config.tokenizer, place, start)
            if columns.seconds == LENGTH:
                _in_seconds(batch, config.rate_column)
            for number, values in enumerate(batch, start):
                yield Row(
                    place=f"{place} row {number}",
                    values=values,
                    columns=columns,
                    audio=audio.clip(number, values),
                    name=f"{file.name}{number}",
                    part=file.part,
                )
            start += len(batch)

    return rows


def _in_seconds(rows: Sequence[dict[str, Any]], rate: str) -> None:
    """Convert lengths that are counted in samples, as transformers' scripts do, to seconds.

    No features of a clip are longer than 100 s, and no clip is shorter than 100 samples.

    :param rate: column with the samples a second, where there is one.
    """
    for row in rows:
        if isinstance(row[LENGTH], int) and row[LENGTH] > 100:  # noqa: PLR2004 - see above
            row[LENGTH] /= row.get(rate) or _RATE


def _indexed(files: Sequence[File], config: TableConfig, split: str) -> Examples:
    paths = [file.path for file in files]
    found = indexed(config, paths, lambda: examples(_rows(files, config), config), split)
    if config.speeds != [1.0] and isinstance(found[0].audio, Mel):
        msg = f"{config.path}: log-mel features cannot be played at other speeds; leave out `speeds`"
        raise DataError(msg)
    return found


def _rows(files: Sequence[File], config: TableConfig) -> Callable[[], Iterator[Row]]:
    """Return a function that yields the rows of some files.

    :raises DataError: there are none, or a column is missing.
    """
    tables = [_rows_of(file, config) for file in files]
    if not any(columnar.count(file.path) for file in files):
        msg = f"{config.path}: the tables have no rows"
        raise DataError(msg)
    return lambda: chain.from_iterable(rows() for rows in tables)


def _name(path: Path, above: Path) -> str:
    """Return the prefix of the ids of a file's rows: its path below the folder, without the suffix."""
    below = path.relative_to(above) if path.is_relative_to(above) else Path(path.name)
    return f"{below.with_suffix('').as_posix()}/"
