"""The audio of clips as data URIs that a page plays: mono, 16 kHz."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

import soundfile

from steermoe_core.errors import DataError, SteermoeError
from steermoe_core.run.assembly.builder import Builder
from steermoe_core.system.hub import nothing_fetched

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from steermoe_core.data.example import Example
    from steermoe_core.plugins import Registry
    from steermoe_core.report.runs import Run

RATE = 16_000
#: Formats of a sound, best first: every sample that the encoder receives, or a fifth of the bytes.
_FORMATS = (("audio/flac", "FLAC", "PCM_16"), ("audio/ogg", "OGG", "VORBIS"))


def sounds(
    run: Run, split: str, names: Sequence[str], registry: Registry, budget: int
) -> tuple[dict[str, str], str]:
    """Return data URIs of clips by id, and why some are missing; nothing is fetched from a hub.

    :param names: ids of the clips.
    :param budget: bytes that all of them together may take on the page.
    """
    source = run.files.experiment.data.eval.get(split)
    if source is None:
        return {}, f"The experiment no longer has the split {split}, so there is nothing to listen to."
    try:
        with nothing_fetched():
            examples = Builder(run.files.experiment, registry).examples(source)
    except (SteermoeError, OSError) as error:
        return {}, f"The audio is not on this machine ({error})."
    by_id = {example.id: example for example in examples}
    found = dict(_encoded([by_id[name] for name in names if name in by_id], budget))
    if len(found) == len(names):
        return found, ""
    return found, f"{len(names) - len(found)} of {len(names)} clips cannot be played: missing or too long."


def _encoded(examples: Sequence[Example], budget: int) -> Iterator[tuple[str, str]]:
    """Yield the sounds, the shortest first: what they leave of their share is for the longer ones."""
    ordered = sorted(examples, key=lambda example: example.seconds)
    for number, example in enumerate(ordered):
        try:
            samples = example.waveform(RATE)
        except DataError:
            continue
        if uri := _uri(samples, budget // (len(ordered) - number)):
            budget -= len(uri)
            yield example.id, uri


def _uri(samples: NDArray[np.float32], most: int) -> str | None:
    """Return the sound in the best format that fits into a number of bytes."""
    for kind, container, subtype in _FORMATS:
        file = io.BytesIO()
        soundfile.write(file, samples, RATE, format=container, subtype=subtype)
        uri = f"data:{kind};base64,{base64.b64encode(file.getvalue()).decode()}"
        if len(uri) <= most:
            return uri
    return None
