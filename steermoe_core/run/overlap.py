"""What is trained on and scored as well: the same text, the same sound, the same speaker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from steermoe_core.data.audio import fingerprints
from steermoe_core.data.split import normalise_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from steermoe_core.data.example import Example
    from steermoe_core.data.stored import Audio
    from steermoe_core.run.console import Console

#: Clips whose durations differ by less may be the same; tables round.
_TOLERANCE = 0.05
#: So much of their beginnings is compared first.
_BEGINNING = 0.5


def overlap(
    trained: Sequence[Example], scored: Mapping[str, Sequence[Example]], console: Console
) -> list[dict[str, Any]]:
    """Return for each set that is scored what of it is trained on too.

    Texts are the same with their prompts and without regard to case and punctuation. Sounds are the same
    where their samples are, whatever they are stored in.
    """
    texts = {text for text in map(_text, trained) if text}
    speakers = {example.cluster for example in trained}
    heard = _heard(trained, scored, console)
    found = []
    for name, examples in scored.items():
        same = sorted({e.cluster for e in examples if e.cluster is not None and e.cluster in speakers})
        found.append(
            {
                "set": name,
                "clips": len(examples),
                "texts": [example.id for example in examples if _text(example) in texts],
                "audio": [example.id for example in examples if example.audio in heard],
                "clusters": same,
            }
        )
    return found


def _text(example: Example) -> str:
    return normalise_text(f"{example.prompt or ''} {example.text}") if example.text else ""


def _heard(
    trained: Sequence[Example], scored: Mapping[str, Sequence[Example]], console: Console
) -> set[Audio]:
    """Return the scored clips that sound like a trained one: by length, then by beginning, then by all."""
    old, new = _lengths(trained), _lengths(example for examples in scored.values() for example in examples)
    same = old.keys() & new.keys()
    near_new, near_old = _near(new.values()), _near(old.values())
    older = [clip for clip, length in old.items() if length in near_new]
    newer = [clip for clip, length in new.items() if length in near_old and clip not in same]
    with console.progress() as progress:
        task = progress.add_task("comparing sounds", total=None, note="")
        for beginning in (_BEGINNING, None):
            if not newer:
                break
            clips = list(dict.fromkeys([*older, *newer]))
            progress.update(task, total=len(clips), completed=0)
            prints: dict[Audio, str | None] = {}
            for clip, mark in zip(clips, fingerprints(clips, beginning), strict=True):
                prints[clip] = mark
                progress.advance(task)
            shared = {prints[clip] for clip in older} & {prints[clip] for clip in newer} - {None}
            older = [clip for clip in older if prints[clip] in shared]
            newer = [clip for clip in newer if prints[clip] in shared]
    return same | set(newer)


def _lengths(examples: Iterable[Example]) -> dict[Audio, int]:
    """Return the length of each recording in steps of the tolerance; one that cannot be read has none."""
    return {e.audio: round(e.seconds * e.speed / _TOLERANCE) for e in examples if e.seconds > 0.0}


def _near(lengths: Iterable[int]) -> set[int]:
    return {length + step for length in lengths for step in (-1, 0, 1)}
