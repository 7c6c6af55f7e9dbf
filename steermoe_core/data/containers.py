"""What PyAV reads and libsndfile does not: the sound of m4a, mp4, mov, webm, mkv, wma and other files."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

from steermoe_core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray


def blocks(
    sound: Path | IO[bytes], name: str, refusal: DataError
) -> Iterator[tuple[NDArray[np.float32], int]]:
    """Decode the first audio stream of a container, frame by frame.

    :param name: what an error calls it.
    :param refusal: why libsndfile does not read it; raised where PyAV does not know the format either.
    :returns: each frame (samples, channels) float32 with full scale at ±1, with its samples a second.
    :raises DataError: it cannot be decoded or has no sound, or the package is not installed.
    """
    try:
        import av
    except ImportError:
        hint = "if it is m4a, mp4, webm or the like: pip install 'steermoe[av]' reads these"
        msg = f"{refusal}; {hint}"
        raise DataError(msg) from None
    try:
        container = av.open(str(sound) if not hasattr(sound, "read") else sound)
    except (av.FFmpegError, OSError, ValueError):
        raise refusal from None
    with container:
        if not container.streams.audio:
            msg = f"{name}: there is no sound in it"
            raise DataError(msg)
        try:
            yield from _frames(av, container)
        except av.FFmpegError as error:
            msg = f"{name}: cannot be read as audio ({error.strerror or error})"
            raise DataError(msg) from None


def _frames(av: Any, container: Any) -> Iterator[tuple[NDArray[np.float32], int]]:
    planar = av.AudioResampler(format="fltp")  # only the numbers' type changes; the rate is the recording's
    for frame in container.decode(audio=0):
        for one in planar.resample(frame):
            yield one.to_ndarray().T, int(one.sample_rate)
    for one in planar.resample(None):
        yield one.to_ndarray().T, int(one.sample_rate)


def seconds(sound: Path) -> float | None:
    """Return what a container says of its length; None where it says nothing or cannot be read."""
    try:
        import av
    except ImportError:
        return None
    try:
        with av.open(str(sound)) as container:
            return float(container.duration / av.time_base) if container.duration else None
    except (av.FFmpegError, OSError, ValueError):
        return None
