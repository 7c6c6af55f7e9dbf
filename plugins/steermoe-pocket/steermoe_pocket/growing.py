"""A set of recordings that grows in the cache: made in chunks, by several processes, resumed where it ended.

The texts are one endless stream, so a smaller set is always the beginning of a larger one.
"""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import partial
from itertools import islice
from multiprocessing import get_context
from typing import TYPE_CHECKING

from steermoe_core import cache_folder
from steermoe_pocket import cache, clips
from steermoe_pocket.progress import counting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    #: Speaks a text: (text, seed) → waveform (samples,) at `clips.RATE`; a function that can be pickled.
    Speak = Callable[[str, str], NDArray[np.float32]]
    #: A number, and texts with their indices.
    Chunk = tuple[int, list[tuple[int, str]]]

#: Clips a chunk: what an interruption loses, at most.
CHUNK = 100
#: Texts that stand for the whole stream in the cache's key.
_SAMPLE = 500
#: Shorter recordings (seconds) are left out: nothing was said.
_SHORTEST = 0.1


def folder(name: str, texts: Iterator[str], version: str) -> Path:
    """Return where the recordings of these texts are kept: another stream or version is another folder."""
    digest = hashlib.sha256("\n".join([version, *islice(texts, _SAMPLE)]).encode())
    return cache_folder() / "speech" / f"{name}-{digest.hexdigest()[:12]}"


def grow(
    place: Path,
    texts: Iterator[str],
    speak: Speak,
    hours: float,
    processes: int | None = None,
    chunk: int = CHUNK,
) -> list[clips.Clip]:
    """Return the first `hours` of the recordings, after making those that are missing.

    :param place: the folder.
    :param texts: the stream, from its beginning.
    :param processes: that speak at once; by default two, where there are two cores.
    :param chunk: clips that are made together; always the same for a folder.
    """
    found = _read(place, hours)
    if not _reach(found, hours):
        with cache.locked(place):
            _extend(place, _chunks(texts, chunk), speak, hours, processes or min(2, _cores()))
        found = _read(place, hours)
    return found


def _extend(place: Path, chunks: Iterator[Chunk], speak: Speak, hours: float, processes: int) -> None:
    record = partial(_record, place, speak)
    with ExitStack() as stack:
        show = stack.enter_context(counting(place.name, hours, "hours"))
        each: Callable[..., Iterator[None]] = map  # one process keeps its models for the next folder
        if processes > 1:
            each = stack.enter_context(ProcessPoolExecutor(processes, get_context("spawn"))).map
        while not _reach(found := _read(place, hours), hours):
            show(_hours(found))
            list(each(record, islice(chunks, processes)))


def _chunks(texts: Iterator[str], size: int) -> Iterator[Chunk]:
    """Yield the texts with their indices, so many at once, numbered."""
    indexed = enumerate(texts)
    return enumerate(iter(lambda: list(islice(indexed, size)), []))


def _record(place: Path, speak: Speak, chunk: Chunk) -> None:
    number, texts = chunk
    cache.made_once(place / f"{number:05d}", lambda made: clips.write(made, _spoken(speak, texts)))


def _spoken(speak: Speak, texts: list[tuple[int, str]]) -> Iterator[clips.Recording]:
    for index, text in texts:
        waveform = speak(text, str(index))
        if len(waveform) >= _SHORTEST * clips.RATE:
            yield f"{index:06d}", text, waveform


def _read(place: Path, hours: float) -> list[clips.Clip]:
    """Return the clips that exist, in order, up to the first that completes `hours`."""
    found: list[clips.Clip] = []
    seconds = 0.0
    for chunk in sorted(place.glob("[0-9]*")):
        for clip in clips.read(chunk):
            if seconds >= 3600 * hours:
                return found
            found.append(clip)
            seconds += clip.seconds
    return found


def _hours(found: list[clips.Clip]) -> float:
    return sum(clip.seconds for clip in found) / 3600


def _reach(found: list[clips.Clip], hours: float) -> bool:
    return _hours(found) >= hours


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
