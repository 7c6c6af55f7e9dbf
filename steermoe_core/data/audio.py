"""Sound files as mono waveforms of one rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import soundfile
import soxr

from steermoe_core.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

#: Larger counts of samples are libsndfile's way to say that the header does not know.
_UNKNOWN_FRAMES = 2**62


def load(path: Path, rate: int) -> NDArray[np.float32]:
    """Decode a sound file.

    :param path: anything that libsndfile reads: wav, flac, ogg, opus, mp3, …
    :param rate: samples a second of the result; other rates are resampled.
    :returns: (samples,) float32, the mean of all channels, full scale at ±1.
    :raises DataError: when the file is missing, unreadable, empty or holds values that are not finite.
    """
    _check_present(path)
    try:
        samples, source_rate = soundfile.read(path, dtype="float32", always_2d=True)  # (samples, channels)
    except soundfile.SoundFileError as error:
        raise _unreadable(path, error) from None
    mono = resample(samples.mean(axis=1), source_rate, rate)
    if not len(mono):
        raise _empty(path)
    if not np.isfinite(mono).all():
        msg = f"{path}: the audio holds values that are not finite; write the file again"
        raise DataError(msg)
    return mono


def resample(waveform: NDArray[np.float32], source_rate: int, rate: int) -> NDArray[np.float32]:
    """Return a mono waveform at another rate: ``round(samples * rate / source_rate)`` samples.

    :param waveform: (samples,) float32; returned as it is when the rates are equal.
    """
    if source_rate == rate or not len(waveform):
        return waveform
    resampled: NDArray[np.float32] = soxr.resample(waveform, source_rate, rate, quality="HQ")
    return resampled


def duration(path: Path) -> float:
    """Return the seconds of a sound file from its header; only its last sample is decoded.

    That sample is what a download that broke off lacks.

    :raises DataError: when the file is missing, unreadable, cut off or empty, or its header gives no length.
    """
    _check_present(path)
    try:
        with soundfile.SoundFile(path) as file:
            frames = _check_frames(file.frames, path)
            file.seek(frames - 1)
            file.read(1)
            return float(frames / file.samplerate)
    except soundfile.SoundFileError as error:
        raise _unreadable(path, error) from None


def _check_frames(frames: int, path: Path) -> int:
    if frames <= 0:
        raise _empty(path)
    if frames > _UNKNOWN_FRAMES:
        msg = f"{path}: its header does not say how long it is; write it again with an encoder that does"
        raise DataError(msg)
    return frames


def _check_present(path: Path) -> None:
    if not path.is_file():
        msg = f"{path}: there is no such audio file"
        raise DataError(msg)


def _unreadable(path: Path, error: Exception) -> DataError:
    reason = str(getattr(error, "error_string", error)).rstrip(".")
    return DataError(f"{path}: cannot be read as audio ({reason})")


def _empty(path: Path) -> DataError:
    return DataError(f"{path}: the audio file holds no samples")
