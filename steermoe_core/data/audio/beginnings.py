"""Fingerprints of how clips begin, kept from when training read them.

Certificates compare what is scored with all that was trained on. The beginnings tell most clips apart, and
hashing them while they are in memory saves decoding the training data again. A process appends to a file of
its own; a print counts as long as the clip's file has the same size and time.
"""

from __future__ import annotations

import hashlib
import os
import time
import uuid
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from steermoe_core.data.audio.stored import Cell, Segment
from steermoe_core.system.cache import cache_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from steermoe_core.data.audio.stored import Audio

    Numbers = NDArray[np.uint64]

#: Seconds that a print is of.
BEGINNING = 0.5
#: A clip that has no address, or that cannot be read.
NONE = 0
#: A record: where the clip is, the state of its file, the print.
_RECORD = np.dtype([("place", "<u8"), ("state", "<u8"), ("print", "<u8")])
#: Seconds without a new print after which files are made one. What is still appended to one is lost.
_OLD = 3_600.0

_keeping: ContextVar[bool] = ContextVar("keeping", default=False)


def number(content: bytes) -> int:
    """Return 64 bits of a hash, never 0."""
    return int.from_bytes(hashlib.sha256(content).digest()[:8], "little") or 1


def address(audio: Audio) -> str | None:
    """Return a text for where a clip is; None for kinds of audio that are not known here."""
    if isinstance(audio, Path):
        return str(audio)
    if isinstance(audio, Segment):
        return segment_address(str(audio.path), audio.start, audio.length)
    return cell_address(str(audio.table), audio.row, audio.column) if isinstance(audio, Cell) else None


def segment_address(file: str, start: float, length: float | None) -> str:
    """Return the address of a span of a file."""
    return f"{file}\0{start!r}\0{length!r}"


def cell_address(table: str, row: int, column: str) -> str:
    """Return the address of a value in a table."""
    return f"{table}\0{row}\0{column}"


def places(addresses: Iterable[str | None]) -> Iterator[int]:
    """Yield a number for each address."""
    return (NONE if one is None else number(one.encode("utf-8", "surrogateescape")) for one in addresses)


def states(files: Iterable[str]) -> Numbers:
    """Return a number for the state of each file."""
    known: dict[str, int] = {}
    return np.array(
        [known[one] if one in known else known.setdefault(one, _state(one)) for one in files], np.uint64
    )


def _state(file: str) -> int:
    try:
        found = os.stat(file)  # noqa: PTH116 - quicker, for a million files
    except OSError:
        return NONE
    return number(f"{found.st_size} {found.st_mtime_ns}".encode())


def begins(mono: NDArray[np.float32], rate: int) -> int:
    """Return the print of a waveform (samples,) or of log-mel features (frames,bins) at their own rate."""
    beginning = np.ascontiguousarray(mono[: round(BEGINNING * rate)])
    return number(str(rate).encode() + beginning.tobytes())


@contextmanager
def kept_prints(*, when: bool) -> Iterator[None]:
    """Keep the print of every clip that is decoded inside."""
    token = _keeping.set(when)
    try:
        yield
    finally:
        _keeping.reset(token)


def note(audio: Audio, mono: NDArray[np.float32], rate: int) -> None:
    """Keep the print of a clip where `kept_prints` says so."""
    if _keeping.get():
        keep(audio, begins(mono, rate))


def keep(audio: Audio, print_: int) -> None:
    """Keep the print of a clip; where the cache cannot be written, it is computed again."""
    if (where := address(audio)) is not None:
        file = audio if isinstance(audio, Path) else audio.file
        keep_all([where], [str(file)], np.array([print_], np.uint64))


def keep_all(addresses: Sequence[str], files: Sequence[str], prints: Numbers) -> None:
    """Keep the prints of clips by their addresses.

    :param files: that contain them.
    """
    records = np.zeros(len(prints), _RECORD)
    records["place"] = list(places(addresses))
    records["state"] = states(files)
    records["print"] = prints
    with suppress(OSError):
        os.write(_sink(os.getpid(), _folder()), records.tobytes())


def known(wanted: Numbers, files: Iterable[str]) -> Numbers:
    """Return the print of each clip, 0 where none is kept.

    :param wanted: places of the clips.
    :param files: that contain them.
    """
    records = _records(_folder())
    if not len(records) or not len(wanted):
        return np.zeros(len(wanted), np.uint64)
    nearest = np.minimum(np.searchsorted(records["place"], wanted), len(records) - 1)
    found = records[nearest]
    fits = (found["place"] == wanted) & (found["state"] == states(files)) & (wanted != NONE)
    return np.where(fits, found["print"], np.uint64(NONE))


def _folder() -> Path:
    return cache_folder() / "beginnings"


@lru_cache(maxsize=1)
def _sink(process: int, folder: Path) -> int:
    """Open the file of a process."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{process}-{uuid.uuid4().hex[:12]}.bin"
    return os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)


def _records(folder: Path) -> NDArray[np.void]:
    """Return all records by place, the newest of each; old files are made one."""
    read = sorted(filter(None, map(_read, folder.glob("*.bin"))), key=lambda one: one[0])
    parts = [records for *_, records in read]
    old = [file for changed, file, _ in read if changed < time.time() - _OLD]
    if len(old) > 1:
        _merge(folder, old, _newest(parts[: len(old)]))
    return _newest(parts)


def _read(file: Path) -> tuple[float, Path, NDArray[np.void]] | None:
    """Return the time, the name and the records of a file; None where another process has merged it."""
    try:
        return file.stat().st_mtime, file, np.fromfile(file, _RECORD)
    except FileNotFoundError:
        return None


def _newest(parts: list[NDArray[np.void]]) -> NDArray[np.void]:
    every = np.concatenate([np.zeros(0, _RECORD), *parts])[::-1]
    _, first = np.unique(every["place"], return_index=True)
    return every[first]


def _merge(folder: Path, files: list[Path], records: NDArray[np.void]) -> None:
    partial = folder / f".{uuid.uuid4().hex[:12]}"
    with suppress(OSError):
        partial.write_bytes(records.tobytes())
        os.utime(partial, (files[-1].stat().st_mtime,) * 2)
        partial.replace(folder / f"all-{uuid.uuid4().hex[:12]}.bin")
        for file in files:
            file.unlink(missing_ok=True)
