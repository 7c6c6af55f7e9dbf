"""Sounds in any format: libsndfile reads what it knows, PyAV (the extra `av`) the rest."""

from __future__ import annotations

import io
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from steermoe_core.data.audio import containers, soundfiles
from steermoe_core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Block = tuple[NDArray[np.float32], int]


def read(sound: Path | bytes, name: str, start: float = 0.0, seconds: float | None = None) -> Block:
    """Decode a sound, or a span of it.

    :param sound: a file, or the content of one: wav, flac, ogg, opus, mp3, … or with PyAV m4a, mp4, webm, …
    :param name: what an error calls it.
    :param start: seconds from its beginning.
    :param seconds: length of the span; None reads to the end.
    :returns: (samples, channels) float32 with full scale at ±1, and the samples a second.
    :raises DataError: it is missing or cannot be decoded.
    """
    _check(sound, name)
    try:
        return soundfiles.read(sound, name, start, seconds)
    except soundfiles.UnknownFormatError as refusal:
        end = None if seconds is None else start + seconds
        samples, rate = _joined(containers.blocks(_seekable(sound), name, refusal), end)
        last = len(samples) if end is None else round(start * rate) + round((end - start) * rate)
        return samples[round(start * rate) : last], rate


def blocks(sound: Path | IO[bytes], name: str) -> Iterator[Block]:
    """Decode a sound of any length, a block at a time.

    :param sound: a file, or a stream that can be sought in.
    :returns: blocks (samples, channels) which together are what `read` returns, with the samples a second.
    :raises DataError: it cannot be decoded to its end.
    """
    _check(sound, name)
    try:
        yield from soundfiles.blocks(sound, name)
    except soundfiles.UnknownFormatError as refusal:
        if not isinstance(sound, Path):
            sound.seek(0)
        yield from containers.blocks(sound, name, refusal)


def measure(sound: Path | bytes, name: str) -> float:
    """Return the seconds of a sound without decoding it, and find out whether its end is there.

    :raises DataError: it is missing, unreadable, cut off or empty, or its header gives no length.
    """
    _check(sound, name)
    try:
        return soundfiles.measure(sound, name)
    except soundfiles.UnknownFormatError as refusal:
        return containers.measure(_seekable(sound), name, refusal)


def seconds(file: Path) -> float | None:
    """Return the seconds of a sound by its header; None where nothing but reading it all could tell."""
    try:
        return soundfiles.measure(file, str(file))
    except DataError:
        return containers.seconds(file)


def empty(name: str) -> DataError:
    """Return the error for a sound of no length."""
    return soundfiles.empty(name)


def _check(sound: object, name: str) -> None:
    if isinstance(sound, Path) and sound.suffix.lower() == ".raw":
        msg = f"{name}: a .raw file does not say its rate and channels; write it as wav or flac"
        raise DataError(msg)


def _seekable(sound: Path | bytes) -> Path | io.BytesIO:
    return io.BytesIO(sound) if isinstance(sound, bytes) else sound


def _joined(found: Iterator[Block], end: float | None) -> Block:
    """Return blocks as one, as far as they are needed.

    :param end: seconds that are enough; None takes all.
    """
    taken, heard, rate = [np.zeros((0, 1), np.float32)], 0, 1
    for samples, rate in found:
        taken.append(samples)
        heard += len(samples)
        if end is not None and heard > end * rate:
            break
    return np.concatenate(taken[1:] or taken), rate
