"""The column of a table that holds the audio, and how its type stores it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import attrs
import pyarrow as pa

from steermoe_core.data import columnar
from steermoe_core.data.audio.stored import Encoded, Mel, Samples
from steermoe_core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from pathlib import Path

    from steermoe_core.data.audio.stored import Audio


@attrs.frozen
class AudioColumn:
    """The column of a table that holds the clips.

    :param table: a parquet or Arrow file.
    :param name: of the column.
    :param kind: type of its values.
    :param rate: column with the samples a second of lists of samples.
    :param seconds: column with the seconds of a clip; "" for none: those of log-mel features are measured.
    """

    table: Path
    name: str
    kind: pa.DataType = attrs.field(converter=columnar.storage)
    rate: str
    seconds: str

    def needs(self, present: Collection[str]) -> list[str]:
        """Return the columns that are needed to locate and decode a clip."""
        return [*([self.name] if _is_text(self.kind) else []), *({self.rate} & set(present))]

    def check(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Check that a column of texts holds paths of files.

        :raises DataError: none of them is the path of a file.
        """
        if not _is_text(self.kind):
            return
        first = None
        for values in rows:
            first = values if first is None else first
            if (self.table.parent / str(values[self.name])).is_file():
                return
        if first is not None:
            msg = (
                f"{self.table}: column {self.name!r} holds text, and none of it is the path of a file here "
                f"(the first is {str(first[self.name])[:60]!r}, looked for in {self.table.parent}); "
                "name the column with the audio as `audio_column`"
            )
            raise DataError(msg)

    def clip(self, row: int, values: Mapping[str, Any]) -> Audio:
        """Return the clip of a row.

        :raises DataError: the column holds no audio, or a column that is needed to read it is missing.
        """
        place = (self.table, row, self.name)
        if _is_text(self.kind):
            return self.table.parent / str(values[self.name])
        if _is_sound(self.kind):
            return Encoded(*place)
        if _is_list_of(_is_number, self.kind):
            return Samples(*place, self._rate(row, values))
        if _is_list_of(lambda inner: _is_list_of(_is_number, inner), self.kind):
            return Mel(*place, self._length(row, values)) if self.seconds else _measured(Mel(*place, 0.0))
        msg = (
            f"{self.table}: column {self.name!r} is {self.kind}, which is no audio: bytes of sound files, "
            "datasets' pair of bytes and path, paths, lists of samples and log-mel features are"
        )
        raise DataError(msg)

    def _rate(self, row: int, values: Mapping[str, Any]) -> int:
        rate = values.get(self.rate)
        if not isinstance(rate, int) or rate <= 0:
            problem = f"is {rate!r}" if self.rate in values else "is missing"
            msg = f"{self.table} row {row}: samples need their rate, but column {self.rate!r} {problem}"
            raise DataError(msg)
        return rate

    def _length(self, row: int, values: Mapping[str, Any]) -> float:
        seconds = values[self.seconds]
        if not isinstance(seconds, (int, float)):
            msg = f"{self.table} row {row}: {self.seconds} must be a number of seconds, is {seconds!r}"
            raise DataError(msg)
        return float(seconds)


def _measured(mel: Mel) -> Mel:
    try:
        return mel.measured()
    except DataError:
        return attrs.evolve(mel, length=math.nan)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_sound(kind: pa.DataType) -> bool:
    is_pair = pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0
    return bool(is_pair or pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _is_list_of(inner: Callable[[pa.DataType], bool], kind: pa.DataType) -> bool:
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return bool(is_list and inner(columnar.storage(kind.value_type)))
