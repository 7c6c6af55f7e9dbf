"""What libsndfile says of a sound: its samples, all or a span of them, and its length."""

from __future__ import annotations

import io
from pathlib import Path
from typing import IO, TYPE_CHECKING

import soundfile

from steermoe_core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

#: Frames that `blocks` decodes at once: 16 s at 16 kHz.
_BLOCK = 2**18
#: libsndfile's codes for a format that it does not know, and for a codec in one that it does.
_UNKNOWN_FORMAT = (1, 4)
#: Larger counts of samples are libsndfile's way to say that the header does not know.
_UNKNOWN_FRAMES = 2**62


def read(
    sound: Path | bytes, name: str, start: float = 0.0, seconds: float | None = None
) -> tuple[NDArray[np.float32], int]:
    """Decode a sound, or a span of it.

    :param sound: a file, or the content of one: wav, flac, ogg, opus, mp3, …
    :param name: what an error calls it.
    :param start: seconds from its beginning.
    :param seconds: length of the span; None reads to the end.
    :returns: (samples, channels) float32 with full scale at ±1, and the samples a second.
    :raises UnknownFormatError: libsndfile does not know the format.
    :raises DataError: it is missing or cannot be decoded.
    """
    try:
        with soundfile.SoundFile(_opened(sound, name)) as file:
            first = round(start * file.samplerate)
            count = -1 if seconds is None else round(seconds * file.samplerate)
            if file.format == "MP3":  # read from its beginning: libsndfile 1.2.2 leaves gaps behind a seek
                whole = file.read(count if count < 0 else first + count, dtype="float32", always_2d=True)
                return whole[first:], int(file.samplerate)
            file.seek(min(first, file.frames))
            return file.read(count, dtype="float32", always_2d=True), int(file.samplerate)
    except soundfile.SoundFileError as error:
        raise _unreadable(name, error) from None


class _Onward(soundfile.SoundFile):  # type: ignore[misc] # untyped
    """A sound that is read from beginning to end.

    soundfile seeks behind every block of one that can be sought in, and libsndfile 1.2.2 leaves gaps behind a
    seek in an MP3.
    """

    def seekable(self) -> bool:
        return False


class UnknownFormatError(DataError):
    """Bytes that libsndfile cannot take for a sound; something else may."""


def blocks(sound: Path | IO[bytes], name: str) -> Iterator[tuple[NDArray[np.float32], int]]:
    """Decode a sound of any length, a block at a time.

    :param name: what an error calls it.
    :returns: each block (samples, channels) float32 with full scale at ±1, with the samples a second.
    :raises UnknownFormatError: nothing of it can be decoded: libsndfile does not know the format.
    :raises DataError: it cannot be decoded to its end.
    """
    try:
        with _Onward(sound) as file:
            while len(block := file.read(_BLOCK, dtype="float32", always_2d=True)):
                yield block, int(file.samplerate)
    except soundfile.SoundFileError as error:
        raise _unreadable(name, error) from None


def measure(sound: Path | bytes, name: str) -> float:
    """Return the seconds of a sound by its header; only its last sample is decoded.

    That sample is what a download that broke off lacks.

    :raises UnknownFormatError: libsndfile does not know the format.
    :raises DataError: it is missing, unreadable, cut off or empty, or its header gives no length.
    """
    try:
        with soundfile.SoundFile(_opened(sound, name)) as file:
            frames = _check_frames(file.frames, name)
            file.seek(frames - 1)
            file.read(1)
            return float(frames / file.samplerate)
    except soundfile.SoundFileError as error:
        raise _unreadable(name, error) from None


def empty(name: str) -> DataError:
    """Return the error for a sound of no length."""
    return DataError(f"{name}: the audio file holds no samples")


def _opened(sound: Path | bytes, name: str) -> Path | io.BytesIO:
    if isinstance(sound, Path) and not sound.is_file():
        msg = f"{name}: there is no such audio file"
        raise DataError(msg)
    return io.BytesIO(sound) if isinstance(sound, bytes) else sound


def _check_frames(frames: int, name: str) -> int:
    if frames <= 0:
        raise empty(name)
    if frames > _UNKNOWN_FRAMES:
        msg = f"{name}: its header does not say how long it is; write it again with an encoder that does"
        raise DataError(msg)
    return frames


def _unreadable(name: str, error: Exception) -> DataError:
    kind = UnknownFormatError if getattr(error, "code", None) in _UNKNOWN_FORMAT else DataError
    reason = str(getattr(error, "error_string", error)).rstrip(".")
    return kind(f"{name}: cannot be read as audio ({reason})")
