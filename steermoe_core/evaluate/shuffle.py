"""The control `shuffled-audio`: each clip gets the audio of another clip of similar length."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from steermoe_core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from steermoe_core.data.audio.stored import Audio
    from steermoe_core.data.example import Example

SHUFFLED = "shuffled-audio"
#: Recordings of neighbouring lengths that exchange places.
_BLOCK = 8


def partners(examples: Sequence[Example], seed: int) -> list[Example]:
    """Return for each example another one, whose audio replaces its own.

    Sorted by length, every eight recordings exchange places in a random ring, so none keeps its own. Examples
    of one recording (several questions on a clip) get the same other one.

    :param seed: of the run: all processes choose the same partners.
    :raises DataError: there is only one recording.
    """
    first = {example.audio: example for example in reversed(examples)}
    ordered = sorted(first.values(), key=lambda example: (example.seconds, example.id))
    if len(ordered) < 2:  # noqa: PLR2004 - one recording has no partner
        msg = (
            f"the control {SHUFFLED} needs two recordings or more, and this split has {len(ordered)}; "
            "leave it out of evaluate.controls"
        )
        raise DataError(msg)
    drawn = random.Random(f"{seed}\0{SHUFFLED}")  # noqa: S311 - not for cryptography
    other: dict[Audio, Example] = {}
    for block in _blocks(ordered):
        ring = drawn.sample(block, len(block))
        other |= {one.audio: next_ for one, next_ in zip(ring, [*ring[1:], ring[0]], strict=True)}
    return [other[example.audio] for example in examples]


def _blocks(ordered: list[Example]) -> Iterator[list[Example]]:
    """Yield blocks of neighbours; a single one at the end joins the last block, or it had no partner."""
    starts = list(range(0, len(ordered) - 1, _BLOCK))
    for start, end in zip(starts, [*starts[1:], len(ordered)], strict=True):
        yield ordered[start:end]
