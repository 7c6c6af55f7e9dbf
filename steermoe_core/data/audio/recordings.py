"""Recordings of any length, format and origin, decoded block by block: memory does not grow with them."""

from __future__ import annotations

import io
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import attrs
import numpy as np
import soxr

from steermoe_core.data.audio import sounds
from steermoe_core.errors import DataError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Waveform = NDArray[np.float32]


@attrs.frozen
class Recording:
    """A sound file, or a stream of its bytes.

    :param file: a path, which may be a pipe, or an open stream; what is not seekable is copied into a
        temporary file first.
    :param name: its name in errors.
    """

    file: Path | IO[bytes]
    name: str

    def seconds(self) -> float | None:
        """Return its seconds by its header; None where only decoding can tell."""
        if not isinstance(self.file, Path) or not self.file.is_file():
            return None
        return sounds.seconds(self.file)

    def blocks(self, rate: int) -> Iterator[Waveform]:
        """Decode it.

        :param rate: samples a second of the result; other rates are resampled.
        :returns: blocks (samples,) float32 of the mean of all channels, which together are exactly what
            `waveform.load` returns.
        :raises DataError: it is missing, unreadable, empty or holds values that are not finite.
        """
        with _seekable(self.file, self.name) as file:
            yield from _resampled(sounds.blocks(file, self.name), rate, self.name)


def recording(name: str) -> Recording:
    """Return the recording that a command line names: a path, or - for standard input.

    :raises UsageError: nothing is piped in.
    """
    if name != "-":
        return Recording(Path(name), name)
    if sys.stdin is None or sys.stdin.isatty():
        msg = "- stands for a sound that is piped in, and nothing is: steermoe … - < speech.wav"
        raise UsageError(msg)
    return Recording(sys.stdin.buffer, name)


@attrs.frozen
class Waves:
    """A waveform in memory.

    :param values: (samples,) of any float type, one channel, full scale at ±1.
    :param rate: its samples a second.
    :param name: its name in errors.
    """

    values: NDArray[np.floating]
    rate: int
    name: str

    def seconds(self) -> float:
        """Return its seconds."""
        return len(self.values) / self.rate

    def blocks(self, rate: int) -> Iterator[Waveform]:
        """Yield it at some rate, as `Recording.blocks` does.

        :raises DataError: it is no single channel of finite floats.
        """
        wave = self.values
        if (
            wave.ndim != 1
            or not len(wave)
            or not np.issubdtype(wave.dtype, np.floating)
            or not np.isfinite(wave).all()
        ):
            msg = (
                f"{self.name} is {wave.dtype} of shape {wave.shape}; give one channel of finite floats, "
                "full scale at ±1"
            )
            raise DataError(msg)
        yield from _resampled([(wave.astype(np.float32, copy=False)[:, None], self.rate)], rate, self.name)


#: One recording, in any form that a trained model takes: a path, a waveform, a waveform with its rate, the
#: content of a sound file, or a file that is open for reading bytes.
Sound = (
    str
    | os.PathLike[str]
    | np.ndarray
    | tuple[np.ndarray, int]
    | bytes
    | bytearray
    | memoryview
    | IO[bytes]
    | Recording
    | Waves
)
_FORMS = (
    "a path, a numpy array of one channel, a pair of an array and its rate, bytes of a sound file, or a file "
    "opened for reading bytes"
)


def is_sound(value: object) -> bool:
    """Return whether a value is one sound, not a list of them."""
    return (
        isinstance(value, (str, os.PathLike, bytes, bytearray, memoryview, Recording, Waves))
        or _is_array(value)
        or _is_pair(value)
        or hasattr(value, "read")
    )


def open_sounds(value: Sound | Iterable[Sound], rate: int) -> Iterator[Recording | Waves]:
    """Yield one sound, or each of a list, as an object with `blocks`.

    :param rate: samples a second of waveforms that come without theirs.
    :raises UsageError: it is neither a sound nor a list of sounds.
    """
    several = isinstance(value, Iterable) and not is_sound(value) and not isinstance(value, Mapping)
    items: Iterable[Any] = value if several else [value]  # type: ignore[assignment] # mypy takes text for a list
    for number, sound in enumerate(items, start=1):
        yield _opened(sound, rate, number)


