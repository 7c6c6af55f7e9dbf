"""Manifests: a model's outputs on a set, a JSON object a clip, as the leaderboard's scripts write them."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING

import attrs

from steermoe_core import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path


@attrs.frozen(kw_only=True)
class Line:
    """The output for a clip.

    :param audio_filepath: name of the clip.
    :param duration: of the clip in seconds.
    :param time: that transcribing it took, in seconds: its share of what its batches took.
    :param text: the reference, not normalised.
    :param pred_text: the output, not normalised.
    :param parent_id: session of a chunk; the reference is that of the session then.
    :param chunk_index: place of a chunk in its session.
    """

    audio_filepath: str
    duration: float
    time: float
    text: str
    pred_text: str
    parent_id: str | None = None
    chunk_index: int | None = None


def text(lines: Iterable[Line]) -> str:
    """Return a manifest."""
    present = (attrs.asdict(line, filter=lambda _, value: value is not None) for line in lines)
    return "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in present)


def read(path: Path) -> list[Line]:
    """Return the lines of a manifest.

    :raises UsageError: one is damaged.
    """
    with path.open(encoding="utf-8") as file:
        return [_line(f"{path}:{number}", line) for number, line in enumerate(file, 1)]


def sessions(lines: Sequence[Line]) -> list[Line]:
    """Return a line a session: outputs of its chunks joined in their order, durations and times summed.

    The lines of a set without sessions are returned unchanged.
    """
    chunks: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        if line.parent_id is None:
            return list(lines)
        chunks[line.parent_id].append(line)
    return [_joined(name, chunks[name]) for name in sorted(chunks)]


def _joined(name: str, chunks: list[Line]) -> Line:
    ordered = sorted(chunks, key=lambda line: line.chunk_index or 0)
    return Line(
        audio_filepath=name,
        duration=sum(line.duration for line in ordered),
        time=sum(line.time for line in ordered),
        text=ordered[0].text,
        pred_text=" ".join(output for line in ordered if (output := line.pred_text.strip())),
    )


def _line(place: str, line: str) -> Line:
    try:
        return Line(**json.loads(line))
    except (ValueError, TypeError):
        msg = f"{place}: not a line of a manifest; score the set again by --again --only"
        raise UsageError(msg) from None
