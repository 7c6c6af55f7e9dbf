"""The student: a conformer with two heads that are thrown away, and what it is taught."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from steermoe_conformer.network import Network, Shape
from steermoe_core.data.padded import Padded
from steermoe_pocket.distil.stream import BINS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from steermoe_pocket.distil.settings import Settings
    from steermoe_pocket.distil.stream import Lesson

#: Class 0 is the blank.
CHARACTERS = " abcdefghijklmnopqrstuvwxyz'"


class Scale(nn.Module):
    """Mean and standard deviation of each column of the training data."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("deviation", torch.ones(width))

    def fit(self, batches: Iterable[Padded]) -> None:
        """Measure batches of rows (B,T,width)."""
        values = torch.cat([batch.values[batch.mask] for batch in batches]).double()
        self.mean.copy_(values.mean(0))
        self.deviation.copy_(values.std(0))

    def forward(self, rows: Padded) -> Padded:
        """Return rows of mean 0 and deviation 1."""
        return Padded((rows.values - self.mean) / self.deviation, rows.lengths)


class Student(nn.Module):
    """The conformer between its scale, the head for the teacher's frames and the head for characters."""

    def __init__(self, settings: Settings, target: int) -> None:
        super().__init__()
        self.shape = Shape(
            bins=BINS,
            width=settings.width,
            layers=settings.layers,
            heads=settings.heads,
            kernel=settings.kernel,
        )
        self.network = Network(self.shape, settings.dropout)
        self.features, self.targets = Scale(BINS), Scale(target)
        self.frames = nn.Linear(settings.width, target)
        self.characters = nn.Linear(settings.width, 1 + len(CHARACTERS))

    def forward(self, features: Padded) -> Padded:
        """Turn log-mels (B,T,80) into frames (B,T/4,D)."""
        found: Padded = self.network(self.features(features))
        return found

    def losses(self, lesson: Lesson) -> tuple[Tensor, Tensor]:
        """Return the squared error of the teacher's frames, of variance 1, and the CTC loss a frame."""
        frames = self(lesson.features)
        error, _ = self.errors(frames, lesson.targets)
        return error.mean(), spelling_loss(self.characters(frames.values), frames, lesson.texts)

    def errors(self, frames: Padded, targets: Padded) -> tuple[Tensor, Tensor]:
        """Return squared errors (N,2D) of the frames that both have, and the scaled targets themselves."""
        length = min(frames.values.shape[1], targets.values.shape[1])
        mask = frames.mask[:, :length] & targets.mask[:, :length]
        wanted = self.targets(targets).values[:, :length][mask]
        return (self.frames(frames.values[:, :length][mask]) - wanted).square(), wanted


def spelling_loss(logits: Tensor, frames: Padded, texts: Sequence[str]) -> Tensor:
    """Return the CTC loss a frame of logits (B,T,classes); a text too long for its frames counts as 0."""
    spelled = [[1 + CHARACTERS.index(c) for c in text if c in CHARACTERS] for text in texts]
    lengths = torch.tensor([len(text) for text in spelled])
    classes = torch.tensor([number for text in spelled for number in text])
    logs = logits.log_softmax(-1).transpose(0, 1)
    total = F.ctc_loss(logs, classes, frames.lengths, lengths, reduction="sum", zero_infinity=True)
    return total / frames.lengths.sum()


def read(logits: Tensor, frames: Padded) -> list[str]:
    """Return the best class of each frame, repetitions and blanks left out, as texts."""
    texts = []
    for row in Padded(logits.argmax(-1), frames.lengths).rows():
        spelled = "".join(CHARACTERS[c - 1] for c, _ in groupby(row.tolist()) if c)
        texts.append(" ".join(spelled.split()))
    return texts
