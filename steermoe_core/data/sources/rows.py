"""From rows of any table to examples: the same columns, parts and errors for every source."""

from __future__ import annotations

import math
import warnings
from array import array
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from steermoe_core.data.audio.waveform import durations, file_of, size
from steermoe_core.data.config import ALL
from steermoe_core.data.example import Example
from steermoe_core.data.examples import CHUNK
from steermoe_core.data.index import Source
from steermoe_core.data.split import part_of, part_of_group
from steermoe_core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

    from steermoe_core.data.audio.stored import Audio
    from steermoe_core.data.config import SourceConfig
    from steermoe_core.data.examples import Examples

#: Columns of the transcript where the experiment names none: the usual ones, and others that cause a warning.
TEXTS = ("transcription", "text")
OTHER_TEXTS = ("sentence", "transcript", "normalized_text", "raw_text", "raw_transcription", "utterance")


@attrs.frozen(kw_only=True)
class Columns:
    """The column of each meaning; "" where there is none."""

    text: str
    prompt: str
    cluster: str
    id: str
    seconds: str
    references: str
    split: str
    parts: str
    labels: tuple[str, ...]

    @classmethod
    def of(
        cls,
        config: SourceConfig,
        present: Collection[str],
        place: str,
        standard: Mapping[str, Sequence[str]] | None = None,
    ) -> Columns:
        """Return the columns that the settings name, or where they name none, the standard ones.

        :param present: the columns of the table.
        :param standard: usual names of a format's columns, by meaning.
        :raises DataError: a column is missing.
        """
        usual = standard or {}
        meanings = [field.name for field in attrs.fields(cls) if field.name not in {"text", "labels"}]
        columns = {
            meaning: column(getattr(config, f"{meaning}_column"), usual.get(meaning, ()), present, place)
            for meaning in meanings
        }
        named = [column(name, (), present, place) for name in config.label_columns]
        labels = named or [name for name in usual.get("labels", ()) if name in present]
        return cls(text=_text_column(config, present, place), **columns, labels=tuple(labels))

    @property
    def all(self) -> list[str]:
        """Return the columns to read, each once."""
        names = attrs.astuple(self, recurse=False)
        return list(dict.fromkeys([*filter(None, names[:-1]), *self.labels]))


@attrs.frozen(kw_only=True)
class Row:
    """One row of a table, before it is an example.

    :param place: its location, for messages (``clips.jsonl:3``).
    :param values: its fields by column.
    :param columns: the column of each meaning.
    :param audio: its clip.
    :param name: its id where no column has one; rows of the same file may have the same.
    :param part: the part it belongs to, where the source is divided already.
    """

    place: str
    values: Mapping[str, Any]
    columns: Columns
    audio: Audio
    name: str
    part: str | None = None

    def text(self, name: str) -> str:
        """Return a field that must be text.

        :raises DataError: it is not.
        """
        value = self.values.get(name)
        if not isinstance(value, str):
            kind = "empty" if value is None else repr(value)
            msg = f"{self.place}: column {name!r} must hold text, is {kind}"
            raise DataError(msg)
        return value

    def optional(self, name: str) -> str | None:
        """Return a field as text, or None where it is empty or there is no such column."""
        value = self.values.get(name) if name else None
        return None if value is None else str(value)


def column(named: str, usual: Sequence[str], present: Collection[str], place: str) -> str:
    """Return the column that the settings name, else the first usual one that is present, else "".

    :raises DataError: the named one is missing.
    """
    if named and named not in present:
        raise missing(place, [named], present)
    return named or next((name for name in usual if name in present), "")


def _text_column(config: SourceConfig, present: Collection[str], place: str) -> str:
    """Return the column of the transcript: the one that the settings name, or the only one of a usual name.

    :raises DataError: there is none, or more than one.
    """
    if config.text_column:
        return column(config.text_column, (), present, place)
    candidates = text_columns(present)
    if not candidates:
        msg = f"{missing(place, TEXTS, present)}; name the column with the text as `text_column`"
        raise DataError(msg)
    if len(candidates) > 1:
        names = " and ".join(map(repr, candidates))
        msg = f"{place}: the columns {names} may each hold the text; choose one with `text_column`"
        raise DataError(msg)
    if candidates[0] not in TEXTS:
        message = f"{config.path}: the texts are from column {candidates[0]!r}; `text_column` names another"
        warnings.warn(message, stacklevel=2)
    return candidates[0]


