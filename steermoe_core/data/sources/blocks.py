"""Manifests of millions of lines as rows of an index: a block of lines at a time, on all cores.

Blocks are parsed and checked as whole columns, which is several times faster than line by line. That is only
done where it gives the same examples: all lines have text, a file and a duration, under keys that the first
lines have, and neither prompts, references nor labels. Everything else is an `IrregularError`, wrong lines
included: `jsonl` then reads line by line, and its error says which line is wrong.
"""

from __future__ import annotations

import json
from array import array
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow.json import ParseOptions, ReadOptions, read_json

from steermoe_core.data import index
from steermoe_core.data.index import IrregularError
from steermoe_core.data.index_rows import FILE, SPAN, rows_of, stats
from steermoe_core.data.sources.keys import Keys
from steermoe_core.data.sources.rows import repeated
from steermoe_core.errors import DataError
from steermoe_core.system.cores import cores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Future
    from pathlib import Path
    from typing import TypeVar

    from numpy.typing import NDArray

    from steermoe_core.data.config import JsonlConfig

    S = TypeVar("S")
    T = TypeVar("T")

#: Bytes of a block.
_BLOCK = 2**20
#: Lines that must have all keys.
_HEAD = 1_000
#: Names of files that `pathlib` writes in another way.
_NOT_PLAIN = r"//|/$|(^|/)\.(/|$)"
#: Odd numbers that make one hash of several.
_MIX = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9], np.uint64)


def rows_in_blocks(config: JsonlConfig) -> Iterator[pa.RecordBatch] | None:
    """Return the rows of a manifest, in its order; None where it is small, or its first lines are irregular.

    The iterator raises `IrregularError` where a block is irregular, or at the end if an id or clip is in two
    lines.
    """
    try:
        return _rows(config.path, _Manifest.of(config))
    except (IrregularError, DataError, OSError, ValueError):  # the last is of JSON and UTF-8
        return None


def _rows(path: Path, manifest: _Manifest) -> Iterator[pa.RecordBatch]:
    hashes = array("q"), array("q")
    for rows, *found in _each_in_order(manifest.rows, _blocks(path)):
        for all_, some in zip(hashes, found, strict=True):
            all_.frombytes(some.tobytes())
        yield rows
    if any(map(repeated, hashes)):
        raise IrregularError


def _blocks(path: Path) -> Iterator[bytes]:
    """Yield the content of a file in pieces of whole lines."""
    with path.open("rb") as file:
        while block := file.read(_BLOCK) + file.readline():
            yield block


