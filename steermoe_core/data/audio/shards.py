"""Shards: arrays of clips, appended to files of bounded size, each with an index.

A shard is a pair of files. ``NAME.frames`` contains the values of one clip after the other; ``NAME.index``
contains a record of fixed size for each clip, written after its values. A shard belongs to the process that
creates it, so that any number of processes may write to a folder. A process that is killed leaves values
without a record, or part of a record; readers ignore both.
"""

from __future__ import annotations

import zlib
from contextlib import ExitStack
from typing import TYPE_CHECKING
from uuid import uuid4

import attrs
import numpy as np
import torch

from steermoe_core.errors import DataError
from steermoe_core.system.files import saving

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from typing import IO

    from numpy.typing import NDArray
    from typing_extensions import Self

#: Bytes after which a writer begins another shard.
LIMIT = 2**30
#: A record of an index: the clip, its first byte in the shard, its shape, its true length, its checksum.
_RECORD = np.dtype([
    ("clip", "S32"), ("start", "<u8"), ("rows", "<u4"), ("width", "<u4"), ("length", "<u4"), ("crc", "<u4"),
])  # fmt: skip
_VALUES, _INDEX = ".frames", ".index"
#: What the user can do about a disk without room.
_INSTEAD = "set STEERMOE_CACHE to another folder"


@attrs.frozen(kw_only=True)
class Stored:
    """Where the values (rows,width) of a clip are.

    :param shard: the file.
    :param start: the first byte.
    :param length: rows that are real; the others are padding that belongs to the values.
    :param crc: CRC-32 of the bytes.
    :param dtype: of the values.
    """

    shard: Path
    start: int
    rows: int
    width: int
    length: int
    crc: int
    dtype: torch.dtype

    def read(self) -> torch.Tensor:
        """Return the values, mapped into memory.

        :raises DataError: the shard was deleted or is damaged.
        """
        size = self.rows * self.width * self.dtype.itemsize
        try:
            # "c": a private mapping; torch warns of arrays that it cannot write to.
            mapped = np.memmap(self.shard, np.uint8, "c", self.start, (size,))
        except (OSError, ValueError) as error:
            msg = f"{self.shard}: cannot be read ({error})"
            raise DataError(msg) from None
        if zlib.crc32(mapped.data) != self.crc:
            msg = f"{self.shard}: is damaged (checksum of {size} bytes at {self.start})"
            raise DataError(msg)
        return torch.from_numpy(mapped).view(self.dtype).reshape(self.rows, self.width)


class Shards:
    """The clips in the shards of a folder, as they are when it is opened.

    :param dtype: of all values in the folder.
    """

    def __init__(self, folder: Path, dtype: torch.dtype) -> None:
        self._dtype = dtype
        self._files = sorted(folder.glob(f"*{_INDEX}"))
        found = [_whole(file, dtype) for file in self._files]
        records = np.concatenate([np.zeros(0, _RECORD), *found])
        shards = np.repeat(np.arange(len(found)), [len(one) for one in found])
        clips, first = np.unique(records["clip"], return_index=True)
        self._clips, self._records, self._shards = clips, records[first], shards[first]

    def numbers(self, clips: Iterable[str]) -> NDArray[np.int64]:
        """Return the number of each clip, by which `stored` finds it; -1 where it is not stored."""
        wanted = np.array(list(clips), self._clips.dtype)
        if not len(self._clips):
            return np.full(len(wanted), -1)
        places = np.searchsorted(self._clips, wanted).clip(max=len(self._clips) - 1)
        return np.where(self._clips[places] == wanted, places, -1)

    def stored(self, number: int) -> Stored:
        """Return where the values of a clip are."""
        record = self._records[number]
        shard = self._files[self._shards[number]].with_suffix(_VALUES)
        numbers = {name: int(record[name]) for name in ("start", "rows", "width", "length", "crc")}
        return Stored(shard=shard, dtype=self._dtype, **numbers)


class ShardWriter:
    """Appends clips to shards of its own; a context manager that closes them.

    :param folder: created with the first clip.
    """

    def __init__(self, folder: Path, limit: int = LIMIT) -> None:
        self._folder, self._limit = folder, limit
        self._open: tuple[IO[bytes], IO[bytes]] | None = None

    def __enter__(self) -> Self:
        """Begin; nothing is created yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the shard."""
        self._close()

    def add(self, clips: Iterable[tuple[str, torch.Tensor, int]]) -> None:
        """Append clips: the name, the values (rows,width) and the number of real rows of each.

        :raises CheckpointError: the disk is full or not writable.
        """
        with saving(self._folder, _INSTEAD):
            values, index = self._shard()
            records = []
            for clip, rows, length in clips:
                content = rows.contiguous().view(torch.uint8).numpy().tobytes()
                records.append((clip, values.tell(), *rows.shape, length, zlib.crc32(content)))
                values.write(content)
            values.flush()
            index.write(np.array(records, _RECORD).tobytes())
            index.flush()

    def _shard(self) -> tuple[IO[bytes], IO[bytes]]:
        """Return the open files of a shard with room."""
        if self._open and self._open[0].tell() >= self._limit:
            self._close()
        if not self._open:
            self._folder.mkdir(parents=True, exist_ok=True)
            name = self._folder / uuid4().hex[:16]
            self._open = name.with_suffix(_VALUES).open("xb"), name.with_suffix(_INDEX).open("xb")
        return self._open

    def _close(self) -> None:
        files, self._open = self._open or (), None
        with saving(self._folder, _INSTEAD), ExitStack() as stack:
            for file in files:
                stack.enter_context(file)


def _whole(index: Path, dtype: torch.dtype) -> NDArray[np.void]:
    """Return the records of an index whose values are in the shard up to their end."""
    records = np.fromfile(index, _RECORD)  # without a last record that is cut off
    values = index.with_suffix(_VALUES)
    size = values.stat().st_size if values.is_file() else 0
    ends = records["start"] + records["rows"].astype(np.uint64) * records["width"] * dtype.itemsize
    whole: NDArray[np.void] = records[ends <= size]
    return whole
