"""Score a split: greedy answers, a line for each clip, corpus scores with intervals, controls beside them."""

from __future__ import annotations

import math
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import attrs

from steermoe_core.data.batches import length_sorted
from steermoe_core.data.check import usable
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


@attrs.frozen
class Prediction:
    """One line of predictions.jsonl."""

    id: str
    reference: str
    hypothesis: str
    seconds: float
    tokens: int
    stop: str
    cluster: str | None


@attrs.define
class Evaluator:
    """Everything that scoring needs but the examples.

    :param progressed: told the number of clips done after each batch.
    """

    model: Joined
    collator: Collator
    config: EvaluateConfig
    metrics: Sequence[Metric]
    seed: int
    device: Any = "cpu"
    progressed: Callable[[int], None] = lambda _: None
    _silent: dict[tuple[int, ...], Answer] = attrs.field(factory=dict, init=False)

    def evaluate(self, examples: Sequence[Example]) -> tuple[dict[str, list[Prediction]], dict[str, Any]]:
        """Return the predictions (of the model and of each control) and the content of scores.json."""
        started = time.monotonic()
        kept, report = usable(examples, min_seconds=0.0, max_seconds=self._longest(), max_bad=1.0)
        self.model.adapter.watch()
        found = {"": self._predict(kept, control="")}
        steering = self.model.adapter.statistics()
        found |= {control: self._predict(kept, control=control) for control in self.config.controls}
        scores = {
            "examples": len(kept),
            "hours": round(sum(example.seconds for example in kept) / 3600, 4),
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
        found: list[Prediction] = []
        for numbers in batches:
            chosen = [examples[number] for number in numbers]
            batch = self.collator.collate(chosen, answered=False).to(self.device)
            found += map(self._prediction, chosen, self._answers(batch, chosen, control))
            self.progressed(len(chosen))
        return [found[place] for place in places]

    def _answers(self, batch: Batch, examples: Sequence[Example], control: str) -> list[Answer]:
        limits = [self.limit(example.seconds) for example in examples]
        if control == "no-audio":
            return self._unheard(batch, limits)
        return generate(self.model, batch, limits)

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
        )

    def _scores(self, predictions: Sequence[Prediction]) -> dict[str, Any]:
        said, wanted = [row.hypothesis for row in predictions], [row.reference for row in predictions]
        clusters = [row.cluster for row in predictions]
        found = (score(metric, said, wanted, clusters, seed=self.seed) for metric in self.metrics)
        return {one.metric: one.as_json() for one in found}

    def _longest(self) -> float:
        return self.model.encoder.max_seconds or math.inf


def _counted(values: Iterable[str]) -> dict[str, int]:
    return dict(Counter(values))
