"""A set of recordings that grows in the cache: made in chunks, by several processes, resumed where it ended.

The texts are one endless stream, so a smaller set is always the beginning of a larger one.
"""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ProcessPoolExecutor
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
) -> list[clips.Clip]:
    """Return the first `hours` of the recordings, after making those that are missing.

    :param place: the folder.
    :param texts: the stream, from its beginning.
    :param processes: that speak at once; by default two, where there are two cores.
    """
    found = _read(place, hours)
    if not _reach(found, hours):
        with cache.locked(place):
            _extend(place, texts, speak, hours, processes or min(2, os.cpu_count() or 1))
        found = _read(place, hours)
    return found


def _extend(place: Path, texts: Iterator[str], speak: Speak, hours: float, processes: int) -> None:
    chunks = enumerate(iter(lambda: list(islice(texts, CHUNK)), []))
    record = partial(_record, place, speak)
    workers = ProcessPoolExecutor(processes, get_context("spawn"))
    with workers as pool, counting(place.name, hours, "hours") as show:
        while not _reach(found := _read(place, hours), hours):
            show(_hours(found))
            list(pool.map(record, islice(chunks, processes)))


def _record(place: Path, speak: Speak, numbered: tuple[int, list[str]]) -> None:
    number, texts = numbered
    cache.made_once(place / f"{number:05d}", lambda made: clips.write(made, _spoken(speak, number, texts)))


def _spoken(speak: Speak, number: int, texts: list[str]) -> Iterator[clips.Recording]:
    for index, text in enumerate(texts, start=number * CHUNK):
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