def _each_in_order(work: Callable[[S], T], items: Iterable[S]) -> Iterator[T]:
    """Yield the results for all items, on all cores; few are in memory at the same time."""
    workers = cores()
    waiting: deque[Future[T]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


@attrs.frozen
class _Manifest:
    """A manifest whose lines have the same keys.

    :param folder: what comes before the names of its files.
    :param keys: what they mean.
    :param schema: the type of each.
    """

    folder: str
    keys: Keys
    schema: pa.Schema

    @classmethod
    def of(cls, config: JsonlConfig) -> _Manifest:
        """Return the manifest with the keys of its first lines.

        :raises IrregularError: they are too few, or mean more than is done in blocks.
        """
        with config.path.open(encoding="utf-8") as file:
            head = [json.loads(line) for line in islice(file, max(_HEAD, index.LEAST))]
        if len(head) < index.LEAST or not all(isinstance(line, dict) for line in head):
            raise IrregularError
        kinds = {
            key: _kind([line.get(key) for line in head])
            for key in dict.fromkeys(key for line in head for key in line)
        }
        keys = Keys.of(config, list(kinds))
        columns = keys.columns
        if config.parts or not columns.seconds:
            raise IrregularError
        if columns.prompt or columns.parts or columns.references or columns.labels:
            raise IrregularError
        for key in filter(None, (keys.offset, columns.seconds)):
            kinds[key] = pa.float64()
        for key in filter(None, (columns.id, columns.cluster, columns.split)):
            kinds[key] = pa.int64() if kinds[key] == pa.float64() else kinds[key]
        return cls(str(config.path.parent / "x")[:-1], keys, pa.schema(kinds))

    def rows(self, block: bytes) -> tuple[pa.RecordBatch, NDArray[np.int64], NDArray[np.int64]]:
        """Return the rows of some lines, a hash of each id, and one of each clip.

        :raises IrregularError: a line is wrong, or not like the others.
        """
        table, keys = _parsed(block, self.schema), self.keys
        names, texts = table[keys.audio], table[keys.columns.text]
        seconds = _seconds(table[keys.columns.seconds])
        starts = _seconds(table[keys.offset]) if keys.offset else pa.nulls(len(names), pa.float64())
        spans = starts.is_valid()
        if names.type != pa.string() or texts.type != pa.string() or texts.null_count or seconds.null_count:
            raise IrregularError
        files = self._files(names)
        exist = pa.array(stats(files)[:, 0] > 0)
        ids = self._texts(table, keys.columns.id)
        if ids is None:
            ids = pa.array(map(_name, names.to_pylist(), starts.to_pylist()), pa.large_string())
        if ids.null_count or pc.any(pc.equal(ids, "")).as_py():
            raise IrregularError
        lengths = pc.if_else(spans, seconds, None)
        rows = rows_of(
            files,
            id=ids,
            text=pc.utf8_trim_whitespace(texts),
            seconds=pc.if_else(exist, seconds, np.nan),
            cluster=self._texts(table, keys.columns.cluster),
            split=self._texts(table, keys.columns.split),
            kind=pc.if_else(spans, SPAN, FILE),
            row=pa.repeat(0, len(names)),
            rate=pa.repeat(0, len(names)),
            start=starts.fill_null(0.0),
            length=lengths,
        )
        return rows, _hashes(ids), _clips(files, starts, lengths)

    def _files(self, names: pa.Array) -> pa.DictionaryArray:
        """Return the path of each file."""
        known = names.dictionary_encode()
        distinct = known.dictionary
        if names.null_count or pc.any(pc.equal(distinct, "")).as_py():
            raise IrregularError
        if pc.any(pc.match_substring_regex(distinct, _NOT_PLAIN)).as_py():
            raise IrregularError
        joined = pc.binary_join_element_wise(self.folder, distinct, "")
        paths = pc.if_else(pc.starts_with(distinct, "/"), distinct, joined)
        return pa.DictionaryArray.from_arrays(known.indices, paths.cast(pa.large_string()))

    def _texts(self, table: dict[str, pa.Array], key: str) -> pa.Array | None:
        """Return the values of a key as texts; None without a key."""
        if not key:
            return None
        values = table[key]
        if not (
            pa.types.is_string(values.type) or pa.types.is_int64(values.type) or values.type == pa.null()
        ):
            raise IrregularError
        return values.cast(pa.large_string())


def _kind(values: Sequence[Any]) -> pa.DataType:
    """Return the type of some values.

    :raises IrregularError: they have several, or are not plain.
    """
    try:
        kind = pa.array(values).type
    except (pa.ArrowException, OverflowError) as error:
        raise IrregularError from error
    if pa.types.is_nested(kind):
        raise IrregularError
    return pa.float64() if pa.types.is_integer(kind) else kind


def _parsed(block: bytes, schema: pa.Schema) -> dict[str, pa.Array]:
    """Return the columns of some lines.

    :raises IrregularError: not each line is an object with values of these types.
    """
    block = block.removesuffix(b"\n")
    lines = block.count(b"\n") + 1
    # Values between objects in braces would be an error below: each object is one line.
    alone = block.startswith(b"{") and block.endswith(b"}") and block.count(b"}\n{") == lines - 1
    if not alone or b"\r" in block:
        raise IrregularError
    try:
        block.decode()
        table = read_json(
            pa.BufferReader(block),
            ReadOptions(use_threads=False, block_size=len(block) + 1),
            ParseOptions(explicit_schema=schema, unexpected_field_behavior="error"),
        )
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise IrregularError from error
    columns = {name: table.column(name).combine_chunks() for name in schema.names}
    finite = (pc.all(pc.is_finite(one)).as_py() for one in columns.values() if one.type == pa.float64())
    if len(table) != lines or False in finite:
        raise IrregularError
    return columns


def _seconds(values: pa.Array) -> pa.Array:
    """Return numbers of seconds, each of which may be missing.

    :raises IrregularError: one is below 0, or -0, which JSON's readers do not agree on.
    """
    if np.signbit(np.from_dlpack(values.drop_null())).any():
        raise IrregularError
    return values


def _name(file: str, start: float | None) -> str:
    return file if start is None else f"{file}@{start:g}"


def _hashes(texts: pa.Array) -> NDArray[np.int64]:
    return np.fromiter(map(hash, texts.to_pylist()), np.int64, len(texts))


def _clips(files: pa.DictionaryArray, starts: pa.Array, lengths: pa.Array) -> NDArray[np.int64]:
    """Return a hash of each clip; that of a file has no start, which is another number than any start."""
    file = _hashes(files.dictionary)[np.from_dlpack(files.indices)]
    span = [np.from_dlpack(one.fill_null(-1.0)) for one in (starts, lengths)]
    mixed = sum(part.view(np.uint64) * by for part, by in zip((file, *span), _MIX, strict=True))
    return np.asarray(mixed).view(np.int64)
