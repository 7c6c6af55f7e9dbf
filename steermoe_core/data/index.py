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
import stat
import tempfile
import warnings
from array import array
from contextlib import contextmanager, suppress
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
import pyarrow as pa

from steermoe_core.data.audio.beginnings import cell_address, segment_address
from steermoe_core.data.audio.stored import Encoded, Mel, Samples, Segment
from steermoe_core.data.audio.waveform import durations, file_of
from steermoe_core.data.example import Example
from steermoe_core.data.examples import CHUNK, Examples, derived
from steermoe_core.system.cache import cache_folder
from steermoe_core.system.files import saving
from steermoe_core.system.rows import rows_read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from steermoe_core.data.audio.stored import Audio
    from steermoe_core.data.examples import Derivation, Indices

#: Changes with the columns and with what is computed for them.
VERSION = 2
#: Sources with fewer rows are read whenever they are needed: that is as fast.
LEAST = 1_000
_TABLE, _SECONDS, _FACTS = "examples.arrow", "seconds.npy", "index.json"
#: The columns. `kind` and those after it say where the audio is: see `_place` and `_audio`.
_SCHEMA = pa.schema(
    {
        "id": pa.large_string(),
        "text": pa.large_string(),
        "seconds": pa.float64(),
        "prompt": pa.large_string(),
        "cluster": pa.large_string(),
        "references": pa.large_string(),  # JSON, as labels
        "labels": pa.large_string(),
        "split": pa.large_string(),
        "size": pa.int64(),
        "time": pa.int64(),
        "kind": pa.int8(),
        "name": pa.large_string(),
        "table": pa.int32(),
        "row": pa.int64(),
        "rate": pa.int32(),
        "start": pa.float64(),
        "length": pa.float64(),
    }
)
#: What `kind` counts.
_KINDS: list[type] = [type(Path()), Segment, Encoded, Samples, Mel]
_AUDIO = ("kind", "name", "table", "row", "rate", "start", "length")
#: What no source sets.
_CONSTANT = {"speed": 1.0, "turn": 0, "source": 0}


class Index:
    """The examples of a source in a folder of the cache.

    :param folder: with the table and the facts.
    :ivar seconds: of each row.
    :ivar identity: a hash of the source's settings and tables, and of the seconds.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
        self._tables = [(Path(path), column) for path, column in facts["tables"]]
        self._paths = [str(path) for path, _ in self._tables]
        self.warnings: list[str] = facts["warnings"]
        self._table = pa.ipc.open_file(pa.memory_map(str(folder / _TABLE))).read_all()
        self.seconds: NDArray[np.float64] = np.asarray(np.load(folder / _SECONDS, mmap_mode="r"))
        digest = hashlib.sha256(folder.name.encode())
        for sizes in self._chunks("size"):
            digest.update(sizes.data)
        digest.update(self.seconds.data)
        self.identity = digest.hexdigest()
        self._derived: dict[str, NDArray[Any]] = {}

    def __reduce__(self) -> tuple[type[Index], tuple[Path]]:
        """Other processes map the same files."""
        return Index, (self._folder,)

    def __len__(self) -> int:
        """Return the number of rows."""
        return int(self._table.num_rows)

    def example(self, row: int) -> Example:
        values = {name: self._table.column(name)[row].as_py() for name in _SCHEMA.names}
        return Example(
            id=values["id"],
            audio=self._audio(*(values[name] for name in _AUDIO)),
            text=values["text"],
            seconds=values["seconds"],
            prompt=values["prompt"],
            cluster=values["cluster"],
            references=_references(values["references"]),
            labels=_labels(values["labels"]),
            split=values["split"],
        )

    def values(self, column: str, rows: Indices) -> list[Any]:
        if column in _CONSTANT:
            return [_CONSTANT[column]] * len(rows)
        made: dict[str, tuple[Callable[..., Any], Sequence[str]]] = {
            "audio": (self._audio, _AUDIO),
            "address": (self._address, _AUDIO),
            "file": (self._file, ["name", "table"]),
            "kind": (_KINDS.__getitem__, ["kind"]),
            "references": (_references, ["references"]),
            "labels": (_labels, ["labels"]),
        }
        if column not in made:
            return self._column(column, rows)
        make, of = made[column]
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
        start = 0
        for known in zip(self._chunks("size"), self._chunks("time"), strict=True):
            rows = np.arange(start, start + len(known[0]))
            if not np.array_equal(np.stack(known, axis=1), _stats(self.values("file", rows))):
                return False
            start += len(rows)
        bad = np.flatnonzero(~(self.seconds > 0.0))
        return bool(np.isnan(durations(self.values("audio", bad))).all()) if len(bad) else True

    def _chunks(self, name: str) -> Iterator[NDArray[Any]]:
        """Yield a column of numbers as it is on disk, which is `CHUNK` rows at a time."""
        yield from map(np.from_dlpack, self._table.column(name).chunks)

    def _file(self, name: str | None, table: int | None) -> str:
        """Return the file that holds a row's audio."""
        return self._paths[table or 0] if name is None else name

    def _column(self, name: str, rows: Indices) -> list[Any]:
        if not len(rows):
            return []
        first, last = int(rows.min()), int(rows.max())
        if last - first >= 4 * CHUNK:
            return [self._table.column(name)[row].as_py() for row in rows.tolist()]
        near = self._table.column(name).slice(first, last - first + 1)
        if len(rows) == len(near) and bool((np.diff(rows) == 1).all()):
            return list(near.to_pylist())
        return list(near.take(pa.array(rows - first)).to_pylist())

    def _audio(
        self,
        kind: int,
        name: str | None,
        table: int | None,
        row: int,
        rate: int,
        start: float,
        length: float | None,
    ) -> Audio:
        if name is not None:
            return Segment(Path(name), start, length) if _KINDS[kind] is Segment else Path(name)
        path, column = self._tables[table or 0]
        if _KINDS[kind] is Encoded:
            return Encoded(path, row, column)
        if _KINDS[kind] is Samples:
            return Samples(path, row, column, rate)
        return Mel(path, row, column, np.nan if length is None else length)

    def _address(
        self,
        kind: int,
        name: str | None,
        table: int | None,
        row: int,
        _rate: int,
        start: float,
        length: float | None,
    ) -> str:
        """Return what `beginnings.address` does, without an object for each clip."""
        if name is None:
            return cell_address(self._paths[table or 0], row, self._tables[table or 0][1])
        return segment_address(name, start, length) if _KINDS[kind] is Segment else name


