"""How good a student is on clips that it was not trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from steermoe_core.data.batches import length_sorted
from steermoe_pocket.distil.student import read

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from steermoe_core.data.example import Example
    from steermoe_pocket.distil.stream import Lesson, Lessons
    from steermoe_pocket.distil.student import Student

_BATCH = 16


@torch.no_grad()
def measure(student: Student, lessons: Lessons, clips: Sequence[Example]) -> dict[str, float]:
    """Return the explained variance of the teacher's frames, and CER and WER of the spelling head."""
    student.eval()
    errors, wanted = list[Tensor](), list[Tensor]()
    texts, heard = list[str](), list[str]()
    for lesson in plain(lessons, clips):
        frames = student(lesson.features)
        error, targets = student.errors(frames, lesson.targets)
        errors.append(error)
        wanted.append(targets)
        texts += lesson.texts
        heard += read(student.characters(frames.values), frames)
    all_wanted = torch.cat(wanted)
    spread = (all_wanted - all_wanted.mean(0)).square().mean()
    explained = 1 - torch.cat(errors).mean() / spread
    return {"explained": round(explained.item(), 4), **error_rates(texts, heard)}


def plain(lessons: Lessons, clips: Sequence[Example]) -> Iterator[Lesson]:
    """Yield clips as they are, in batches of like length."""
    for batch in length_sorted([clip.seconds for clip in clips], _BATCH)[0]:
        yield lessons.plain([clips[number] for number in batch])


def error_rates(texts: Sequence[str], heard: Sequence[str]) -> dict[str, float]:
    """Return character and word error rates."""
    import jiwer

    characters, words = jiwer.cer(list(texts), list(heard)), jiwer.wer(list(texts), list(heard))
    return {"cer": round(characters, 4), "wer": round(words, 4)}