def text_columns(present: Collection[str]) -> list[str]:
    """Return the columns of a usual name for the transcript; others than `TEXTS` only without these."""
    usual = [name for name in TEXTS if name in present]
    return usual or [name for name in present if name.lower() in {*TEXTS, *OTHER_TEXTS}]


def missing(place: str, names: Sequence[str], present: Collection[str]) -> DataError:
    """Return the error for a missing column that may have any of several names."""
    any_of = " or ".join(map(repr, names))
    return DataError(f"{place}: there is no column {any_of}; its columns are {', '.join(present)}")


def examples(rows: Callable[[], Iterable[Row]], config: SourceConfig) -> Iterator[Example]:
    """Yield an example for each row, in their order.

    A clip that is missing or unreadable has nan seconds: `data.usable` counts it.

    :param rows: yields the rows, each time that it is called: they are not in memory together.
    :raises DataError: a field is missing or has the wrong type, or an id or file is in two rows.
    """
    ids = _Ids(rows())
    stream = iter(rows())
    while batch := list(islice(stream, CHUNK)):
        for row, name, seconds in zip(batch, ids.of(batch), _seconds(batch), strict=True):
            yield _example(row, config, name, seconds)


def indexed(
    config: SourceConfig,
    tables: Sequence[Path],
    read: Callable[[], Iterator[Example]],
    split: str,
    columns: Callable[[], Iterator[pa.RecordBatch] | None] | None = None,
) -> Examples:
    """Return the examples of a source that belong to the chosen parts, at every speed.

    :param tables: its files.
    :param read: yields the examples of all parts.
    :param columns: the same as rows of an index: see `Source`.
    :raises DataError: there are none in these parts, or what `read` raises.
    """
    chosen = {"split", "part", "speeds"} & {field.name for field in attrs.fields(type(config))}
    settings = attrs.asdict(config, filter=lambda field, _: field.name not in chosen)
    everything = Source(
        settings=repr([type(config).__name__, settings, [str(path) for path in tables]]),
        tables=tables,
        read=read,
        columns=columns,
    ).examples()
    return take_parts(everything, config, split)


def take_parts(examples: Examples, config: SourceConfig, split: str) -> Examples:
    """Return the examples of the chosen parts, at every speed.

    :raises DataError: there are none.
    """
    parts = list(examples.values("split")) if split != ALL else []
    kept = examples if split == ALL else examples.take(np.array([takes(split, part) for part in parts], bool))
    if not kept:
        raise no_such_part(config, split, {part for part in parts if part is not None})
    return kept.at_speeds(config.speeds)


def takes(split: str, part: str | None) -> bool:
    """Return whether `split`, a name or several joined by ``+``, includes a part."""
    return split == ALL or part in split.split("+")


def no_such_part(config: SourceConfig, split: str, present: Collection[str]) -> DataError:
    """Return the error for a missing part."""
    parts = f"its parts are {', '.join(present)}" if present else "it has no parts; set `parts` to divide it"
    return DataError(f"{config.path}: no clip belongs to split {split!r}; {parts}")


def _example(row: Row, config: SourceConfig, name: str, seconds: float) -> Example:
    columns, text = row.columns, row.text(row.columns.text).strip()
    file = row.name if columns.prompt else None  # questions about one file are not independent
    return Example(
        id=name,
        audio=row.audio,
        text=text,
        seconds=seconds,
        prompt=row.text(columns.prompt) if columns.prompt else None,
        cluster=row.optional(cluster) if (cluster := columns.cluster or columns.parts) else file,
        references=_references(row),
        labels=dict(_labels(row)),
        split=_part(row, text, config),
    )


