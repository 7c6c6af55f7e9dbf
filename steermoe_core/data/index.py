"""A cached table of a source: what its examples are, in columns that every process maps from disk.

Reading a source (parsing its rows, measuring its clips) takes microseconds to milliseconds a row. A large one
is therefore read once, into an Arrow file in the cache; ranks and workers share its pages. Numbers that were
computed from all rows are kept with it, such as the tokens of the answers.

An index is used while the source's settings, its tables and its sound files (path, size, time) are the same
and no clip has become readable since; otherwise it is made again.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import warnings
from array import array
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
import pyarrow as pa

from steermoe_core.data.audio.waveform import durations
from steermoe_core.data.examples import Examples, derived
from steermoe_core.data.index_rows import MADE, SCHEMA, batches, example, listed, stats
from steermoe_core.system.cache import cache_folder
from steermoe_core.system.files import saving
from steermoe_core.system.rows import rows_read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from steermoe_core.data.example import Example
    from steermoe_core.data.examples import Derivation, Indices

#: Changes with the columns and with what is computed for them.
VERSION = 3
#: Sources with fewer rows are read whenever they are needed: that is as fast.
LEAST = 1_000
#: Batches of rows whose files are examined at the same time: on a network, most of that is waiting.
_THREADS = 8
#: How many rows a column has for each that is wanted, for these to be taken one by one.
_SPARSE = 8
_TABLE, _SECONDS, _FACTS = "examples.arrow", "seconds.npy", "index.json"
#: What no source sets.
_CONSTANT = {"speed": 1.0, "turn": 0, "source": 0}


class Index:
    """The examples of a source in a folder of the cache.

    :param folder: with the table and the facts.
    :ivar seconds: of each row.
    :ivar identity: a hash of the source's settings and tables, and of what the rows were made of.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
        self.warnings: list[str] = facts["warnings"]
        self.identity: str = facts["identity"]
        self._table = pa.ipc.open_stream(pa.memory_map(str(folder / _TABLE))).read_all()
        self.seconds: NDArray[np.float64] = np.asarray(np.load(folder / _SECONDS, mmap_mode="r"))
        self._derived: dict[str, NDArray[Any]] = {}

    def __reduce__(self) -> tuple[type[Index], tuple[Path]]:
        """Other processes map the same files."""
        return Index, (self._folder,)

    def __len__(self) -> int:
        """Return the number of rows."""
        return int(self._table.num_rows)

    def example(self, row: int) -> Example:
        return example({name: self._table.column(name)[row].as_py() for name in SCHEMA.names})

    def values(self, column: str, rows: Indices) -> list[Any]:
        if column in _CONSTANT:
            return [_CONSTANT[column]] * len(rows)
        if column not in MADE:
            return self._column(column, rows)
        make, of = MADE[column]
        return list(map(make, *(self._column(name, rows) for name in of)))

    def derived(self, name: str, columns: Sequence[str], derive: Derivation, dtype: str) -> NDArray[Any]:
        """Return a number for each row, from memory, from disk, or computed and then kept."""
        if not name:
            return derived(self, columns, derive, dtype)
        if name not in self._derived:
            key = hashlib.sha256(f"{self.identity}\0{name}".encode()).hexdigest()[:24]
            file = self._folder / f"{key}.npy"
            try:
                self._derived[name] = np.load(file, mmap_mode="r")
            except (OSError, ValueError):
                self._derived[name] = derived(self, columns, derive, dtype)
                _keep(file, self._derived[name])
        return self._derived[name]

    def unchanged(self) -> bool:
        """Return whether the sound files have their sizes and times, and no clip became readable."""
        with ThreadPoolExecutor(_THREADS) as pool:
            if not all(pool.map(_same_files, self._table.to_batches())):
                return False
        bad = np.flatnonzero(~(self.seconds > 0.0))
        return bool(np.isnan(durations(self.values("audio", bad))).all()) if len(bad) else True

    def _column(self, name: str, rows: Indices) -> list[Any]:
        if not len(rows):
            return []
        first, last = int(rows.min()), int(rows.max())
        if last - first >= _SPARSE * len(rows):
            return [self._table.column(name)[row].as_py() for row in rows.tolist()]
        near = self._table.column(name).slice(first, last - first + 1)
        values = list(chain.from_iterable(map(listed, near.chunks)))
        return [values[row] for row in (rows - first).tolist()]


def _same_files(batch: pa.RecordBatch) -> bool:
    known = np.stack([np.from_dlpack(batch.column(name)) for name in ("size", "time")], axis=1)
    return np.array_equal(known, stats(batch.column("file")))


class IrregularError(Exception):
    """The rows of a source cannot be read as whole columns, or one of them is wrong."""


