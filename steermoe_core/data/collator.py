"""What makes batches: the contract of the kind `collator`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from steermoe_core.data.example import Example
    from steermoe_core.data.layout import Batch
    from steermoe_core.data.usable import Report

    Waveform = NDArray[np.float32]


class Collator(ABC):
    """Makes batches for training, and batches without answers for generation."""

    @abstractmethod
    def collate(self, examples: Sequence[Example], *, answered: bool = True) -> Batch:
        """Return a batch of examples; without answers if the model is to give them."""

    @abstractmethod
    def prompt_batch(self, waveforms: Sequence[Waveform], prompts: Sequence[str] | None = None) -> Batch:
        """Return a batch of bare waveforms (float32, mono, at the collator's rate) that waits for answers."""

    @abstractmethod
    def prompt_lengths(self) -> tuple[int, int]:
        """Return the tokens of the common prompt's text before and after the audio."""

    @abstractmethod
    def fitting(self, examples: Sequence[Example]) -> tuple[Sequence[Example], Report]:
        """Return the examples that can be learned whole, answer and end, and an account of the others."""

    @abstractmethod
    def reference(self, example: Example) -> list[int]:
        """Return the ids of the example's text as an answer, without the end token."""

    @abstractmethod
    def hypothesis(self, answer: Sequence[int]) -> str:
        """Return generated ids as text."""

    def common(self) -> list[str]:
        """Return the prompts for clips that have none of their own, that of evaluation first."""
        return [""]

    def text_lengths(self, example: Example) -> tuple[int, int, int]:
        """Return the largest numbers of tokens before the audio, after it, and of the answer with its end."""
        return *self.prompt_lengths(), len(self.reference(example)) + 1

    def text_positions(self, examples: Sequence[Example]) -> NDArray[np.int64]:
        """Return the tokens of each example's prompt and answer, the sums of `text_lengths` (n,)."""
        sums = (sum(self.text_lengths(example)) for example in examples)
        return np.fromiter(sums, np.int64, len(examples))

    def __call__(self, examples: Sequence[Example]) -> Batch:
        """Return a batch with answers: what a data loader calls."""
        return self.collate(examples)
