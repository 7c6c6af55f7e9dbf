"""Spans of sound in, what the model writes to them out, in batches of like length."""

from __future__ import annotations

from typing import TYPE_CHECKING

from steermoe_core.data.batches import length_sorted
from steermoe_core.evaluate.evaluation import PARTS, Evaluator
from steermoe_core.model.generate import Questions, answers
from steermoe_core.use.transcript import Segment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from steermoe_core.config.experiment import EvaluateConfig
    from steermoe_core.data.audio.segments import Span
    from steermoe_core.data.collators import Collator
    from steermoe_core.model.joined import Joined


class Answering:
    """A model that writes to spans of sound.

    :param config: how long its answers may be, and how many it generates together.
    """

    def __init__(self, model: Joined, collator: Collator, config: EvaluateConfig) -> None:
        self.model = model
        self.collator = collator
        self._rate = model.encoder.sample_rate
        self._evaluator = Evaluator(model, collator, config, metrics=[], seed=0)

    def together(self, seconds: float) -> int:
        """Return how many spans of a number of seconds are generated together."""
        return self._evaluator.config.batch_size or PARTS * self._evaluator.batch_size(seconds)

    def transcribed(
        self, heard: Sequence[Span], prompt: str | None, progressed: Callable[[float], None]
    ) -> Iterator[Segment]:
        """Return what is written to each span; a silent one gets no text, the model is not asked.

        :param prompt: what to ask of each, in place of the collator's own prompt.
        :param progressed: told of the seconds that were written down.
        """
        found = {
            number: self._segment(span, "", "silence") for number, span in enumerate(heard) if span.silent
        }
        progressed(sum(segment.end - segment.start for segment in found.values()))
        sounding = [number for number in range(len(heard)) if number not in found]
        prompts = None if prompt is None else [prompt] * len(sounding)
        for place, segment in self._answers([heard[number] for number in sounding], prompts):
            found[sounding[place]] = segment
            progressed(segment.end - segment.start)
        return iter([found[number] for number in range(len(heard))])

    def answered(self, span: Span, questions: Sequence[str]) -> list[Segment]:
        """Return the answers to some questions about one span."""
        found = dict(self._answers([span] * len(questions), questions))
        return [found[number] for number in range(len(questions))]

    def _answers(self, heard: Sequence[Span], prompts: Sequence[str] | None) -> Iterator[tuple[int, Segment]]:
        """Yield the place of each span and what is written to it."""
        seconds = [len(span.waveform) / self._rate for span in heard]
        device = next(self.model.parameters()).device

        def questions() -> Iterator[Questions]:
            for places in length_sorted(seconds, self._evaluator.batch_size)[0]:
                waves = [heard[place].waveform for place in places]
                own = None if prompts is None else [prompts[place] for place in places]
                limits = [self._evaluator.limit(seconds[place]) for place in places]
                yield Questions(self.collator.prompt_batch(waves, own).to(device), limits, places)

        for place, answer in answers(self.model, questions(), self._evaluator.capacity):
            text = self.collator.hypothesis(answer.ids)
            yield place, self._segment(heard[place], text, answer.stop)

    def _segment(self, span: Span, text: str, stop: str) -> Segment:
        end = span.start + len(span.waveform)
        return Segment(round(span.start / self._rate, 3), round(end / self._rate, 3), text, stop)
