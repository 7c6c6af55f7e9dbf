"""Parquet shards behind a URL: their index, and row groups that are fetched when a clip of them is needed.

A value of a parquet file has no byte range of its own. The sounds of a whole row group are therefore fetched
together and kept in the cache, so that every byte is fetched once, in whatever order clips are read.
"""

from __future__ import annotations

import json
import math
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import pyarrow as pa
from pyarrow.parquet import ParquetFile

from steermoe_core import DataError, EncodedAudio
from steermoe_webdataset.kept import INDEX, kept
from steermoe_webdataset.remote import identity, opened

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: The field with the sound, where `datasets` wrote the column.
_BYTES = "bytes"
#: Maps of row groups that a process keeps open.
_OPEN = 256


@attrs.frozen
class Cell(EncodedAudio):
    """The content of a sound file in a row of a parquet file.

    :param shard: URL of the parquet file.
    :param version: what changes with the content of the file.
    :param column: with the sound.
    :param group: number of the row group.
    :param row: its number in the row group.
    """

    shard: str
    version: str
    column: str
    group: int
    row: int

    @property
    def file(self) -> Path:
        return Path(self.shard)

    def content(self) -> bytes:
        sound = _sounds(self.shard, self.version, self.column, self.group).column(0)[self.row].as_py()
        if sound is None:
            msg = f"{self}: column {self.column!r} has no bytes of a sound file"
            raise DataError(msg)
        return bytes(sound)

    def __str__(self) -> str:
        """Return the place of the row and the shard."""
        return f"row {self.row} of row group {self.group} in {self.shard}"


def index(
    shard: str, audio: str, columns: Sequence[str], optional: Sequence[str], *, measured: bool
) -> pa.Table:
    """Return the clips of a shard in the order of its rows, from the cache if it is there.

    :param audio: column with the sounds.
    :param columns: to read.
    :param optional: to read where they are there.
    :param measured: whether lengths are measured, for which all sounds are fetched; else they are nan.
    :raises DataError: the shard cannot be read, or has no such column.
    """
    version = identity(shard)
    key = ["parquet", shard, version, audio, list(columns), list(optional), measured]
    return kept(key, lambda: _table(shard, version, audio, columns, optional, measured=measured))


def cell(shard: str, row: dict[str, Any]) -> Cell:
    """Return the clip of a row of the index."""
    version, column = json.loads(row["sound"])
    return Cell(shard, version, column, row["start"], row["size"])


def _table(
    shard: str, version: str, audio: str, columns: Sequence[str], optional: Sequence[str], *, measured: bool
) -> pa.Table:
    rows: list[dict[str, Any]] = []
    with _parquet(shard) as file:
        names = file.schema_arrow.names
        for name in (audio, *columns):
            if name not in names:
                msg = f"{shard}: there is no column {name!r}; its columns are {', '.join(names)}"
                raise DataError(msg)
        _check_type(shard, file.schema_arrow.field(audio))
        read = list(dict.fromkeys([*columns, *(name for name in optional if name in names)]))
        for group in range(file.num_row_groups):
            values = file.read_row_group(group, columns=read).to_pylist()
            for number in range(file.metadata.row_group(group).num_rows):
                clip = Cell(shard, version, audio, group, number)
                rows.append({
                    "clip": str(len(rows)), "sound": json.dumps([version, audio]),
                    "start": group, "size": number,
                    "seconds": _seconds(clip) if measured else math.nan,
                    "columns": json.dumps(values[number] if read else {}, default=str),
                })  # fmt: skip
    if not rows:
        msg = f"{shard}: there is no clip in it"
        raise DataError(msg)
    return pa.Table.from_pylist(rows, INDEX)


def _check_type(shard: str, audio: pa.Field) -> None:
    """Check that a column has the bytes of sound files, or `datasets`' pair of bytes and path.

    :raises DataError: it has something else.
    """
    types = {field.name: field.type for field in audio.type} if pa.types.is_struct(audio.type) else {}
    bytes_ = types.get(_BYTES, audio.type)
    if not (pa.types.is_binary(bytes_) or pa.types.is_large_binary(bytes_)):
        msg = f"{shard}: column {audio.name!r} has no bytes of sound files, but {audio.type}"
        raise DataError(msg)


def _seconds(clip: Cell) -> float:
    try:
        return clip.seconds()
    except DataError:
        return math.nan  # the run counts clips that cannot be read


@lru_cache(maxsize=_OPEN)
def _sounds(shard: str, version: str, column: str, group: int) -> pa.Table:
    """Return the sounds of a row group: one column of bytes, mapped from the cache."""
    return kept(["sounds", shard, version, column, group], lambda: _fetched(shard, column, group))


def _fetched(shard: str, column: str, group: int) -> pa.Table:
    with _parquet(shard) as file:
        values = file.read_row_group(group, columns=[column]).column(0).combine_chunks()
    if pa.types.is_struct(values.type):
        values = values.field(_BYTES)
    return pa.table({"bytes": values.cast(pa.large_binary())})


@contextmanager
def _parquet(shard: str) -> Iterator[ParquetFile]:
    """Open a shard.

    :raises DataError: it cannot be read.
    """
    with opened(shard) as file:
        try:
            with ParquetFile(file) as parquet:
                yield parquet
        except pa.ArrowException as error:
            msg = f"{shard}: cannot be read as a parquet file ({error})"
            raise DataError(msg) from None
