"""Spans of sound in, what the model writes to them out, in batches of like length."""

from __future__ import annotations

from typing import TYPE_CHECKING

from steermoe_core.data.batches import length_sorted
from steermoe_core.evaluate.evaluation import Evaluator
from steermoe_core.model.generate import generate
from steermoe_core.use.transcript import Segment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from steermoe_core.config.experiment import EvaluateConfig
    from steermoe_core.data.audio.segments import Span
    from steermoe_core.data.collators import Collator
    from steermoe_core.model.joined import Joined


class Answering:
    """A model that writes to spans of sound.

    :param config: how long its answers may be.
    :param batch_size: spans that are answered together.
    """

    def __init__(self, model: Joined, collator: Collator, config: EvaluateConfig, batch_size: int) -> None:
        self.model = model
        self.collator = collator
        self.batch_size = batch_size
        self._rate = model.encoder.sample_rate
        self._evaluator = Evaluator(model, collator, config, metrics=[], seed=0)

    def transcribed(
        self, heard: Sequence[Span], prompt: str | None, progressed: Callable[[float], None]
    ) -> Iterator[Segment]:
        """Return what is written to each span; a silent one gets no text, the model is not asked.

        :param prompt: what to ask of each, in place of the collator's own prompt.
        :param progressed: told of the seconds that were written down.
        """
        batches, places = length_sorted([len(span.waveform) for span in heard], self.batch_size)
        found: list[Segment] = []
        for numbers in batches:
            batch = [heard[number] for number in numbers]
            sounding = [span for span in batch if not span.silent]
            texts = iter(self._batch(sounding, None if prompt is None else [prompt] * len(sounding)))
            found += [self._segment(span, "", "silence") if span.silent else next(texts) for span in batch]
            progressed(sum(len(span.waveform) for span in batch) / self._rate)
        return iter([found[place] for place in places])

    def answered(self, span: Span, questions: Sequence[str]) -> list[Segment]:
        """Return the answers to some questions about one span."""
        starts = range(0, len(questions), self.batch_size)
        batches = [questions[start : start + self.batch_size] for start in starts]
        return [answer for batch in batches for answer in self._batch([span] * len(batch), batch)]

    def _batch(self, heard: Sequence[Span], prompts: Sequence[str] | None) -> list[Segment]:
        if not heard:
            return []
        waves = [span.waveform for span in heard]
        limits = [self._evaluator.limit(len(wave) / self._rate) for wave in waves]
        batch = self.collator.prompt_batch(waves, prompts).to(next(self.model.parameters()).device)
        answers = generate(self.model, batch, limits)
        return [
            self._segment(span, self.collator.hypothesis(answer.ids), answer.stop)
            for span, answer in zip(heard, answers, strict=True)
        ]

    def _segment(self, span: Span, text: str, stop: str) -> Segment:
        end = span.start + len(span.waveform)
        return Segment(round(span.start / self._rate, 3), round(end / self._rate, 3), text, stop)
