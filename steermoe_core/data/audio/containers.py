"""What PyAV reads and libsndfile does not: the sound of m4a, mp4, mov, webm, mkv, wma and other files."""

from __future__ import annotations

from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

from steermoe_core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

#: Seconds by which a header and the sound behind it may differ: codecs pad both ends.
_TOLERANCE = 0.5


def blocks(
    sound: Path | IO[bytes], name: str, refusal: DataError
) -> Iterator[tuple[NDArray[np.float32], int]]:
    """Decode the first audio stream of a container, frame by frame.

    :param name: what an error calls it.
    :param refusal: why libsndfile does not read it; raised where PyAV does not know the format either.
    :returns: each frame (samples, channels) float32 with full scale at ±1, with its samples a second.
    :raises DataError: it cannot be decoded to its end or has no sound, or the package is not installed.
    """
    with _opened(sound, name, refusal) as (container, stream):
        promised, decoded = _promised(container, stream), 0.0
        for frame in _frames(container):
            decoded += frame.samples / frame.sample_rate
            yield frame.to_ndarray().T, int(frame.sample_rate)
        _check_end(name, decoded, promised)


def measure(sound: Path | IO[bytes], name: str, refusal: DataError) -> float:
    """Return the seconds of a container's first audio stream; all of it is read, nothing is decoded.

    :raises DataError: it is cut off or has no sound, or the package is not installed.
    """
    with _opened(sound, name, refusal) as (container, stream):
        promised = _promised(container, stream)
        ends = [
            (packet.pts + (packet.duration or 0)) * stream.time_base
            for packet in container.demux(stream)
            if packet.pts is not None
        ]
        found = float(max(ends, default=0) - (stream.start_time or 0) * stream.time_base)
        _check_end(name, found, promised)
    return found if promised is None else min(found, promised)


def seconds(sound: Path) -> float | None:
    """Return what a container says of its length; None where it says nothing or cannot be read."""
    try:
        with _opened(sound, str(sound), DataError()) as (container, stream):
            return _promised(container, stream)
    except DataError:
        return None


@contextmanager
def _opened(sound: Path | IO[bytes], name: str, refusal: DataError) -> Iterator[tuple[Any, Any]]:
    """Give a container and its first audio stream; what FFmpeg complains of inside the block names it."""
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
        except (av.FFmpegError, ValueError) as error:  # ValueError: its rate or channels change on the way
            msg = f"{name}: cannot be read as audio ({getattr(error, 'strerror', None) or error})"
            raise DataError(msg) from None


def _promised(container: Any, stream: Any) -> float | None:
    """Return the seconds of an audio stream by its header; None where it says nothing of this one alone."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    if container.duration and len(container.streams) == 1:
        return float(container.duration) / 1e6  # FFmpeg counts microseconds here
    return None


def _check_end(name: str, found: float, promised: float | None) -> None:
    if promised is not None and found < promised - _TOLERANCE:
        msg = f"{name}: cannot be read as audio (it is cut off after {found:.1f} of {promised:.1f} s)"
        raise DataError(msg)


def _frames(container: Any) -> Iterator[Any]:
    import av

    planar = av.AudioResampler(format="fltp")  # only the numbers' type changes; the rate is the recording's
    for frame in container.decode(audio=0):
        yield from planar.resample(frame)
    yield from planar.resample(None)