def _opened(sound: Any, rate: int, number: int) -> Recording | Waves:
    if isinstance(sound, (Recording, Waves)):
        return sound
    if isinstance(sound, (str, os.PathLike)):
        return Recording(Path(sound), str(sound))
    if isinstance(sound, (bytes, bytearray, memoryview)):
        return Recording(io.BytesIO(sound), f"sound {number}")
    if _is_pair(sound):
        return _waves(sound[0], sound[1], number)
    if _is_array(sound):
        return _waves(sound, rate, number)
    if hasattr(sound, "read"):
        return _stream(sound, number)
    msg = f"a sound is {_FORMS}, not {type(sound).__name__}; give one or a list of them"
    raise UsageError(msg)


def _is_array(value: object) -> bool:
    """Return whether a value is a numpy array or a tensor; a number of numpy is not."""
    return hasattr(value, "__array__") and not isinstance(value, np.generic)


def _is_pair(value: object) -> bool:
    return (
        isinstance(value, tuple)
        and len(value) == len(("waveform", "rate"))
        and _is_array(value[0])
        and isinstance(value[1], (int, np.integer))
    )


def _waves(values: Any, rate: int, number: int) -> Waves:
    if rate <= 0:
        msg = f"the rate of waveform {number} must be a number of samples per second, is {rate}"
        raise UsageError(msg)
    values = values.detach().cpu() if hasattr(values, "detach") else values
    return Waves(np.asarray(values), int(rate), f"waveform {number}")


def _stream(file: Any, number: int) -> Recording:
    named = getattr(file, "name", None)
    name = named if isinstance(named, str) else f"sound {number}"
    if getattr(file, "closed", False):
        msg = f"{name} is a closed file; open it for reading bytes"
        raise UsageError(msg)
    if isinstance(file, io.TextIOBase):
        msg = f'{name} is a file opened for reading text; open it with mode "rb"'
        raise UsageError(msg)
    return Recording(file, name)


@contextmanager
def _seekable(file: Path | IO[bytes], name: str) -> Iterator[Path | IO[bytes]]:
    """Open a file that is seekable and not empty.

    :raises DataError: it is missing, empty or unreadable.
    """
    try:
        with ExitStack() as stack:
            stream = stack.enter_context(file.open("rb")) if isinstance(file, Path) else file
            if not stream.seekable():
                file = stream = _copied(stream, stack.enter_context(tempfile.TemporaryFile()))
            stream.seek(0)
            if not stream.read(1):
                raise sounds.empty(name)
            stream.seek(0)
            yield file
    except FileNotFoundError:
        msg = f"{name}: there is no such audio file"
        raise DataError(msg) from None
    except IsADirectoryError:
        msg = f"{name} is a folder; name the sound files in it"
        raise DataError(msg) from None
    except OSError as error:
        msg = f"{name}: cannot be read ({error.strerror or error})"
        raise DataError(msg) from None


def _copied(stream: IO[bytes], copy: IO[bytes]) -> IO[bytes]:
    shutil.copyfileobj(stream, copy)
    copy.seek(0)
    return copy


def _resampled(blocks: Iterable[tuple[Waveform, int]], rate: int, name: str) -> Iterator[Waveform]:
    """Turn blocks (samples, channels), each with its rate, into mono blocks (samples,) of one rate."""
    stream, count = None, 0
    for samples, source_rate in blocks:
        mono: Waveform = samples.mean(axis=1)
        if not np.isfinite(mono).all():
            msg = f"{name}: the audio holds values that are not finite; write the file again"
            raise DataError(msg)
        if source_rate != rate:
            stream = stream or soxr.ResampleStream(source_rate, rate, 1, dtype="float32", quality="HQ")
            mono = stream.resample_chunk(mono)
        count += len(mono)
        yield mono
    if stream is not None:
        rest = stream.resample_chunk(np.zeros(0, np.float32), last=True)
        count += len(rest)
        yield rest
    if not count:
        raise sounds.empty(name)
