"""The student: a conformer with three heads that are thrown away, and what it is taught."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

import attrs
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from steermoe_conformer.network import Network, Shape
from steermoe_core.data.padded import Padded
from steermoe_core.errors import SetupError
from steermoe_pocket.distil.stream import BINS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tokenizers import Tokenizer

    from steermoe_conformer.checkpoint import Checkpoint
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


class Tokens:
    """The tokens of the language model that the training texts consist of; class 0 is the blank."""

    def __init__(self, tokenizer: Tokenizer, texts: Iterable[str]) -> None:
        self._tokenizer = tokenizer
        used = sorted({token for text in texts for token in self._ids(text)})
        self._classes = {token: number for number, token in enumerate(used, start=1)}
        self.count = 1 + len(used)

    def __call__(self, text: str) -> list[int]:
        """Return the classes of a training text."""
        return [self._classes[token] for token in self._ids(text)]

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(f" {text}", add_special_tokens=False).ids
        return ids


class Student(nn.Module):
    """The conformer between its scale and the heads for the teacher's frames, characters and tokens."""

    def __init__(self, settings: Settings, target: int, tokens: int) -> None:
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
        self.tokens = nn.Linear(settings.width, tokens)

    def forward(self, features: Padded) -> Padded:
        """Turn log-mels (B,T,80) into frames (B,T/4,D)."""
        found: Padded = self.network(self.features(features))
        return found

    def start(self, carried: Checkpoint) -> None:
        """Start from trained weights and the statistics of their features.

        :raises SetupError: they have another shape.
        """
        if carried.shape != self.shape:
            msg = f"the carried conformer is {carried.shape}; give its sizes, or start with --carried 0"
            raise SetupError(msg)
        self.network.load_state_dict({name: tensor.float() for name, tensor in carried.state.items()})
        self.features.mean.copy_(carried.cmvn.mean)
        self.features.deviation.copy_(carried.cmvn.deviation)

    def losses(self, lesson: Lesson, tokens: Tokens) -> Losses:
        """Return the squared error of the teacher's frames, of variance 1, and the CTC losses a frame."""
        frames = self(lesson.features)
        error, _ = self.errors(frames, lesson.targets)
        return Losses(
            error.mean(),
            ctc(self.characters(frames.values), frames, [spelled(text) for text in lesson.texts]),
            ctc(self.tokens(frames.values), frames, [tokens(text) for text in lesson.texts]),
        )

    def errors(self, frames: Padded, targets: Padded) -> tuple[Tensor, Tensor]:
        """Return squared errors (N,2D) of the frames that both have, and the scaled targets themselves."""
        length = min(frames.values.shape[1], targets.values.shape[1])
        mask = frames.mask[:, :length] & targets.mask[:, :length]
        wanted = self.targets(targets).values[:, :length][mask]
        return (self.frames(frames.values[:, :length][mask]) - wanted).square(), wanted


@attrs.frozen(eq=False)
class Losses:
    """What a lesson teaches.

    :param error: of the teacher's frames.
    :param spelling: CTC on characters.
    :param tokens: CTC on tokens.
    """

    error: Tensor
    spelling: Tensor
    tokens: Tensor

    def total(self, settings: Settings) -> Tensor:
        """Return their weighted sum."""
        return self.error + settings.spelling * self.spelling + settings.tokens * self.tokens

    def journal(self) -> dict[str, float]:
        """Return them as numbers."""
        return {name: value.item() for name, value in attrs.asdict(self).items()}


def spelled(text: str) -> list[int]:
    """Return the classes of a text's characters."""
    return [1 + CHARACTERS.index(c) for c in text if c in CHARACTERS]


def ctc(logits: Tensor, frames: Padded, answers: Sequence[Sequence[int]]) -> Tensor:
    """Return the CTC loss a frame of logits (B,T,classes); an answer too long for its frames counts as 0."""
    lengths = torch.tensor([len(answer) for answer in answers])
    classes = torch.tensor([number for answer in answers for number in answer])
    logs = logits.float().log_softmax(-1).transpose(0, 1)
    total = F.ctc_loss(logs, classes, frames.lengths, lengths, reduction="sum", zero_infinity=True)
    return total / frames.lengths.sum()


def read(logits: Tensor, frames: Padded) -> list[str]:
    """Return the best class of each frame, repetitions and blanks left out, as texts."""
    texts = []
    for row in Padded(logits.argmax(-1), frames.lengths).rows():
        spelled = "".join(CHARACTERS[c - 1] for c, _ in groupby(row.tolist()) if c)
        texts.append(" ".join(spelled.split()))
    return texts