@attrs.frozen(kw_only=True)
class Source:
    """A source of which an index is made.

    :param settings: everything that its examples depend on, apart from its files.
    :param tables: its files: where one has another size or time, the examples are read again.
    :param read: yields its examples; it is called once.
    """

    settings: str
    tables: Sequence[Path]
    read: Callable[[], Iterator[Example]]

    def examples(self) -> Examples:
        """Return the examples, of a large source from an index, which is made where there is none.

        :raises DataError: what `read` raises.
        :raises CheckpointError: the cache is full or not writable.
        """
        folder = self._folder()
        if (index := _opened(folder)) is not None:
            return _reported(index)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            stream = self.read()
            first = list(islice(stream, LEAST))
            if len(first) == LEAST:
                with saving(folder, "set STEERMOE_CACHE to another folder"), _alone(folder):
                    if (index := _opened(folder)) is None:  # another process may have made it
                        _write(folder, chain(first, stream), caught)
                        index = Index(folder)
        if index is not None:
            return _reported(index)
        for one in caught:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
        return Examples.of(first)

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


def _write(folder: Path, examples: Iterator[Example], caught: Sequence[warnings.WarningMessage]) -> None:
    """Write an index to a temporary name, then take the place of older ones of the same source."""
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        tables: dict[tuple[str, str], int] = {}
        with (
            pa.OSFile(str(partial / _TABLE), "wb") as sink,
            pa.ipc.new_file(sink, _SCHEMA) as writer,
        ):
            seconds = array("d")
            while batch := list(islice(examples, CHUNK)):
                writer.write_batch(_columns(batch, tables))
                seconds.extend(one.seconds for one in batch)
                rows_read(len(seconds))
        np.save(partial / _SECONDS, np.frombuffer(seconds, np.float64))
        facts = {"tables": list(tables), "warnings": [str(one.message) for one in caught]}
        (partial / _FACTS).write_text(json.dumps(facts), encoding="utf-8")
        partial.chmod(0o755)
        for old in folder.parent.glob(f"{_of_source(folder)}-*"):
            shutil.rmtree(old, ignore_errors=True)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _columns(batch: Sequence[Example], tables: dict[tuple[str, str], int]) -> pa.RecordBatch:
    """Return the rows of some examples.

    :param tables: numbers of the tables with audio and its column; new ones are added.
    """
    places = [_place(example.audio, tables) for example in batch]
    stats = _stats(str(file_of(one.audio)) for one in batch)
    columns = {
        "id": [one.id for one in batch],
        "text": [one.text for one in batch],
        "seconds": [one.seconds for one in batch],
        "prompt": [one.prompt for one in batch],
        "cluster": [one.cluster for one in batch],
        "references": [json.dumps(one.references) if one.references else None for one in batch],
        "labels": [json.dumps(dict(one.labels)) if one.labels else None for one in batch],
        "split": [one.split for one in batch],
        "size": stats[:, 0],
        "time": stats[:, 1],
        **dict(zip(_AUDIO, map(list, zip(*places, strict=True)), strict=True)),
    }
    arrays = [pa.array(columns[field.name], field.type, from_pandas=False) for field in _SCHEMA]
    return pa.record_batch(arrays, schema=_SCHEMA)


def _place(audio: Audio, tables: dict[tuple[str, str], int]) -> tuple[Any, ...]:
    """Return what `_AUDIO` names of a clip."""
    kind = next(number for number, one in enumerate(_KINDS) if isinstance(audio, one))
    if isinstance(audio, Path):
        return kind, str(audio), None, 0, 0, 0.0, None
    if isinstance(audio, Segment):
        return kind, str(audio.path), None, 0, 0, audio.start, audio.length
    assert isinstance(audio, (Encoded, Samples, Mel))  # noqa: S101 - no built-in source has others
    table = tables.setdefault((str(audio.table), audio.column), len(tables))
    rate = audio.rate if isinstance(audio, Samples) else 0
    return kind, None, table, audio.row, rate, 0.0, audio.length if isinstance(audio, Mel) else None


def _stats(files: Iterable[str]) -> NDArray[np.int64]:
    """Return size and time of change of each file (n,2), -1 where there is none."""
    known: dict[str, tuple[int, int]] = {}
    return np.array([known[one] if one in known else known.setdefault(one, _stat(one)) for one in files])


def _stat(file: str) -> tuple[int, int]:
    try:
        found = os.stat(file)  # noqa: PTH116 - quicker, for a million files
    except OSError:
        return -1, -1
    return (found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else (-1, -1)


def _references(text: str | None) -> tuple[str, ...]:
    return () if text is None else tuple(json.loads(text))


def _labels(text: str | None) -> dict[str, str]:
    return {} if text is None else json.loads(text)


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
