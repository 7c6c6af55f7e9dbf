"""A batch of examples as the model reads it, and the template that orders text and audio.

    [ before | audio | after | answer EOS ]

The four stay apart until the audio's number of tokens is known; each is a `Padded` of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from steermoe_core.data.config import AUDIO_SLOT, PROMPT_SLOT
from steermoe_core.data.padded import Padded

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class Batch:
    """What one forward pass needs.

    The features move to the device of the model; token ids stay in host memory, where rows are laid out.

    :param ids: B ids of the examples.
    :param features: (B,T,F) input of the encoder; `Frames` (B,T,D) where its output was kept.
    :param before: (B,P) token ids that stand before the audio.
    :param after: (B,Q) token ids that stand between the audio and the answer.
    :param answer: (B,Y) token ids to be learned, the end token at each row's end; rows of length 0 when
        answers are asked for.
    :param seconds: (B,) durations of the clips.
    :param ends: token ids that end an answer, beside the decoder's own EOS.
    :param shared: how many tokens of `before` all rows begin with, where most batches begin so: worth
        computing once.
    """

    ids: tuple[str, ...]
    features: Padded
    before: Padded
    after: Padded
    answer: Padded
    seconds: Tensor
    ends: tuple[int, ...] = ()
    shared: int = 0

    def shared_before(self) -> list[int]:
        """Return the ids before the audio that are worth computing once."""
        return [int(token) for token in self.before.rows()[0][: self.shared]]

    def row(self, number: int) -> Batch:
        """Return one of its rows as a batch."""
        one = slice(number, number + 1)
        parts = {name: getattr(self, name) for name in ("features", "before", "after", "answer")}
        rows: dict[str, Any] = {
            name: type(part)(part.values[one], part.host_lengths[one]) for name, part in parts.items()
        }
        return replace(self, ids=self.ids[one], seconds=self.seconds[one], **rows)

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Batch:
        """Move the features to a device; `dtype` is theirs."""
        return replace(self, features=self.features.to(device, dtype))

    def pin_memory(self) -> Batch:
        """Put the features into page-locked memory: what a data loader calls."""
        return replace(self, features=self.features.pin_memory())

    def __len__(self) -> int:
        """Return the number of examples B."""
        return len(self.ids)


@dataclass(frozen=True)
class Layout:
    """A template such as ``"{audio}{prompt}"``, cut at its audio slot.

    :param before: text before the audio.
    :param after: text between the audio and the answer.
    :param slot: what stands for the prompt in them.
    """

    before: str
    after: str
    slot: str = PROMPT_SLOT

    @classmethod
    def parse(cls, template: str) -> Layout:
        """Cut a template that holds exactly one audio slot."""
        before, after = template.split(AUDIO_SLOT)
        return cls(before, after)

    @property
    def has_prompt(self) -> bool:
        """Return whether a prompt has a place in it."""
        return self.slot in self.before + self.after

    def fill(self, prompt: str) -> tuple[str, str]:
        """Return the texts before and after the audio, the prompt in its slot; its braces are just text."""
        return self.before.replace(self.slot, prompt), self.after.replace(self.slot, prompt)


def ids(rows: list[list[int]]) -> Padded:
    """Return rows of token ids as int64, whatever their lengths, zero included."""
    return Padded.stack([torch.tensor(row, dtype=torch.int64) for row in rows])
