"""From examples to batches: audio is loaded, texts are tokenised and put in their places."""

from __future__ import annotations

import hashlib
from functools import cached_property
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from steermoe_core.data.audio.features import kept_frames, log_mels, mel_batch
from steermoe_core.data.audio.waveform import load
from steermoe_core.data.chat import chat_end, chat_layout
from steermoe_core.data.collator import Collator
from steermoe_core.data.config import CHAT
from steermoe_core.data.examples import Examples
from steermoe_core.data.layout import Batch, Layout, ids
from steermoe_core.data.token_counts import answer_counts, identity, prompt_counts
from steermoe_core.data.token_limit import Room, cut
from steermoe_core.data.usable import Report, not_empty
from steermoe_core.errors import DataError, SetupError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from steermoe_core.data.config import AsrConfig
    from steermoe_core.data.example import Example
    from steermoe_core.data.padded import Padded

    Waveform = NDArray[np.float32]
    Tokens = list[int]


#: Verdicts on an example: it fits as it is, or with a shorter prompt.
_WHOLE, _CUT = "", "cut"


class AsrCollator(Collator):
    """A template with audio and one prompt for all; the answer is the example's text.

    An example's own prompt, where it has one, takes the place of the common one.

    :param config: prompt, template and form of the answers.
    :param tokenizer: any Hugging Face tokenizer with an EOS token; nothing is asked about padding.
    :param features: turns waveforms into the encoder's input, `Encoder.features`.
    :param rate: samples a second that `features` expects.
    :param seed: of the run: where there are several prompts, they are drawn with it.
    :param room: how long a sequence may be, and how much of that a clip takes.
    :raises SetupError: when the tokenizer has no EOS token or lacks the chat template that is asked for, or
        `answer_end` is not one token.
    """

    def __init__(
        self,
        config: AsrConfig,
        tokenizer: Any,
        features: Callable[[list[Waveform]], Padded],
        rate: int = 16_000,
        seed: int = 0,
        room: Room | None = None,
    ) -> None:
        if tokenizer.eos_token_id is None:
            msg = "the decoder's tokenizer has no EOS token, so answers could never end; set its eos_token"
            raise SetupError(msg)
        self.config = config
        self.tokenizer = tokenizer
        self.features = features
        self.rate = rate
        self.seed = seed
        self.room = room or Room()
        chat = config.template == CHAT
        self._layout = chat_layout(tokenizer, config.system) if chat else Layout.parse(config.template)
        self.end = self._end()
        self._head = self._tokens(self._layout.before.partition(self._layout.slot)[0])
        self._common: dict[str, tuple[Tokens, Tokens]] = {}
        self._common = {prompt: self._laid_out(prompt) for prompt in self.common()}

    def collate(self, examples: Sequence[Example], *, answered: bool = True) -> Batch:
        """Load the clips and lay the texts out.

        :param answered: False leaves the answers empty, for generation; no text is then too long. Each clip
            gets its first prompt; for training one of its prompts is drawn.
        :raises DataError: when a clip cannot be read, or an answer or prompt does not fit the settings.
        """
        features, seconds = self._heard(examples)
        answers = [self._checked(example) if answered else [] for example in examples]
        drawn = [self._drawn(example, answered=answered) for example in examples]
        prompts = [
            self._fitted(example.id, prompt, example.seconds, answer)
            for example, prompt, answer in zip(examples, drawn, answers, strict=True)
        ]
        return self._batch([example.id for example in examples], features, seconds, prompts, answers)

    def prompt_batch(self, waveforms: Sequence[Waveform], prompts: Sequence[str] | None = None) -> Batch:
        """Lay out waveforms (float32, mono, `rate`) for generation.

        :param prompts: one for each waveform, in place of the common one.
        """
        names = [f"waveform {number}" for number in range(1, len(waveforms) + 1)]
        own: Sequence[str | None] = [None] * len(waveforms) if prompts is None else prompts
        first = [self.choices(name, prompt)[0] for name, prompt in zip(names, own, strict=True)]
        fitted = [
            self._fitted(name, prompt, len(waveform) / self.rate, [])
            for name, prompt, waveform in zip(names, first, waveforms, strict=True)
        ]
        seconds = [len(waveform) / self.rate for waveform in waveforms]
        return self._batch(names, self.features(list(waveforms)), seconds, fitted, [[] for _ in waveforms])

    def common(self) -> list[str]:
        """Return the prompts for clips that have none of their own, that of evaluation first."""
        return [self.config.prompt]

    def choices(self, name: str, own: str | None) -> list[str]:
        """Return the prompts that a clip may get, that of evaluation first.

        :param name: the clip's, for errors.
        :param own: the clip's own.
        :raises DataError: when it has one that would be ignored.
        """
        if own is None:
            return self.common()
        if not self._layout.has_prompt:
            msg = f"{name}: the clip has its own prompt, but collator.template has no slot {{prompt}} for it"
            raise DataError(msg)
        return [own]

    def prompt_lengths(self) -> tuple[int, int]:
        """Return the tokens of the common prompt's text before and after the audio."""
        before, after = self._common[self.common()[0]]
        return len(before), len(after)

    def fitting(self, examples: Sequence[Example]) -> tuple[Examples, Report]:
        """Leave out examples whose answer, or whose whole sequence, has more tokens than the settings allow.

        :raises DataError: when an answer holds the end token, a prompt is missing, or none is left.
        """
        found = Examples.of(examples)
        kept, left_out, cut_ones = np.ones(len(found), bool), dict[str, list[str]](), list[str]()
        for number in np.flatnonzero(self._doubtful(found)).tolist():
            example = found[number]
            verdict = self._verdict(example)
            if verdict == _CUT:
                cut_ones.append(example.id)
            elif verdict != _WHOLE:
                left_out.setdefault(verdict, []).append(example.id)
                kept[number] = False
        fits = found.take(kept)
        seconds = sum(fits.durations())
        report = Report(total=len(found), seconds=seconds, left_out=left_out, cut=cut_ones)
        return not_empty(fits, report), report

    def answer(self, example: Example) -> list[int]:
        """Return the ids to be learned, the end token last.

        :raises DataError: when the text itself holds the end token.
        """
        tokens = self.reference(example)
        for end in (self.end, self.tokenizer.eos_token_id):
            if end in tokens:
                token = self.tokenizer.decode([end])
                msg = f"{example.id}: its text holds {token!r}, the token that ends an answer"
                raise DataError(msg)
        return [*tokens, self.end]

    def reference(self, example: Example) -> list[int]:
        """Return the ids of the example's text as an answer, without the end token."""
        return self._tokens(self.config.answer_prefix + self._cased(example.text) if example.text else "")

    def text_lengths(self, example: Example) -> tuple[int, int, int]:
        """Return the largest numbers of tokens before the audio, after it, and of the answer with its end."""
        texts = [self._laid_out(prompt) for prompt in self.choices(example.id, example.prompt)]
        before, after = (max(map(len, rows)) for rows in zip(*texts, strict=True))
        return before, after, len(self.answer(example))

    def text_positions(self, examples: Sequence[Example]) -> NDArray[np.int64]:
        """Return the tokens of each example's prompt and answer (n,), counted in batches, and kept.

        :raises DataError: when an answer holds the end token, or a prompt is missing.
        """
        found = Examples.of(examples)
        usual = type(self).text_lengths is AsrCollator.text_lengths
        if not usual or (counts := self._counts(found)) is None:
            return super().text_positions(found)
        answers, prompts = counts
        for number in np.flatnonzero((answers < 0) | (prompts < 0))[:1].tolist():
            self.text_lengths(found[number])  # raises
        return answers + prompts

    def hypothesis(self, answer: Sequence[int]) -> str:
        """Return generated ids as text: up to the first end, without special tokens and the answer prefix."""
        ends = {self.end, self.tokenizer.eos_token_id}
        said = list(takewhile(lambda token: token not in ends, map(int, answer)))
        text = self.tokenizer.decode(said, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return str(text).strip().removeprefix(self.config.answer_prefix.strip()).strip()

    def _heard(self, examples: Sequence[Example]) -> tuple[Padded, list[float]]:
        """Return the encoder's input, and the seconds of each clip."""
        audios = [example.audio for example in examples]
        if (frames := kept_frames(audios)) is not None:
            return frames, [example.seconds for example in examples]
        if mels := log_mels(audios):
            return mel_batch(mels, self._bins), [example.seconds for example in examples]
        # Fewer samples read as if they were `rate` a second: a faster clip.
        waveforms = [load(example.audio, round(self.rate / example.speed)) for example in examples]
        return self.features(waveforms), [len(waveform) / self.rate for waveform in waveforms]

    @cached_property
    def _bins(self) -> list[int]:
        """Shape of a frame of the encoder's own features."""
        return list(self.features([np.zeros(self.rate, np.float32)]).values.shape[2:])

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
        features: Padded,
        seconds: Sequence[float],
        prompts: Sequence[str],
        answers: list[Tokens],
    ) -> Batch:
        texts = [self._laid_out(prompt) for prompt in prompts]
        return Batch(
            ids=tuple(names),
            features=features,
            before=ids([before for before, _ in texts]),
            after=ids([after for _, after in texts]),
            answer=ids(answers),
            seconds=torch.tensor(seconds),
            ends=(self.end,),
            shared=self._shared(prompts, [before for before, _ in texts]),
        )

    def _end(self) -> int:
        if not self.config.answer_end:
            chat = self.config.template == CHAT
            return chat_end(self.tokenizer, self.config.system) if chat else int(self.tokenizer.eos_token_id)
        tokens = self._tokens(self.config.answer_end)
        if len(tokens) != 1:
            msg = (
                f"collator.answer_end {self.config.answer_end!r} is {len(tokens)} tokens of this decoder; "
                "choose a text that is one token, or leave it empty for the tokenizer's EOS"
            )
            raise SetupError(msg)
        return tokens[0]

    def _drawn(self, example: Example, *, answered: bool) -> str:
        """Return an example's prompt: a pure function of the seed, the example and its turn."""
        choices = self.choices(example.id, example.prompt)
        if len(choices) == 1 or not answered:
            return choices[0]
        digest = hashlib.sha256(f"{self.seed}\0{example.turn}\0{example.id}".encode()).digest()
        return choices[int.from_bytes(digest[:8], "big") % len(choices)]

    def _shared(self, prompts: Sequence[str], before: Sequence[Tokens]) -> int:
        """Return how many tokens before the audio are the template's, or with it those of a common prompt."""
        if prompts[0] in self._common and len(set(prompts)) == 1:
            return len(before[0])
        return min(_common(self._head, row) for row in before)

    @property
    def _limit(self) -> int:
        return min(self.config.max_tokens or self.room.context, self.room.context)

    def _counts(self, examples: Examples) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
        """Return the tokens of each answer with its end (n,), and of each prompt (n,); -1: there is none.

        They are made in batches, and kept. A class with answers of its own has no such counts.
        """
        own = type(self)
        if (own.answer, own.reference) != (AsrCollator.answer, AsrCollator.reference):
            return None
        ends = (self.end, self.tokenizer.eos_token_id)
        answers = examples.derived(
            self._named("answer", self.config.answer_prefix, self.config.lower, ends),
            ["text"],
            self._answer_counts,
        )
        prompts = examples.derived(
            self._named("prompt", own.__qualname__, self.config, self._layout),
            ["prompt"],
            self._prompt_counts,
        )
        return answers, prompts

    def _doubtful(self, examples: Examples) -> NDArray[np.bool_]:
        """Return which examples may not fit whole (n,)."""
        counts = self._counts(examples)
        if counts is None:
            return np.ones(len(examples), bool)
        answers, prompts = counts
        doubtful: NDArray[np.bool_] = (
            (answers < 0) | (prompts < 0) | (answers > self.config.max_answer_tokens)
        )
        room = self._limit - answers - prompts
        if not doubtful.all():  # a longer clip never has fewer audio tokens
            longest = float(examples.seconds[~doubtful].max())
            tight = np.flatnonzero(~doubtful & (room < self.room.audio_tokens(longest)))
            seconds, places = np.unique(examples.seconds[tight], return_inverse=True)
            audio = np.array([self.room.audio_tokens(one) for one in seconds.tolist()], np.int64)
            doubtful[tight] = room[tight] < audio[places]
        return doubtful

    def _named(self, *settings: object) -> str:
        """Return a name for token counts by what they depend on; "" where the tokenizer has no identity."""
        return self._identity and f"{settings} {self._identity}"

    @cached_property
    def _identity(self) -> str:
        return identity(self.tokenizer)

    def _answer_counts(self, texts: Sequence[str]) -> Iterator[int]:
        """Yield the tokens of each answer with its end; -1 where the text holds the end token."""
        said = [self.config.answer_prefix + self._cased(text) if text else "" for text in texts]
        return answer_counts(self.tokenizer, said, {self.end, self.tokenizer.eos_token_id})

    def _prompt_counts(self, prompts: Sequence[str | None]) -> Iterator[int]:
        """Yield the tokens around the audio with the longest prompt that a clip may get; -1: it gets none."""
        choices: dict[str | None, Sequence[str]] = {}
        for own in dict.fromkeys(prompts):
            try:
                choices[own] = self.choices("", own)
            except DataError:  # `_verdict` names the clip
                choices[own] = []
        longest = prompt_counts(self.tokenizer, self._layout, choices)
        return (longest[own] for own in prompts)

    def _verdict(self, example: Example) -> str:
        """Return whether an example fits whole or with its prompt cut, or why it does not."""
        answer = self.answer(example)
        if len(answer) > self.config.max_answer_tokens:
            return f"with answers over {self.config.max_answer_tokens} tokens"
        excess = self._excess(example.seconds, answer)
        prompts = [prompt for prompt in self.choices(example.id, example.prompt) if excess(prompt) > 0]
        if not prompts:
            return _WHOLE
        cutting = self.config.too_long == "cut-prompt"
        if cutting and all(cut(prompt, excess, self.tokenizer) is not None for prompt in prompts):
            return _CUT
        return f"longer than {self._limit} tokens with text and audio"

    def _fitted(self, name: str, prompt: str, seconds: float, answer: Tokens) -> str:
        """Return a prompt, cut where the settings say so.

        :param answer: of a clip to be learned; empty where it is to be given, and nothing is left out.
        """
        excess = self._excess(seconds, answer)
        if excess(prompt) <= 0:
            return prompt
        shorter = cut(prompt, excess, self.tokenizer) if self.config.too_long == "cut-prompt" else None
        if shorter is None and answer:
            msg = (
                f"{name}: its sequence has {self._limit + excess(prompt)} tokens, more than {self._limit} "
                "(collator.max_tokens, or the decoder's context); raise the limit or leave the clip out"
            )
            raise DataError(msg)
        return prompt if shorter is None else shorter

    def _excess(self, seconds: float, answer: Tokens) -> Callable[[str], int]:
        """Return by how many tokens the sequence of a clip is too long with some prompt."""
        said = len(answer) or min(self.config.max_answer_tokens, self._limit // 2)
        room = self._limit - self.room.audio_tokens(seconds) - said
        return lambda prompt: sum(map(len, self._laid_out(prompt))) - room

    def _laid_out(self, prompt: str) -> tuple[Tokens, Tokens]:
        """Return the tokens before and after the audio."""
        if prompt in self._common:
            return self._common[prompt]
        before, after = self._layout.fill(prompt)
        return self._tokens(before), self._tokens(after)

    def _cased(self, text: str) -> str:
        return text.lower() if self.config.lower else text

    def _tokens(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"]) if text else []


def _common(one: Tokens, other: Tokens) -> int:
    """Return how many tokens two sequences begin with alike."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
