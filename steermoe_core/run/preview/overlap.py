"""What is trained on and scored as well: the same recording with the same question, text or speaker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from steermoe_core.data.audio.waveform import fingerprints
from steermoe_core.data.split import normalise_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from steermoe_core.data.audio.stored import Audio
    from steermoe_core.data.example import Example
    from steermoe_core.run.console import Console

#: Clips whose durations differ by less may be the same; tables round.
_TOLERANCE = 0.05
#: So much of their beginnings is compared first.
_BEGINNING = 0.5


@attrs.frozen(kw_only=True)
class Overlap:
    """What of a set that is scored is trained on too, as ids of its clips.

    :param clips: how many there are.
    :param trained: their recording was trained on with their question; one without a question of its own, in
        either set, is its recording.
    :param audio: their recording was trained on, with any question.
    :param texts: their text was trained on, with their question, on any recording.
    :param clusters: speakers or groups (not ids) of both sets.
    """

    clips: int
    trained: list[str]
    audio: list[str]
    texts: list[str]
    clusters: list[str]


def overlap(
    trained: Sequence[Example], scored: Mapping[str, Sequence[Example]], console: Console
) -> dict[str, Overlap]:
    """Return for each set that is scored what of it is trained on too.

    Recordings are the same where their samples are, whatever they are stored in. Texts and questions are
    compared without regard to case and punctuation.
    """
    texts = {text for text in map(_text, trained) if text}
    speakers = {example.cluster for example in trained}
    prints = _prints(trained, scored, console)
    asked: dict[str, set[str]] = {}
    for example in trained:
        if example.audio in prints:
            asked.setdefault(prints[example.audio], set()).add(_question(example))
    found = {}
    for name, examples in scored.items():
        same = sorted({e.cluster for e in examples if e.cluster is not None and e.cluster in speakers})
        heard = [(e.id, _question(e), asked[prints[e.audio]]) for e in examples if e.audio in prints]
        found[name] = Overlap(
            clips=len(examples),
            trained=[i for i, own, others in heard if not own or others & {own, ""}],
            audio=[i for i, *_ in heard],
            texts=[example.id for example in examples if _text(example) in texts],
            clusters=same,
        )
    return found


def _question(example: Example) -> str:
    return normalise_text(example.prompt or "")


def _text(example: Example) -> str:
    return normalise_text(f"{example.prompt or ''} {example.text}") if example.text else ""


def _prints(
    trained: Sequence[Example], scored: Mapping[str, Sequence[Example]], console: Console
) -> dict[Audio, str]:
    """Return a fingerprint of every recording that is trained on and scored, under each of its places.

    Compared are lengths, then beginnings, then all samples.
    """
    old, new = _lengths(trained), _lengths(example for examples in scored.values() for example in examples)
    near_new, near_old = _near(new.values()), _near(old.values())
    older = [clip for clip, length in old.items() if length in near_new]
    newer = [clip for clip, length in new.items() if length in near_old]
    prints: dict[Audio, str] = {}
    with console.progress() as progress:
        task = progress.add_task("comparing sounds", total=None, note="")
        for beginning in (_BEGINNING, None):
            clips = list(dict.fromkeys([*older, *newer])) if newer else []
            progress.update(task, total=len(clips), completed=0)
            prints = {}
            for clip, mark in zip(clips, fingerprints(clips, beginning), strict=True):
                if mark is not None:
                    prints[clip] = mark
                progress.advance(task)
            shared = {prints.get(clip) for clip in older} & {prints.get(clip) for clip in newer} - {None}
            older = [clip for clip in older if prints.get(clip) in shared]
            newer = [clip for clip in newer if prints.get(clip) in shared]
    return {clip: prints[clip] for clip in (*older, *newer)}


def _lengths(examples: Iterable[Example]) -> dict[Audio, int]:
    """Return the length of each recording in steps of the tolerance; one that cannot be read has none."""
    return {e.audio: round(e.seconds * e.speed / _TOLERANCE) for e in examples if e.seconds > 0.0}


def _near(lengths: Iterable[int]) -> set[int]:
    return {length + step for length in lengths for step in (-1, 0, 1)}
