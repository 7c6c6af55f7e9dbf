"""From examples to batches: audio is loaded, texts are tokenised and put in their places."""

from __future__ import annotations

from abc import ABC, abstractmethod
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import torch

from steermoe_core.data.audio import load
from steermoe_core.data.check import Report
from steermoe_core.data.layout import Batch, Layout, ids
from steermoe_core.errors import DataError, SetupError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from steermoe_core.data.config import AsrConfig
    from steermoe_core.data.example import Example
    from steermoe_core.data.padded import Padded

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
    def fitting(self, examples: Sequence[Example]) -> tuple[list[Example], Report]:
        """Return the examples whose answers can be learned whole, and an account of the others."""

    @abstractmethod
    def hypothesis(self, answer: Sequence[int]) -> str:
        """Return generated ids as text."""

    def __call__(self, examples: Sequence[Example]) -> Batch:
        """Return a batch with answers: what a data loader calls."""
        return self.collate(examples)


class AsrCollator(Collator):
    """A template with audio and one prompt for all; the answer is the example's text.

    An example's own prompt, where it has one, takes the place of the common one.

    :param config: prompt, template and form of the answers.
    :param tokenizer: any Hugging Face tokenizer with an EOS token; nothing is asked about padding.
    :param features: turns waveforms into the encoder's input, `Encoder.features`.
    :param rate: samples a second that `features` expects.
    :raises SetupError: when the tokenizer has no EOS token, or `answer_end` is not one token.
    """

    def __init__(
        self,
        config: AsrConfig,
        tokenizer: Any,
        features: Callable[[list[Waveform]], Padded],
        rate: int = 16_000,
    ) -> None:
        if tokenizer.eos_token_id is None:
            msg = "the decoder's tokenizer has no EOS token, so answers could never end; set its eos_token"
            raise SetupError(msg)
        self.config = config
        self.tokenizer = tokenizer
        self.features = features
        self.rate = rate
        self._layout = Layout.parse(config.template)
        self.end = self._end()

    def collate(self, examples: Sequence[Example], *, answered: bool = True) -> Batch:
        """Load the clips and lay the texts out.

        :param answered: False leaves the answers empty, for generation; no text is then too long.
        :raises DataError: when a clip cannot be read, or an answer or prompt does not fit the settings.
        """
        # Fewer samples read as if they were `rate` a second: a faster clip.
        waveforms = [load(example.audio, round(self.rate / example.speed)) for example in examples]
        answers = [self._checked(example) if answered else [] for example in examples]
        prompts = [example.prompt for example in examples]
        return self._batch([example.id for example in examples], waveforms, prompts, answers)

    def prompt_batch(self, waveforms: Sequence[Waveform], prompts: Sequence[str] | None = None) -> Batch:
        """Lay out waveforms (float32, mono, `rate`) for generation.

        :param prompts: one for each waveform, in place of the common one.
        """
        names = [str(number) for number in range(len(waveforms))]
        own: Sequence[str | None] = [None] * len(waveforms) if prompts is None else prompts
        return self._batch(names, waveforms, own, [[] for _ in waveforms])

    def prompt_lengths(self) -> tuple[int, int]:
        """Return the tokens of the common prompt's text before and after the audio."""
        before, after = self._layout.fill(self.config.prompt)
        return len(self._tokens(before)), len(self._tokens(after))

    def fitting(self, examples: Sequence[Example]) -> tuple[list[Example], Report]:
        """Leave out examples whose answer has more tokens than the settings allow.

        :raises DataError: when an answer holds the end token, or none is left.
        """
        limit = self.config.max_answer_tokens
        fits = [len(self.answer(example)) <= limit for example in examples]
        kept = [example for example, whole in zip(examples, fits, strict=True) if whole]
        long = [example.id for example, whole in zip(examples, fits, strict=True) if not whole]
        seconds = sum(example.seconds for example in kept)
        report = Report(
            total=len(examples), seconds=seconds, left_out={f"with answers over {limit} tokens": long}
        )
        if not kept:
            msg = f"no clip is left: {report}"
            raise DataError(msg)
        return kept, report

    def answer(self, example: Example) -> list[int]:
        """Return the ids to be learned, the end token last.

        :raises DataError: when the text itself holds the end token.
        """
        text = example.text.lower() if self.config.lower else example.text
        tokens = self._tokens(self.config.answer_prefix + text if text else "")
        for end in (self.end, self.tokenizer.eos_token_id):
            if end in tokens:
                token = self.tokenizer.decode([end])
                msg = f"{example.id}: its text holds {token!r}, the token that ends an answer"
                raise DataError(msg)
        return [*tokens, self.end]

    def hypothesis(self, answer: Sequence[int]) -> str:
        """Return generated ids as text: up to the first end, without special tokens and the answer prefix."""
        ends = {self.end, self.tokenizer.eos_token_id}
        said = list(takewhile(lambda token: token not in ends, map(int, answer)))
        text = self.tokenizer.decode(said, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return str(text).strip().removeprefix(self.config.answer_prefix.strip()).strip()

    def _checked(self, example: Example) -> list[int]:
        tokens = self.answer(example)
        if len(tokens) > self.config.max_answer_tokens:
            msg = (
                f"{example.id}: its answer has {len(tokens)} tokens, more than collator.max_answer_tokens = "
                f"{self.config.max_answer_tokens}; raise the limit or leave the clip out"
            )
            raise DataError(msg)
        return tokens

    def _batch(
        self,
        names: Sequence[str],
        waveforms: Sequence[Waveform],
        prompts: Sequence[str | None],
        answers: list[list[int]],
    ) -> Batch:
        texts = [self._layout.fill(self._prompt(name, own)) for name, own in zip(names, prompts, strict=True)]
        return Batch(
            ids=tuple(names),
            features=self.features(list(waveforms)),
            before=ids([self._tokens(before) for before, _ in texts]),
            after=ids([self._tokens(after) for _, after in texts]),
            answer=ids(answers),
            seconds=torch.tensor([len(waveform) / self.rate for waveform in waveforms]),
            ends=(self.end,),
            one_prompt=all(own is None for own in prompts),
        )

    def _end(self) -> int:
        if not self.config.answer_end:
            return int(self.tokenizer.eos_token_id)
        tokens = self._tokens(self.config.answer_end)
        if len(tokens) != 1:
            msg = (
                f"collator.answer_end {self.config.answer_end!r} is {len(tokens)} tokens of this decoder; "
                "choose a text that is one token, or leave it empty for the tokenizer's EOS"
            )
            raise SetupError(msg)
        return tokens[0]

    def _prompt(self, name: str, own: str | None) -> str:
        if own is None:
            return self.config.prompt
        if not self._layout.has_prompt:
            msg = f"{name}: the clip has its own prompt, but collator.template has no slot {{prompt}} for it"
            raise DataError(msg)
        return own

    def _tokens(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"]) if text else []