def _part(row: Row, text: str, config: SourceConfig) -> str | None:
    if config.parts and row.columns.split:
        msg = f"{config.path}: its column {row.columns.split!r} divides it already; leave out `parts`"
        raise DataError(msg)
    if config.parts and row.columns.parts:
        group = row.optional(row.columns.parts)
        if not group:
            msg = f"{row.place}: column {row.columns.parts!r} is empty, and `parts` divides by it"
            raise DataError(msg)
        return part_of_group(group, config.parts, config.seed)
    if config.parts:
        return part_of(text, config.parts, config.seed)
    return row.optional(row.columns.split) if row.columns.split else row.part


class _Ids:
    """The ids of rows, which are gone through twice: first to find the names that occur more than once.

    Only these are remembered, so that a source without repetitions takes a hash for each row.
    """

    def __init__(self, rows: Iterable[Row]) -> None:
        names, audios = array("q"), array("q")
        for row in rows:
            names.append(hash(row.optional(row.columns.id) or row.name))
            if not row.columns.prompt:
                audios.append(hash(row.audio))
        self._repeated, self._shared = repeated(names), repeated(audios)
        self._names: Counter[str] = Counter()
        self._audios: set[Audio] = set()

    def of(self, rows: Iterable[Row]) -> Iterator[str]:
        """Yield the ids of the next rows."""
        for row in rows:
            named = row.optional(row.columns.id)
            name = named or row.name
            if not row.columns.prompt and hash(row.audio) in self._shared:
                self._check_audio(row)
            yield self._numbered(row, name, named) if hash(name) in self._repeated else name

    def _numbered(self, row: Row, name: str, named: str | None) -> str:
        self._names[name] += 1
        if named and self._names[name] > 1:
            msg = f"{row.place}: the id {name!r} has a row already; choose a column without repetitions"
            raise DataError(msg)
        return name if self._names[name] == 1 else f"{name}#{self._names[name]}"

    def _check_audio(self, row: Row) -> None:
        if row.audio in self._audios:
            msg = f"{row.place}: {row.name} has a row already; without a prompt column a file has one text"
            raise DataError(msg)
        self._audios.add(row.audio)


def repeated(hashes: array[int]) -> set[int]:
    """Return the hashes that occur more than once."""
    ordered = np.frombuffer(hashes, np.int64) if hashes else np.zeros(0, np.int64)
    ordered.sort()  # in place: there may be millions
    return set(ordered[1:][ordered[1:] == ordered[:-1]].tolist())


def _seconds(rows: Sequence[Row]) -> Iterator[float]:
    """Yield durations: those of the table where the clip exists, else those of the clips' headers."""
    stated = [row.values.get(row.columns.seconds) if row.columns.seconds else None for row in rows]
    unknown = [row.audio for row, seconds in zip(rows, stated, strict=True) if seconds is None]
    clips = list(dict.fromkeys(unknown))
    measured = dict(zip(clips, durations(clips), strict=True))
    sizes: dict[Path, int] = {}
    for row, seconds in zip(rows, stated, strict=True):
        if seconds is None:
            yield measured[row.audio]
            continue
        length = _stated(row, seconds)
        file = file_of(row.audio)
        if file not in sizes:
            sizes[file] = size(file)
        yield length if sizes[file] > 0 else math.nan


def _stated(row: Row, seconds: object) -> float:
    try:
        return float(seconds)  # type: ignore[arg-type] # csv has text, and anything else is an error
    except (TypeError, ValueError):
        msg = f"{row.place}: {row.columns.seconds} must be a number of seconds, is {seconds!r}"
        raise DataError(msg) from None


def _references(row: Row) -> tuple[str, ...]:
    name = row.columns.references
    texts = row.values.get(name) if name else None
    if texts is None:
        return ()
    if not isinstance(texts, (list, tuple)) or not all(isinstance(text, str) for text in texts):
        msg = f"{row.place}: column {name!r} must hold a list of texts, is {texts!r}"
        raise DataError(msg)
    return tuple(texts)


def _labels(row: Row) -> Iterator[tuple[str, str]]:
    """Yield the labels of a row; a table of labels yields all of its entries."""
    for name in row.columns.labels:
        label = row.values.get(name)
        entries = label.items() if isinstance(label, dict) else [(name, label)]
        yield from ((key, str(value)) for key, value in entries if value is not None)
