"""How much of what is said a linear map finds in frozen frames: CTC on characters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import torch
from torch import nn

from steermoe_core.data.padded import Padded
from steermoe_pocket.distil.measure import error_rates, plain
from steermoe_pocket.distil.settings import Settings
from steermoe_pocket.distil.stream import batches
from steermoe_pocket.distil.student import CHARACTERS, Scale, ctc, read, spelled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from steermoe_core.data.example import Example
    from steermoe_pocket.distil.stream import Lesson, Lessons

    #: Frames (B,T,D) of a lesson.
    Frames = Callable[[Lesson], Padded]

_STEPS, _BATCH, _RATE = 1500, 16, 3e-3


@attrs.frozen(eq=False)
class Frozen:
    """Frozen frames of clips and what is said in them."""

    rows: list[torch.Tensor]
    texts: list[str]


@torch.no_grad()
def frozen(lessons: Lessons, clips: Sequence[Example], kinds: dict[str, Frames]) -> dict[str, Frozen]:
    """Return the frames of clips, by kind."""
    found = {name: Frozen([], []) for name in kinds}
    for lesson in plain(lessons, clips):
        for name, frames in kinds.items():
            found[name].rows.extend(frames(lesson).rows())
            found[name].texts.extend(lesson.texts)
    return found


def probe(train: Frozen, held_out: dict[str, Frozen], seed: int) -> dict[str, dict[str, float]]:
    """Train a linear CTC head on frames and return its error rates on held-out ones."""
    torch.manual_seed(seed)
    width = train.rows[0].shape[-1]
    scale, head = Scale(width), nn.Linear(width, 1 + len(CHARACTERS))
    scale.fit([Padded.stack(train.rows)])
    optimizer = torch.optim.Adam(head.parameters(), _RATE)
    law = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, _STEPS)
    order = batches(Settings(steps=_STEPS, batch=_BATCH, seed=seed), [len(row) for row in train.rows])
    for batch in order:
        frames = scale(Padded.stack([train.rows[number] for number in batch]))
        optimizer.zero_grad()
        answers = [spelled(train.texts[number]) for number in batch]
        torch.autograd.backward(ctc(head(frames.values), frames, answers))
        optimizer.step()
        law.step()
    return {name: _rates(scale, head, part) for name, part in held_out.items()}


@torch.no_grad()
def _rates(scale: Scale, head: nn.Linear, part: Frozen) -> dict[str, float]:
    heard = []
    for row in part.rows:
        frames = scale(Padded.stack([row]))
        heard += read(head(frames.values), frames)
    return error_rates(part.texts, heard)
