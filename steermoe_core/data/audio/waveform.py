"""Clips as mono waveforms of one rate; their durations and fingerprints."""

from __future__ import annotations

import hashlib
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import soxr

from steermoe_core.data.audio import beginnings, sounds
from steermoe_core.data.audio.stored import MEL_RATE, Mel, Segment
from steermoe_core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from steermoe_core.data.audio.stored import Audio

T = TypeVar("T")

#: Files that are read at the same time: most of the time is spent waiting for the disk.
_THREADS = 8


def load(audio: Audio, rate: int) -> NDArray[np.float32]:
    """Decode a clip.

    :param audio: a file in any format that `sounds` reads, or audio stored elsewhere.
    :param rate: samples a second of the result; other rates are resampled.
    :returns: (samples,) float32, the mean of all channels, full scale at ±1.
    :raises DataError: when it is missing, unreadable, empty or holds values that are not finite.
    """
    mono, source_rate = _mono(audio)
    beginnings.note(audio, mono, source_rate)
    waveform = resample(mono, source_rate, rate)
    if not len(waveform):
        raise sounds.empty(str(audio))
    return waveform


def read_audio(
    file: Path, rate: int, start: float = 0.0, seconds: float | None = None
) -> NDArray[np.float32]:
    """Decode a sound file, or a span of it, as a mono waveform.

    :param rate: samples a second of the result; other rates are resampled.
    :param start: seconds from the beginning of the file.
    :param seconds: length of the span; None reads to the end.
    :returns: (samples,) float32, the mean of all channels, full scale at ±1.
    :raises DataError: the file is missing, unreadable, or has no samples there.
    """
    return load(Segment(file, start, seconds) if start or seconds is not None else file, rate)


def resample(waveform: NDArray[np.float32], source_rate: int, rate: int) -> NDArray[np.float32]:
    """Return a mono waveform at another rate: ``round(samples * rate / source_rate)`` samples.

    :param waveform: (samples,) float32; returned unchanged when the rates are equal.
    """
    if source_rate == rate or not len(waveform):
        return waveform
    resampled: NDArray[np.float32] = soxr.resample(waveform, source_rate, rate, quality="HQ")
    return resampled


def duration(audio: Audio) -> float:
    """Return the seconds of a clip without decoding it, and check that its end is there.

    :raises DataError: when it is missing, unreadable, cut off or empty, or its header gives no length.
    """
    return sounds.measure(audio, str(audio)) if isinstance(audio, Path) else audio.seconds()


def samples(audio: Audio, beginning: float | None = None) -> tuple[NDArray[np.float32], int]:
    """Return the samples of a clip (samples, channels) with full scale at ±1, and the samples a second.

    :param beginning: seconds that are enough; more may come.
    :raises DataError: when it cannot be read.
    """
    if isinstance(audio, Path):
        return sounds.read(audio, str(audio), 0.0, beginning)
    return audio.samples()


def durations(audios: Sequence[Audio]) -> list[float]:
    """Return the seconds of many clips; nan for those that cannot be read."""
    return list(_each(_seconds, audios))


def decode_all(audios: Iterable[Audio]) -> Iterator[float | DataError]:
    """Decode each clip whole; yield its seconds, or the error."""
    return _each(_decode, audios)


def size(audio: Audio) -> int:
    """Return the size of a clip's file in bytes; -1 where there is none."""
    file = file_of(audio)
    return file.stat().st_size if file.is_file() else -1


def file_of(audio: Audio) -> Path:
    """Return the file that a clip is, or is stored in."""
    return audio if isinstance(audio, Path) else audio.file


def fingerprints(audios: Iterable[Audio]) -> Iterator[str | None]:
    """Yield a hash of the samples of each clip, wherever it is stored; None where it cannot be read.

    Those of the beginnings are kept.
    """
    return _each(_fingerprint, audios)


def begin_alike(audios: Iterable[Audio]) -> Iterator[int]:
    """Yield a hash of the beginning of each clip, and keep it; `beginnings.NONE` where it cannot be read."""
    return _each(_beginning, audios)


def _fingerprint(audio: Audio) -> str | None:
    try:
        values, rate = _values(audio)
    except DataError:
        return None
    beginnings.keep(audio, beginnings.begins(values, rate))
    return hashlib.sha256(str(rate).encode() + np.ascontiguousarray(values).tobytes()).hexdigest()


def _beginning(audio: Audio) -> int:
    try:
        found = beginnings.begins(*_values(audio, beginnings.BEGINNING))
    except DataError:
        return beginnings.NONE
    beginnings.keep(audio, found)
    return found


def _values(audio: Audio, beginning: float | None = None) -> tuple[NDArray[np.float32], int]:
    return (audio.features(), MEL_RATE) if isinstance(audio, Mel) else _mono(audio, beginning)


def _mono(audio: Audio, beginning: float | None = None) -> tuple[NDArray[np.float32], int]:
    """Return the mean of the channels (samples,) and the samples a second.

    :param beginning: seconds that are enough; more may come.
    """
    channels, rate = samples(audio, beginning)
    mono: NDArray[np.float32] = channels.mean(axis=1)
    if not len(mono):
        raise sounds.empty(str(audio))
    if not np.isfinite(mono).all():
        msg = f"{audio}: the audio holds values that are not finite; write the file again"
        raise DataError(msg)
    return mono, rate


def _seconds(audio: Audio) -> float:
    try:
        return duration(audio)
    except DataError:
        return math.nan


def _decode(audio: Audio) -> float | DataError:
    try:
        whole = duration(audio)
        if isinstance(audio, Mel):
            audio.features()
            return whole
        mono, rate = _mono(audio)
        return len(mono) / rate
    except DataError as error:
        return error


def _each(function: Callable[[Audio], T], audios: Iterable[Audio]) -> Iterator[T]:
    with ThreadPoolExecutor(_THREADS) as pool:
        yield from pool.map(function, audios)
