"""Rows of parquet and Arrow files: small columns at once, audio one value at a time.

Arrow files are memory-mapped. Parquet files have to be decompressed, so the last few row groups are cached. A
row is identified by its file and number alone, so it can be sent to other processes.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import cache, lru_cache
from itertools import chain
from threading import RLock
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from steermoe_core.config.naming import first_line
from steermoe_core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

#: Open files and decompressed row groups that a process caches.
_FILES, _GROUPS = 128, 2
#: Rows that are plain values at the same time.
_ROWS = 8192
#: pyarrow's parquet readers are not thread-safe.
_LOCK = RLock()


def schema(path: Path) -> pa.Schema:
    """Return the columns of a file and their types.

    :raises DataError: the file is missing, or neither parquet nor Arrow.
    """
    with _LOCK:
        return _parquet(path)[0].schema_arrow if _is_parquet(path) else _arrow(path).schema


def rows(path: Path, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield some columns of every row as plain values."""
    return chain.from_iterable(batches(path, columns))


def batches(path: Path, columns: Sequence[str]) -> Iterator[list[dict[str, Any]]]:
    """Yield some columns of every row as plain values, some rows at a time."""
    starts = range(0, count(path), _ROWS)
    if not columns:
        for start in starts:
            yield [{} for _ in range(min(_ROWS, count(path) - start))]
    elif _is_parquet(path):
        with pq.ParquetFile(path, memory_map=True) as file:  # not the one that `value` reads from
            for part in file.iter_batches(_ROWS, columns=list(columns), use_threads=False):
                yield part.to_pylist()
    else:
        table = _arrow(path).select(list(columns))
        yield from (table.slice(start, _ROWS).to_pylist() for start in starts)


def count(path: Path) -> int:
    """Return the number of rows of a file."""
    with _LOCK:
        return int(_parquet(path)[0].metadata.num_rows if _is_parquet(path) else _arrow(path).num_rows)


def value(path: Path, row: int, column: str) -> pa.Scalar:
    """Return one value; numbers in lists are not copied.

    :raises DataError: the file was changed and has no such row or column, or the value is null.
    """
    return cell(path, row, column)[0]


def cell(path: Path, row: int, column: str) -> pa.Array:
    """Return one value as an array of length 1, without a copy of it: see `content`.

    :raises DataError: as `value`.
    """
    with _LOCK:
        found = _cell(path, row, column)
    found = found.storage if isinstance(found, pa.ExtensionArray) else found
    if found.null_count:
        msg = f"{path} row {row}: column {column!r} is empty"
        raise DataError(msg)
    return found


def content(array: pa.Array) -> pa.Buffer | None:
    """Return the bytes of an array's only value, which are not copied; None where it is null."""
    if array.null_count:
        return None
    kind = array.type
    if not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
        return pa.py_buffer(bytes(array[0].as_py()))
    _, offsets, values = array.buffers()
    width = np.int64 if pa.types.is_large_binary(kind) else np.int32
    start, end = np.frombuffer(offsets, width)[array.offset : array.offset + 2].tolist()
    return pa.py_buffer(b"") if values is None else values.slice(start, end - start)


def storage(kind: pa.DataType) -> pa.DataType:
    """Return the storage type of an extension type; any other type unchanged."""
    return kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind


def _cell(path: Path, row: int, column: str) -> pa.Array:
    try:
        if _is_parquet(path):
            starts = _parquet(path)[1]
            group = bisect_right(starts, row) - 1
            found = _group(path, group, column).slice(row - starts[group], 1)
        else:
            found = _arrow(path).column(column).slice(row, 1)
        return [chunk for chunk in found.chunks if len(chunk)][0]  # noqa: RUF015 - an IndexError for no row
    except (IndexError, KeyError, pa.ArrowException) as error:
        msg = f"{path} row {row}: cannot be read ({first_line(error)}); the file is damaged"
        raise DataError(msg) from None


@cache
def _is_parquet(path: Path) -> bool:
    if not path.is_file():
        msg = f"{path}: there is no such file"
        raise DataError(msg)
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"


@lru_cache(_FILES)
def _parquet(path: Path) -> tuple[pq.ParquetFile, list[int]]:
    """Open a parquet file; the numbers are the first row of each row group."""
    try:
        file = pq.ParquetFile(path, memory_map=True)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from None
    starts = [0]
    for group in range(file.metadata.num_row_groups - 1):
        starts.append(starts[-1] + file.metadata.row_group(group).num_rows)
    return file, starts


@lru_cache(_GROUPS)
def _group(path: Path, group: int, column: str) -> pa.ChunkedArray:
    table = _parquet(path)[0].read_row_group(group, columns=[column], use_threads=False)
    return table.column(column)


@lru_cache(_FILES)
def _arrow(path: Path) -> pa.Table:
    try:
        mapped = pa.memory_map(str(path))
        try:
            return pa.ipc.open_stream(mapped).read_all()
        except pa.ArrowInvalid:  # Arrow's other file format
            mapped.seek(0)
            return pa.ipc.open_file(mapped).read_all()
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> DataError:
    reason = (str(error).splitlines() or ["it is empty"])[0].rstrip(".")
    return DataError(f"{path}: cannot be read as a parquet or Arrow file ({reason})")
