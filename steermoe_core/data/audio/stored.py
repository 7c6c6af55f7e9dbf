"""Audio that is not a whole file: a span of one, or a value in a table, read when a batch needs it.

Each record holds a location only: it is small, can be sent to other processes, and equal records are the same
audio.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import attrs
import numpy as np
import pyarrow as pa

from steermoe_core.data import columnar
from steermoe_core.data.audio import sounds
from steermoe_core.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Frames a second of stored log-mel features.
MEL_RATE = 100
#: Features that exceed the lowest one by no more are silence.
_SILENCE = 1e-4
#: Full scale of 16-bit samples.
_FULL_SCALE = 2**15
#: Seconds by which a segment may exceed its file: tables round.
_OVERHANG = 0.05


class StoredAudio(ABC):
    """Audio that is not a file of its own: the `audio` of an `Example`.

    A subclass is a frozen attrs class that holds the location alone: it is sent to other processes, and equal
    records are the same audio. ``str()`` of it names the location in messages.
    """

    @property
    @abstractmethod
    def file(self) -> Path:
        """The file that contains it."""

    @abstractmethod
    def samples(self) -> tuple[NDArray[np.float32], int]:
        """Return (samples, channels) with full scale at ±1, and the samples a second.

        :raises DataError: it cannot be read.
        """

    @abstractmethod
    def seconds(self) -> float:
        """Return its length without decoding it.

        :raises DataError: it is missing, or its header shows that it is damaged.
        """


class EncodedAudio(StoredAudio):
    """The content of a sound file (wav, flac, mp3, …) that is stored inside another file."""

    @abstractmethod
    def content(self) -> bytes | Path | IO[bytes]:
        """Return the content, the path of a file with it, or a seekable stream of it.

        :raises DataError: it cannot be read.
        """

    def samples(self) -> tuple[NDArray[np.float32], int]:
        return sounds.read(self.content(), str(self))

    def seconds(self) -> float:
        return sounds.measure(self.content(), str(self))


@attrs.frozen
class Segment(StoredAudio):
    """A span of a sound file.

    :param path: the sound file.
    :param start: seconds from its beginning.
    :param length: seconds; None goes to the end of the file.
    """

    path: Path
    start: float
    length: float | None = None

    @property
    def file(self) -> Path:
        return self.path

    def samples(self) -> tuple[NDArray[np.float32], int]:
        return sounds.read(self.path, str(self), self.start, self.length)

    def seconds(self) -> float:
        whole = sounds.measure(self.path, str(self))
        end = whole if self.length is None else self.start + self.length
        if self.start >= whole or end > whole + _OVERHANG:
            msg = f"{self}: the file is only {whole:g} s long"
            raise DataError(msg)
        return end - self.start

    def __str__(self) -> str:
        """Return the file and the span."""
        end = "the end" if self.length is None else f"{self.start + self.length:g} s"
        return f"{self.path} from {self.start:g} s to {end}"


@attrs.frozen
class Cell(StoredAudio):
    """A value in a table.

    :param table: a parquet or Arrow file.
    :param row: its number in the file, from 0.
    :param column: the column's name.
    """

    table: Path
    row: int
    column: str

    @property
    def file(self) -> Path:
        return self.table

    def value(self) -> Any:
        """Return the value as a pyarrow scalar."""
        return columnar.value(self.table, self.row, self.column)

    def __str__(self) -> str:
        """Return the table and the row."""
        return f"{self.table} row {self.row}"


@attrs.frozen
class Encoded(EncodedAudio, Cell):
    """The content of a sound file in a table: bytes, or `datasets`' pair of bytes and path."""

    def content(self) -> Path | bytes:
        content, path = self._stored()
        if content:
            return bytes(content.to_pybytes())
        if path:
            return self.table.parent / path
        msg = f"{self}: column {self.column!r} has neither bytes nor a path"
        raise DataError(msg)

    def seconds(self) -> float:
        """Return its length; of a table that is mapped, no more than the header and the end are read."""
        content, _ = self._stored()
        return sounds.measure(pa.BufferReader(content), str(self)) if content else super().seconds()

    def _stored(self) -> tuple[pa.Buffer | None, str | None]:
        """Return the bytes, which are not copied, and the path."""
        value, path = columnar.cell(self.table, self.row, self.column), None
        if pa.types.is_struct(value.type):
            fields = {field.name for field in value.type}
            path = value.field("path")[0].as_py() if "path" in fields else None
            value = value.field("bytes")
        return columnar.content(value), path


@attrs.frozen
class Samples(Cell):
    """A list of samples in a table; whole numbers are 16-bit samples.

    :param rate: samples a second.
    """

    rate: int

    def samples(self) -> tuple[NDArray[np.float32], int]:
        samples = self.value().values.to_numpy(zero_copy_only=False)
        if not np.issubdtype(samples.dtype, np.integer):
            return samples.astype(np.float32)[:, None], self.rate
        if len(samples) and max(-int(samples.min()), int(samples.max())) > _FULL_SCALE:
            msg = f"{self}: whole numbers in {self.column!r} must be 16-bit samples, but some are larger"
            raise DataError(msg)
        return (samples / np.float32(_FULL_SCALE)).astype(np.float32)[:, None], self.rate

    def seconds(self) -> float:
        count = len(self.value())
        if not count:
            raise sounds.empty(str(self))
        return count / self.rate


@attrs.frozen
class Mel(Cell):
    """Log-mel features of a clip in a table, 100 frames a second, possibly padded, without the audio.

    :param length: seconds of the clip, without the padding.
    """

    length: float

    def samples(self) -> tuple[NDArray[np.float32], int]:
        msg = f"{self}: the table holds log-mel features, which cannot be played or read as sound"
        raise DataError(msg)

    def seconds(self) -> float:
        return self.length

    def features(self) -> NDArray[np.float32]:
        """Return all stored frames (T,bins).

        :raises DataError: they are not a rectangle of finite numbers, or fewer than the clip's length.
        """
        bins = self.value().values
        lengths = {len(row) for row in bins}
        if len(lengths) != 1 or not (frames := lengths.pop()):
            msg = f"{self}: {self.column!r} must be a list of bins with equally many frames each"
            raise DataError(msg)
        features = bins.flatten().to_numpy(zero_copy_only=False).reshape(-1, frames).T.astype(np.float32)
        if not np.isfinite(features).all():
            msg = f"{self}: the features hold values that are not finite"
            raise DataError(msg)
        if self.frames() > len(features) + 1:
            end = len(features) / MEL_RATE
            msg = f"{self}: the features end after {end:g} s, the clip after {self.length:g} s"
            raise DataError(msg)
        return np.ascontiguousarray(features)

    def measured(self) -> Mel:
        """Return the clip with its length measured: up to the last frame that is not padding.

        Padded audio is silent, so that all bins of these frames have the lowest value of the clip.

        :raises DataError: as `features`.
        """
        features = attrs.evolve(self, length=0.0).features()  # (T,bins)
        sounding = np.flatnonzero((features > features.min() + _SILENCE).any(axis=1))
        frames = int(sounding[-1]) + 1 if len(sounding) else 0
        return attrs.evolve(self, length=frames / MEL_RATE)

    def frames(self) -> int:
        """Return the number of frames without the padding."""
        return max(math.floor(self.length * MEL_RATE + 1e-6), 1)  # a partial frame is not counted


#: The audio of an example: a file, or another location.
Audio = Path | StoredAudio
