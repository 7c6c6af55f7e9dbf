"""The rows of an index: an example in columns, and back."""

from __future__ import annotations

import json
import os
import stat
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from steermoe_core.data.audio.beginnings import cell_address, segment_address
from steermoe_core.data.audio.stored import Encoded, Mel, Samples, Segment
from steermoe_core.data.audio.waveform import file_of
from steermoe_core.data.example import Example
from steermoe_core.data.examples import CHUNK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from steermoe_core.data.audio.stored import Audio

#: A text that many rows have: each batch of rows has a list of its own of these.
_TEXTS = pa.dictionary(pa.int32(), pa.large_string())
#: The columns. `_AUDIO` are those that say where the audio is: see `_place` and `_audio`.
SCHEMA = pa.schema(
    {
        "id": pa.large_string(),
        "text": pa.large_string(),
        "seconds": pa.float64(),
        "prompt": pa.large_string(),
        "cluster": pa.large_string(),
        "references": pa.large_string(),  # JSON, as labels
        "labels": pa.large_string(),
        "split": pa.large_string(),
        "file": _TEXTS,
        "size": pa.int64(),
        "time": pa.int64(),
        "kind": pa.int8(),
        "column": _TEXTS,
        "row": pa.int64(),
        "rate": pa.int32(),
        "start": pa.float64(),
        "length": pa.float64(),
    }
)
#: Those that are attributes of an example as they are.
_PLAIN = ("id", "text", "seconds", "prompt", "cluster", "split")
#: What `kind` counts, and the first two.
FILE, SPAN = range(2)
_KINDS: list[type] = [type(Path()), Segment, Encoded, Samples, Mel]
_AUDIO = ("kind", "file", "column", "row", "rate", "start", "length")


def example(values: Mapping[str, Any]) -> Example:
    """Return the example of a row."""
    made = {name: MADE[name] for name in ("audio", "references", "labels")}
    return Example(
        **{name: values[name] for name in _PLAIN},
        **{name: make(*map(values.get, of)) for name, (make, of) in made.items()},
    )


def batches(examples: Iterator[Example]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of examples."""
    while batch := list(islice(examples, CHUNK)):
        places = map(list, zip(*(_place(one.audio) for one in batch), strict=True))
        audio = dict(zip(_AUDIO, places, strict=True))
        yield rows_of(
            pa.array(audio.pop("file"), pa.large_string()).dictionary_encode(),
            references=[json.dumps(one.references) if one.references else None for one in batch],
            labels=[json.dumps(dict(one.labels)) if one.labels else None for one in batch],
            **{name: [getattr(one, name) for one in batch] for name in _PLAIN},
            **audio,
        )


def rows_of(files: pa.DictionaryArray, **columns: pa.Array | Sequence[Any]) -> pa.RecordBatch:
    """Return rows of an index.

    :param files: that each row's audio is in.
    :param columns: by name; the others are empty.
    """
    size, time = stats(files).T
    given = {"file": files, "size": size, "time": time, **columns}
    arrays = [_array(given.get(field.name), field.type, len(files)) for field in SCHEMA]
    return pa.record_batch(arrays, schema=SCHEMA)


def _array(values: Any, kind: pa.DataType, rows: int) -> pa.Array:
    if values is None:
        return pa.nulls(rows, kind)
    if isinstance(values, pa.Array):
        return values.cast(kind)
    if kind == _TEXTS:
        return pa.array(values, kind.value_type).dictionary_encode()
    return pa.array(values, kind, from_pandas=False)


def _place(audio: Audio) -> tuple[Any, ...]:
    """Return what `_AUDIO` names of a clip."""
    kind = next(number for number, one in enumerate(_KINDS) if isinstance(audio, one))
    file = str(file_of(audio))
    if isinstance(audio, Path):
        return kind, file, None, 0, 0, 0.0, None
    if isinstance(audio, Segment):
        return kind, file, None, 0, 0, audio.start, audio.length
    assert isinstance(audio, (Encoded, Samples, Mel))  # noqa: S101 - no built-in source has others
    rate = audio.rate if isinstance(audio, Samples) else 0
    return kind, file, audio.column, audio.row, rate, 0.0, audio.length if isinstance(audio, Mel) else None


def _audio(
    kind: int, file: str, column: str | None, row: int, rate: int, start: float, length: float | None
) -> Audio:
    """Return the audio that `_AUDIO` describes."""
    path = Path(file)
    if column is None:
        return Segment(path, start, length) if kind == SPAN else path
    if _KINDS[kind] is Encoded:
        return Encoded(path, row, column)
    if _KINDS[kind] is Samples:
        return Samples(path, row, column, rate)
    return Mel(path, row, column, np.nan if length is None else length)


def _address(
    kind: int, file: str, column: str | None, row: int, _rate: int, start: float, length: float | None
) -> str:
    """Return what `beginnings.address` does, without an object for each clip."""
    if column is not None:
        return cell_address(file, row, column)
    return segment_address(file, start, length) if kind == SPAN else file


def listed(values: pa.Array) -> list[Any]:
    """Return the values of a column, of which equal texts of a batch are one object."""
    if not isinstance(values, pa.DictionaryArray):
        return list(values.to_pylist())
    texts = values.dictionary.to_pylist()
    return [None if number is None else texts[number] for number in values.indices.to_pylist()]


def stats(files: pa.DictionaryArray) -> NDArray[np.int64]:
    """Return size and time of change of each file (n,2), -1 where there is none; each is examined once."""
    found = np.array([_stat(one) for one in files.dictionary.to_pylist()], np.int64).reshape(-1, 2)
    each: NDArray[np.int64] = found[np.from_dlpack(files.indices)]
    return each


def _stat(file: str) -> tuple[int, int]:
    try:
        found = os.stat(file)  # noqa: PTH116 - quicker, for a million files
    except (OSError, ValueError):  # the latter of a name with a null character
        return -1, -1
    return (found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else (-1, -1)


def _references(text: str | None) -> tuple[str, ...]:
    return () if text is None else tuple(json.loads(text))


def _labels(text: str | None) -> dict[str, str]:
    return {} if text is None else json.loads(text)


#: What is made of columns, and of which.
MADE: dict[str, tuple[Callable[..., Any], Sequence[str]]] = {
    "audio": (_audio, _AUDIO),
    "address": (_address, _AUDIO),
    "kind": (_KINDS.__getitem__, ["kind"]),
    "references": (_references, ["references"]),
    "labels": (_labels, ["labels"]),
}
