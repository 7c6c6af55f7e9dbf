"""The formats that libsndfile does not read, decoded by PyAV: m4a, mp4, mov, webm, mkv, wma and others."""

from __future__ import annotations

from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

from steermoe_core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

#: Seconds by which a header and the decoded audio may differ: codecs pad both ends.
_TOLERANCE = 0.5


def blocks(
    sound: Path | IO[bytes], name: str, refusal: DataError
) -> Iterator[tuple[NDArray[np.float32], int]]:
    """Decode the first audio stream of a container, frame by frame.

    :param name: its name in errors.
    :param refusal: libsndfile's error; raised where PyAV does not know the format either.
    :returns: frames (samples, channels) float32 with full scale at ±1, each with its samples a second.
    :raises DataError: it cannot be decoded to its end, has no audio, or PyAV is not installed.
    """
    with _opened(sound, name, refusal) as (container, stream):
        promised, decoded = _promised(container, stream), 0.0
        for frame in _frames(container):
            decoded += frame.samples / frame.sample_rate
            yield frame.to_ndarray().T, int(frame.sample_rate)
        _check_end(name, decoded, promised)


def measure(sound: Path | IO[bytes], name: str, refusal: DataError) -> float:
    """Return the seconds of a container's first audio stream: all packets are read, none is decoded.

    :raises DataError: it is cut off, has no audio, or PyAV is not installed.
    """
    with _opened(sound, name, refusal) as (container, stream):
        promised = _promised(container, stream)
        ends = [
            (packet.pts + (packet.duration or 0)) * stream.time_base
            for packet in container.demux(stream)
            if packet.pts is not None
        ]
        length = float(max(ends, default=0) - (stream.start_time or 0) * stream.time_base)
        _check_end(name, length, promised)
    return length if promised is None else min(length, promised)


def seconds(sound: Path) -> float | None:
    """Return the seconds that a container's header states; None where it states none or cannot be read."""
    try:
        with _opened(sound, str(sound), DataError()) as (container, stream):
            return _promised(container, stream)
    except DataError:
        return None


@contextmanager
def _opened(sound: Path | IO[bytes], name: str, refusal: DataError) -> Iterator[tuple[Any, Any]]:
    """Open a container and its first audio stream; errors of FFmpeg inside the block become a `DataError`."""
    try:
        import av
    except ImportError:
        hint = "if it is m4a, mp4, webm or the like: pip install 'steermoe[av]' reads these"
        msg = f"{refusal}; {hint}"
        raise DataError(msg) from None
    try:
        container = av.open(sound if hasattr(sound, "read") else str(sound))
    except (av.FFmpegError, OSError, ValueError):
        raise refusal from None
    with container:
        if not container.streams.audio:
            msg = f"{name}: there is no sound in it"
            raise DataError(msg)
        try:
            yield container, container.streams.audio[0]
        except (av.FFmpegError, ValueError) as error:  # ValueError: its rate or channels change midway
            msg = f"{name}: cannot be read as audio ({getattr(error, 'strerror', None) or error})"
            raise DataError(msg) from None


def _promised(container: Any, stream: Any) -> float | None:
    """Return the seconds that the header states for an audio stream; None where it states none."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    if container.duration and len(container.streams) == 1:
        return float(container.duration) / 1e6  # FFmpeg counts microseconds here
    return None


def _check_end(name: str, length: float, promised: float | None) -> None:
    if promised is not None and length < promised - _TOLERANCE:
        msg = f"{name}: cannot be read as audio (it is cut off after {length:.1f} of {promised:.1f} s)"
        raise DataError(msg)


def _frames(container: Any) -> Iterator[Any]:
    import av

    planar = av.AudioResampler(format="fltp")  # converts the sample format only; the rate stays
    for frame in container.decode(audio=0):
        yield from planar.resample(frame)
    yield from planar.resample(None)
