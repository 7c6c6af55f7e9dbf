"""Spans of sound in, what the model writes to them out, in batches of like length."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import attrs

from steermoe_core.data.batches import length_sorted
from steermoe_core.data.padded import Padded
from steermoe_core.evaluate.evaluation import PARTS, Evaluator
from steermoe_core.model.generate import Questions
from steermoe_core.model.nbest import answer_all
from steermoe_core.use.hotwords import guarded, prompted
from steermoe_core.use.transcript import Segment
from steermoe_core.use.words import Aligner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from steermoe_core.config.experiment import EvaluateConfig
    from steermoe_core.data.audio.segments import Span
    from steermoe_core.data.collator import Collator
    from steermoe_core.data.layout import Batch
    from steermoe_core.model.joined import Joined


@attrs.frozen(kw_only=True)
class Wanted:
    """What to write to each span.

    :param prompt: what to ask of it, in place of the collator's own prompt.
    :param hotwords: words that may occur, put into the prompt.
    :param words: whether to find the times of words.
    """

    prompt: str | None = None
    hotwords: Sequence[str] = ()
    words: bool = False


class Answering:
    """A model that writes to spans of sound.

    :param config: how long its answers may be, and how many it generates together.
    """

    def __init__(self, model: Joined, collator: Collator, config: EvaluateConfig) -> None:
        self.model = model
        self.collator = collator
        self._rate = model.encoder.sample_rate
        self._evaluator = Evaluator(model, collator, config, metrics=[], seed=0)
        self._aligner = Aligner(model, collator)

    def together(self, seconds: float) -> int:
        """Return how many spans of a number of seconds are generated together."""
        return self._evaluator.config.batch_size or PARTS * self._evaluator.batch_size(seconds)

    def transcribed(
        self, heard: Sequence[Span], wanted: Wanted, progressed: Callable[[float], None]
    ) -> Iterator[Segment]:
        """Return what is written to each span; a silent one gets no text, the model is not asked.

        :param progressed: told of the seconds that were written down.
        """
        found = {
            number: self._segment(span, _Written("", "silence"), words=wanted.words)
            for number, span in enumerate(heard)
            if span.silent
        }
        progressed(sum(segment.end - segment.start for segment in found.values()))
        sounding = [number for number in range(len(heard)) if number not in found]
        spans = [heard[number] for number in sounding]
        for place, written in self._written(spans, wanted):
            segment = self._segment(spans[place], written, words=wanted.words)
            found[sounding[place]] = segment
            progressed(segment.end - segment.start)
        return iter([found[number] for number in range(len(heard))])

    def _written(self, heard: Sequence[Span], wanted: Wanted) -> Iterator[tuple[int, _Written]]:
        """Yield the place of each span and what is written to it, hotwords guarded."""
        spoken = wanted.prompt is None
        prompts = None if wanted.prompt is None else [wanted.prompt] * len(heard)
        if not wanted.hotwords:
            yield from self._answers(heard, prompts, spoken=spoken, framed=wanted.words)
            return
        plain = dict(self._answers(heard, prompts, spoken=spoken, framed=wanted.words))
        common = self.collator.common()[0] if wanted.prompt is None else wanted.prompt
        listing = [prompted(common, wanted.hotwords)] * len(heard)
        # It is generated: a text that CTC proposes without knowing them holds none that it did not hear.
        for place, other in self._answers(heard, listing, spoken=False):
            text = guarded(other.text, plain[place].text, wanted.hotwords)
            yield place, attrs.evolve(plain.pop(place), text=text)

    def answered(self, span: Span, questions: Sequence[str]) -> list[Segment]:
        """Return the answers to some questions about one span."""
        found = dict(self._answers([span] * len(questions), questions, spoken=False))
        return [self._segment(span, found[number], words=False) for number in range(len(questions))]

    def _answers(
        self, heard: Sequence[Span], prompts: Sequence[str] | None, *, spoken: bool, framed: bool = False
    ) -> Iterator[tuple[int, _Written]]:
        """Yield the place of each span and what is written to it.

        :param spoken: whether the text wanted is what is said, which the projector may propose.
        :param framed: with what the model read.
        """
        seconds = [len(span.waveform) / self._rate for span in heard]
        device = next(self.model.parameters()).device
        rows: dict[int, Batch] = {}

        def questions() -> Iterator[Questions]:
            for places in length_sorted(seconds, self._evaluator.batch_size)[0]:
                waves = [heard[place].waveform for place in places]
                own = None if prompts is None else [prompts[place] for place in places]
                limits = [self._evaluator.limit(seconds[place]) for place in places]
                batch = self.collator.prompt_batch(waves, own).to(device)
                read = self.model.frames(batch.features)
                audio = self.model.projector(read)[0]
                if framed:
                    rows.update(zip(places, _rows(batch, read), strict=True))
                if spoken:
                    yield self._evaluator.question(batch, limits, places, read, audio)
                else:
                    yield Questions(batch, limits, places, audio)

        for place, answer in answer_all(self.model, questions(), self._evaluator.capacity):
            text = self.collator.hypothesis(answer.ids)
            yield place, _Written(text, answer.stop, rows.pop(place, None))

    def _segment(self, span: Span, written: _Written, *, words: bool) -> Segment:
        start, end = (round(at / self._rate, 3) for at in (span.start, span.start + len(span.waveform)))
        if not words:
            return Segment(start, end, written.text, written.stop)
        if not written.text or written.row is None:
            return Segment(start, end, written.text, written.stop, words=[])
        found, times = self._aligner.words(span, written.text, written.row)
        return Segment(start, end, written.text, written.stop, words=found, times=times)


def _rows(batch: Batch, read: Padded) -> Iterator[Batch]:
    """Yield each row alone, as if there were no others, with the frames (T,D) that the projector reads."""
    for number, frames in enumerate(read.rows()):
        yield replace(batch.row(number), features=Padded.stack([frames]))


@attrs.frozen(eq=False)
class _Written:
    """What the model wrote to a span, why that ended, and what it read, where kept: see `Aligner.words`."""

    text: str
    stop: str
    row: Batch | None = None
