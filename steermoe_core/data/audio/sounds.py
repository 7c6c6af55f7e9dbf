"""The one place where audio files are decoded, for training, scoring and transcription alike.

libsndfile reads the formats that it knows; PyAV (the extra `av`) reads the others.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
import soundfile

from steermoe_core.data.audio import containers
from steermoe_core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    #: Samples (samples, channels) float32 with full scale at ±1, and the samples a second.
    Block = tuple[NDArray[np.float32], int]

#: Frames that `blocks` decodes at once: 16 s at 16 kHz.
_BLOCK = 2**18
#: libsndfile's codes for an unknown format, and for an unknown codec in a known format.
_UNKNOWN_FORMAT = (1, 4)
#: libsndfile reports a larger number of frames where the header does not give one.
_UNKNOWN_FRAMES = 2**62


class _UnknownFormatError(DataError):
    """libsndfile does not know the format; PyAV may."""


class _Unseekable(soundfile.SoundFile):  # type: ignore[misc] # untyped
    """A file that is read from beginning to end.

    soundfile seeks after every block of a seekable file, and libsndfile 1.2.2 leaves gaps after a seek in an
    MP3.
    """

    def seekable(self) -> bool:
        return False


def read(
    sound: Path | bytes | IO[bytes], name: str, start: float = 0.0, seconds: float | None = None
) -> Block:
    """Decode a file, or a span of it.

    :param sound: a file, its content, or a seekable stream of it: wav, flac, ogg, opus, mp3, … or with PyAV
        m4a, mp4, webm, …
    :param name: its name in errors.
    :param start: seconds from its beginning.
    :param seconds: length of the span; None reads to the end.
    :returns: (samples, channels) float32 with full scale at ±1, and the samples a second.
    :raises DataError: it is missing or cannot be decoded.
    """
    _check(sound, name)
    try:
        return _read(sound, name, start, seconds)
    except _UnknownFormatError as refusal:
        end = None if seconds is None else start + seconds
        samples, rate = _joined(containers.blocks(_file(sound), name, refusal), end)
        last = len(samples) if end is None else round(start * rate) + round((end - start) * rate)
        return samples[round(start * rate) : last], rate


def blocks(sound: Path | IO[bytes], name: str) -> Iterator[Block]:
    """Decode a file of any length, a block at a time.

    :param sound: a file, or a seekable stream.
    :returns: blocks (samples, channels) which together are what `read` returns, with the samples a second.
    :raises DataError: it cannot be decoded to its end.
    """
    _check(sound, name)
    try:
        with _Unseekable(sound) as file:
            while len(block := file.read(_BLOCK, dtype="float32", always_2d=True)):
                yield block, int(file.samplerate)
    except soundfile.SoundFileError as error:
        refusal = _unreadable(name, error)
        if not isinstance(refusal, _UnknownFormatError):
            raise refusal from None
        if not isinstance(sound, Path):
            sound.seek(0)
        yield from containers.blocks(sound, name, refusal)


def measure(sound: Path | bytes | IO[bytes], name: str) -> float:
    """Return the seconds of a file by its header, and check that its end is there; nothing else is decoded.

    The end is what an interrupted download lacks.

    :param sound: a file, its content, or a seekable stream of it.

    :raises DataError: it is missing, unreadable, cut off or empty, or its header gives no length.
    """
    _check(sound, name)
    try:
        return _measure(sound, name)
    except _UnknownFormatError as refusal:
        return containers.measure(_file(sound), name, refusal)


def seconds(file: Path) -> float | None:
    """Return the seconds of a file by its header; None where only decoding it can tell."""
    try:
        return _measure(file, str(file))
    except DataError:
        return containers.seconds(file)


def empty(name: str) -> DataError:
    """Return the error for audio without a sample."""
    return DataError(f"{name}: the audio file holds no samples")


def _read(sound: Path | bytes | IO[bytes], name: str, start: float, seconds: float | None) -> Block:
    try:
        with soundfile.SoundFile(_file(sound)) as file:
            first = round(start * file.samplerate)
            count = -1 if seconds is None else round(seconds * file.samplerate)
            if file.format == "MP3":  # read from its beginning: libsndfile 1.2.2 leaves gaps after a seek
                whole = file.read(count if count < 0 else first + count, dtype="float32", always_2d=True)
                return whole[first:], int(file.samplerate)
            file.seek(min(first, file.frames))
            return file.read(count, dtype="float32", always_2d=True), int(file.samplerate)
    except soundfile.SoundFileError as error:
        raise _unreadable(name, error) from None


def _measure(sound: Path | bytes | IO[bytes], name: str) -> float:
    try:
        with soundfile.SoundFile(_file(sound)) as file:
            if file.frames <= 0:
                raise empty(name)
            if file.frames > _UNKNOWN_FRAMES:
                msg = f"{name}: its header gives no length; write it again with an encoder that does"
                raise DataError(msg)
            file.seek(file.frames - 1)
            file.read(1)
            return float(file.frames / file.samplerate)
    except soundfile.SoundFileError as error:
        raise _unreadable(name, error) from None


def _check(sound: object, name: str) -> None:
    if isinstance(sound, Path) and sound.suffix.lower() == ".raw":
        msg = f"{name}: a .raw file does not say its rate and channels; write it as wav or flac"
        raise DataError(msg)
    if isinstance(sound, Path) and not sound.is_file():
        msg = f"{name}: there is no such audio file"
        raise DataError(msg)


def _file(sound: Path | bytes | IO[bytes]) -> Path | IO[bytes]:
    """Return what libsndfile and PyAV open, a stream from its beginning."""
    if isinstance(sound, (Path, bytes)):
        return io.BytesIO(sound) if isinstance(sound, bytes) else sound
    sound.seek(0)
    return sound


def _unreadable(name: str, error: Exception) -> DataError:
    kind = _UnknownFormatError if getattr(error, "code", None) in _UNKNOWN_FORMAT else DataError
    reason = str(getattr(error, "error_string", error)).rstrip(".")
    return kind(f"{name}: cannot be read as audio ({reason})")


def _joined(parts: Iterator[Block], end: float | None) -> Block:
    """Return blocks as one, up to a number of seconds; None takes all."""
    taken, decoded, rate = [np.zeros((0, 1), np.float32)], 0, 1
    for samples, rate in parts:
        taken.append(samples)
        decoded += len(samples)
        if end is not None and decoded > end * rate:
            break
    return np.concatenate(taken[1:] or taken), rate
