"""Collators that are wrong in one way each."""

from __future__ import annotations

import random
from dataclasses import replace

import attrs

from steermoe_core.data.collators import AsrCollator
from steermoe_core.data.config import AsrConfig
from steermoe_core.data.layout import ids


class Right(AsrCollator):
    """The layout for speech recognition."""

    caught_by = None

    def __init__(self, config, *context):
        super().__init__(AsrConfig(), *context)


class Backwards(Right):
    """Names its rows in another order."""

    caught_by = "batch"

    def collate(self, examples, *, answered=True):
        batch = super().collate(examples, answered=answered)
        return replace(batch, ids=batch.ids[::-1])


class Crowded(Right):
    """Says more before the answer the more rows there are."""

    caught_by = "rows"

    def collate(self, examples, *, answered=True):
        batch = super().collate(examples, answered=answered)
        return replace(
            batch, after=ids([[*row.tolist(), *[2] * (len(batch) - 1)] for row in batch.after.rows()])
        )


class Endless(Right):
    """Teaches answers without an end."""

    caught_by = "answer_ends"

    def answer(self, example):
        return super().answer(example)[:-1]


class Cuts(Right):
    """Cuts a long answer to its limit, and its end with it."""

    caught_by = "long_answers"

    def answer(self, example):
        return super().answer(example)[: self.config.max_answer_tokens]


class GivesAway(Right):
    """Shows the answers that are asked for."""

    caught_by = "unanswered"

    def collate(self, examples, *, answered=True):
        del answered
        return super().collate([e for e in examples if len(e.text) < 400] or examples)


class Speechless(Right):
    """Asks nothing of bare waveforms."""

    caught_by = "prompt_batch"

    def prompt_batch(self, waveforms, prompts=None):
        batch = super().prompt_batch(waveforms, prompts)
        return replace(batch, after=ids([[] for _ in waveforms]))


class Miscounts(Right):
    """Counts the prompt before the audio that stands behind it."""

    caught_by = "prompt_lengths"

    def prompt_lengths(self):
        return super().prompt_lengths()[::-1]


class Overshares(Right):
    """Says that rows share tokens that they do not have."""

    caught_by = "shared"

    def collate(self, examples, *, answered=True):
        return replace(super().collate(examples, answered=answered), shared=3)


class TalksOn(Right):
    """Hears what stands behind the end of an answer."""

    caught_by = "hypothesis"

    def hypothesis(self, answer):
        return str(self.tokenizer.decode(list(answer), skip_special_tokens=True)).strip()


class Dice(Right):
    """Draws its prompt without the seed."""

    caught_by = "determinism"

    def common(self):
        return ["what is it ?"] if random.random() < 0.5 else super().common()

    def collate(self, examples, *, answered=True):
        own = [attrs.evolve(example, prompt=f"one {random.random()}") for example in examples]
        batch = super().collate(own, answered=answered)
        return replace(batch, after=ids([[random.randrange(2, 9)] * 9 for _ in examples]))