@attrs.frozen(kw_only=True)
class Source:
    """A source of which an index is made.

    :param settings: everything that its examples depend on, apart from its files.
    :param tables: its files: where one has another size or time, the examples are read again.
    :param read: yields its examples; it is called once.
    :param columns: returns an iterator of the same as rows of the index, which is faster; where it returns
        None, or the iterator raises `IrregularError`, even at the end, the examples are read one by one.
    """

    settings: str
    tables: Sequence[Path]
    read: Callable[[], Iterator[Example]]
    columns: Callable[[], Iterator[pa.RecordBatch] | None] | None = None

    def examples(self) -> Examples:
        """Return the examples, of a large source from an index, which is made where there is none.

        :raises DataError: what `read` raises.
        :raises CheckpointError: the cache is full or not writable.
        """
        folder = self._folder()
        index = _opened(folder) or self._made_of_columns(folder)
        if index is not None:
            return _reported(index)
        with _recorded() as caught:
            stream = self.read()
            first = list(islice(stream, LEAST))
            if len(first) == LEAST:
                index = _made(folder, batches(chain(first, stream)), caught)
        if index is not None:
            return _reported(index)
        for one in caught:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
        return Examples.of(first)

    def _made_of_columns(self, folder: Path) -> Index | None:
        """Return an index that is made of whole columns; None where the rows have to be read one by one."""
        with _recorded() as caught, suppress(IrregularError):
            if self.columns and (rows := self.columns()) is not None:
                return _made(folder, rows, caught)
        return None

    def _folder(self) -> Path:
        source = hashlib.sha256(self.settings.encode()).hexdigest()[:16]
        tables = [(str(path), *_state(path)) for path in self.tables]
        known = [VERSION, self.settings, tables]
        return cache_folder() / "tables" / f"{source}-{hashlib.sha256(repr(known).encode()).hexdigest()[:16]}"


def _of_source(folder: Path) -> str:
    """Return the part of an index's name that all indices of its source have."""
    return folder.name.partition("-")[0]


def _state(path: Path) -> tuple[int, int]:
    """Return size and time of change of a table or folder; where there is none, `read` reports it."""
    with suppress(OSError):
        found = path.stat()
        return found.st_size, found.st_mtime_ns
    return -1, -1


def _opened(folder: Path) -> Index | None:
    """Return an index; None where there is none, or it is no longer true."""
    try:
        index = Index(folder)
    except (OSError, ValueError, KeyError, pa.ArrowException):
        return None
    return index if index.unchanged() else None


def _reported(index: Index) -> Examples:
    """Return the examples of an index, with the warnings that reading them caused."""
    for message in index.warnings:
        warnings.warn(message, stacklevel=4)
    return Examples.stored(index)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one process at a time make an index; the others wait."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".{_of_source(folder)}.lock").open("w") as file:
        with suppress(OSError):  # a file system without locks: the index is made more than once
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _recorded() -> Iterator[list[warnings.WarningMessage]]:
    """Keep all warnings for later."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield caught


def _made(folder: Path, rows: Iterator[pa.RecordBatch], caught: Sequence[warnings.WarningMessage]) -> Index:
    """Return the index of a folder, which is made of rows unless another process has made it."""
    with saving(folder, "set STEERMOE_CACHE to another folder"), _alone(folder):
        if (index := _opened(folder)) is None:
            _write(folder, rows, caught)
            index = Index(folder)
    return index


def _write(folder: Path, rows: Iterator[pa.RecordBatch], caught: Sequence[warnings.WarningMessage]) -> None:
    """Write an index to a temporary name, then take the place of older ones of the same source."""
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    digest, seconds = hashlib.sha256(folder.name.encode()), array("d")
    try:
        with pa.OSFile(str(partial / _TABLE), "wb") as sink, pa.ipc.new_stream(sink, SCHEMA) as writer:
            for batch in rows:
                writer.write_batch(batch)
                for name in ("size", "seconds"):
                    digest.update(np.from_dlpack(batch.column(name)).data)
                seconds.frombytes(np.from_dlpack(batch.column("seconds")).tobytes())
                rows_read(len(seconds))
        np.save(partial / _SECONDS, np.frombuffer(seconds, np.float64))
        facts = {"identity": digest.hexdigest(), "warnings": [str(one.message) for one in caught]}
        (partial / _FACTS).write_text(json.dumps(facts), encoding="utf-8")
        partial.chmod(0o755)
        for old in folder.parent.glob(f"{_of_source(folder)}-*"):
            shutil.rmtree(old, ignore_errors=True)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _keep(file: Path, values: NDArray[Any]) -> None:
    """Keep an array beside an index; one that cannot be written is computed again next time."""
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    with suppress(OSError):
        try:
            with partial.open("wb") as sink:
                np.save(sink, values)
            partial.replace(file)
        finally:
            partial.unlink(missing_ok=True)
