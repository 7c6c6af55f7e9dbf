"""Score a split: greedy answers, a line for each clip, corpus scores with intervals, controls beside them."""

from __future__ import annotations

import math
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import attrs
import torch

from steermoe_core.data.batches import length_sorted
from steermoe_core.data.check import usable
from steermoe_core.evaluate.prediction import Prediction
from steermoe_core.evaluate.score import score
from steermoe_core.model.generate import generate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from steermoe_core.config.experiment import EvaluateConfig
    from steermoe_core.data.collators import Collator
    from steermoe_core.data.example import Example
    from steermoe_core.data.layout import Batch
    from steermoe_core.evaluate.metrics import Metric
    from steermoe_core.model.generate import Answer
    from steermoe_core.model.joined import Joined


@attrs.define
class Evaluator:
    """Everything that scoring needs but the examples.

    :param progressed: told the number of clips done after each batch.
    :param rank: number of this process among all that score together, each its share of the batches.
    :param ranks: how many there are.
    :param gathered: returns the values of all, in the order of their ranks.
    """

    model: Joined
    collator: Collator
    config: EvaluateConfig
    metrics: Sequence[Metric]
    seed: int
    device: Any = "cpu"
    progressed: Callable[[int], None] = lambda _: None
    rank: int = 0
    ranks: int = 1
    gathered: Callable[[Any], list[Any]] = lambda value: [value]
    _silent: dict[tuple[int, ...], Answer] = attrs.field(factory=dict, init=False)
    _audio_tokens: int = attrs.field(default=0, init=False)

    def evaluate(self, examples: Sequence[Example]) -> tuple[dict[str, list[Prediction]], dict[str, Any]]:
        """Return the predictions (of the model and of each control) and the content of scores.json."""
        started = time.monotonic()
        kept, report = usable(examples, min_seconds=0.0, max_seconds=self._longest(), max_bad=1.0)
        self.model.eval()  # training mode has noise, and the next training step sets it again
        self._audio_tokens = 0
        self.model.adapter.watch()
        found = {"": self._predict(kept, control="")}
        steering = self.model.adapter.statistics()
        found |= {control: self._predict(kept, control=control) for control in self.config.controls}
        seconds = sum(example.seconds for example in kept)
        audio_tokens = sum(self.gathered(self._audio_tokens))
        scores = {
            "examples": len(kept),
            "hours": round(seconds / 3600, 4),
            "audio_tokens_per_second": round(audio_tokens / seconds, 3) if kept else None,
            "left_out": {reason: list(names) for reason, names in report.left_out.items() if names},
            "metrics": self._scores(found[""]),
            "controls": {control: self._scores(found[control]) for control in self.config.controls},
            "steering": steering,
            "stops": _counted(prediction.stop for prediction in found[""]),
            "decoding": {"greedy": True, "batch_size": self.config.batch_size},
            "seconds": round(time.monotonic() - started, 1),
        }
        return found, scores

    def limit(self, seconds: float) -> int:
        """Return the longest answer, in tokens, to a clip of so many seconds."""
        return min(self.config.max_new_tokens, 8 + math.ceil(seconds * self.config.tokens_per_second))

    def _predict(self, examples: Sequence[Example], control: str) -> list[Prediction]:
        batches, places = length_sorted([example.seconds for example in examples], self.config.batch_size)
        mine: list[list[Prediction]] = []
        for numbers in batches[self.rank :: self.ranks]:
            chosen = [examples[number] for number in numbers]
            batch = self.collator.collate(chosen, answered=False).to(self.device)
            mine.append(list(map(self._prediction, chosen, self._answers(batch, chosen, control))))
            self.progressed(len(chosen))
        shares = self.gathered(mine)
        turns = (shares[number % self.ranks][number // self.ranks] for number in range(len(batches)))
        found = [prediction for batch in turns for prediction in batch]
        return [found[place] for place in places]

    def _answers(self, batch: Batch, examples: Sequence[Example], control: str) -> list[Answer]:
        limits = [self.limit(example.seconds) for example in examples]
        if control == "no-audio":
            return self._unheard(batch, limits)
        with torch.no_grad():
            audio = self.model.audio(batch.features)
        self._audio_tokens += int(audio.lengths.sum())
        return generate(self.model, batch, limits, audio=audio)

    def _unheard(self, batch: Batch, limits: Sequence[int]) -> list[Answer]:
        """Answer without audio: rows of the same text differ only in their limit, so it is answered once."""
        texts = [
            (*b.tolist(), -1, *a.tolist())
            for b, a in zip(batch.before.rows(), batch.after.rows(), strict=True)
        ]
        for text in {text: None for text in texts if text not in self._silent}:
            alone = batch.row(texts.index(text))
            limit = self.config.max_new_tokens
            (answer,) = generate(self.model, alone, [limit], audio=self.model.without_audio(alone))
            self._silent[text] = answer
        return [self._silent[text].cut(limit) for text, limit in zip(texts, limits, strict=True)]

    def _prediction(self, example: Example, answer: Answer) -> Prediction:
        return Prediction(
            id=example.id,
            reference=example.text,
            hypothesis=self.collator.hypothesis(answer.ids),
            seconds=round(example.seconds, 3),
            tokens=len(answer.ids),
            stop=answer.stop,
            cluster=example.cluster,
            prompt=example.prompt,
            references=example.references,
            labels=example.labels,
            ids=answer.ids,
            reference_ids=self.collator.reference(example),
        )

    def _scores(self, predictions: Sequence[Prediction]) -> dict[str, Any]:
        found = (score(metric, predictions, seed=self.seed) for metric in self.metrics)
        return {one.metric: one.as_json() for one in found}

    def _longest(self) -> float:
        return self.model.encoder.max_seconds or math.inf


def _counted(values: Iterable[str]) -> dict[str, int]:
    return dict(Counter(values))
