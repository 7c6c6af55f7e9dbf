"""Score a split: answers of the model and of its controls (no-audio, shuffled-audio), corpus scores."""

from __future__ import annotations

import math
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import attrs
import torch

from steermoe_core.data.batches import length_sorted
from steermoe_core.data.usable import usable
from steermoe_core.evaluate.answered import Answered
from steermoe_core.evaluate.prediction import Prediction
from steermoe_core.evaluate.probes import probes
from steermoe_core.evaluate.score import judged, marked
from steermoe_core.evaluate.scores import Decoding, LayerStatistics, ProbeAnswer, Scores
from steermoe_core.evaluate.shuffle import SHUFFLED, partners
from steermoe_core.model.generate import generate
from steermoe_core.system.records import structured

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from steermoe_core.config.experiment import EvaluateConfig
    from steermoe_core.data.collators import Collator
    from steermoe_core.data.example import Example
    from steermoe_core.data.layout import Batch
    from steermoe_core.evaluate.metrics import Metric
    from steermoe_core.model.generate import Answer
    from steermoe_core.model.joined import Joined


@attrs.define
class Evaluator:
    """Everything that scoring needs except the examples.

    :param instructions: texts that the collator adds to the audio of every clip.
    :param answered: answers of an interrupted evaluation, and where to keep new ones.
    :param progressed: called with the number of clips after each batch.
    :param rank: of this process; each process answers its share of the batches.
    :param ranks: number of processes.
    :param gathered: returns the values of all processes, in the order of their ranks.
    """

    model: Joined
    collator: Collator
    config: EvaluateConfig
    metrics: Sequence[Metric]
    seed: int
    device: Any = "cpu"
    instructions: Sequence[str] = ()
    answered: Answered = attrs.field(factory=Answered)
    progressed: Callable[[int], None] = lambda _: None
    rank: int = 0
    ranks: int = 1
    gathered: Callable[[Any], list[Any]] = lambda value: [value]
    _silent: dict[tuple[int, ...], Answer] = attrs.field(factory=dict, init=False)
    _audio_tokens: int = attrs.field(default=0, init=False)

    def evaluate(self, examples: Sequence[Example]) -> tuple[dict[str, list[Prediction]], Scores]:
        """Return the predictions (of the model and of each control) and their scores."""
        started = time.monotonic()
        kept, report = usable(examples, min_seconds=0.0, max_seconds=self._longest(), max_bad=1.0)
        self.model.eval()  # no noise; the next training step switches back
        self._audio_tokens = 0
        others = partners(kept, self.seed) if SHUFFLED in self.config.controls else kept
        self.model.adapters.watch()
        found = {"": self._predict(kept)}
        steering = self.model.adapters.statistics()
        for control in self.config.controls:
            rows = self._shuffled(kept, others) if control == SHUFFLED else self._predict(kept, control)
            found[control] = rows
        found = {name: marked(self.metrics, rows) for name, rows in found.items()}
        seconds = sum(example.seconds for example in kept)
        audio_tokens = sum(self.gathered(self._audio_tokens))
        scores = Scores.of(
            judged(self.metrics, found, seed=self.seed, instructions=self.instructions),
            examples=len(kept),
            hours=round(seconds / 3600, 4),
            audio_tokens_per_second=round(audio_tokens / seconds, 3) if kept else None,
            left_out={reason: list(names) for reason, names in report.left_out.items() if names},
            probes=self._probed(kept[0].prompt) if self.config.probes else [],
            steering=structured(steering, list[LayerStatistics]),
            stops=dict(Counter(prediction.stop for prediction in found[""])),
            decoding=Decoding(greedy=True, batch_size=self.config.batch_size),
            seconds=round(time.monotonic() - started, 1),
        )
        return found, scores

    def limit(self, seconds: float) -> int:
        """Return the longest answer, in tokens, to a clip of a number of seconds."""
        return min(self.config.max_new_tokens, 8 + math.ceil(seconds * self.config.tokens_per_second))

    def _predict(self, examples: Sequence[Example], name: str = "") -> list[Prediction]:
        """Return the answers to examples, in their order.

        :param name: of the control, or `probes`; empty for the model's own answers.
        """
        batches, places = length_sorted([example.seconds for example in examples], self.config.batch_size)
        mine: list[list[Prediction]] = []
        for number in range(self.rank, len(batches), self.ranks):
            chosen = [examples[place] for place in batches[number]]
            mine.append(list(map(self._prediction, chosen, self._answers(chosen, name, number))))
            self.progressed(len(chosen))
        shares = self.gathered(mine)
        turns = (shares[number % self.ranks][number // self.ranks] for number in range(len(batches)))
        found = [prediction for batch in turns for prediction in batch]
        return [found[place] for place in places]

    def _shuffled(self, examples: Sequence[Example], others: Sequence[Example]) -> list[Prediction]:
        """Answer each example with the audio of another one."""
        shuffled = [
            attrs.evolve(one, audio=other.audio, seconds=other.seconds, speed=other.speed)
            for one, other in zip(examples, others, strict=True)
        ]
        rows = zip(self._predict(shuffled, SHUFFLED), others, strict=True)
        return [attrs.evolve(row, heard=other.id) for row, other in rows]

    def _probed(self, prompt: str | None) -> list[ProbeAnswer]:
        """Return the answers to sounds without speech."""
        sounds = probes(self._longest(), prompt)
        rows = self._predict(list(sounds.values()), "probes")
        return [
            ProbeAnswer(sound=probe.sound, seconds=probe.length, hypothesis=row.hypothesis)
            for probe, row in zip(sounds, rows, strict=True)
        ]

    def _answers(self, examples: Sequence[Example], name: str, number: int) -> list[Answer]:
        """Return the answers to a batch: those on disk, or new ones, which are written to disk.

        The model's own batches are encoded in any case: the adapter's statistics are over all clips.
        """
        kept = self.answered.get(f"{name} {number}")
        if kept is not None and name:
            return kept
        batch = self.collator.collate(examples, answered=False).to(self.device)
        limits = [self.limit(example.seconds) for example in examples]
        if name == "no-audio":
            answers = self._without_audio(batch, limits)
        else:
            with torch.no_grad():
                audio = self.model.audio(batch.features)
                if kept:
                    self.model.read(batch, audio)
            self._audio_tokens += 0 if name else int(audio.host_lengths.sum())
            answers = kept or generate(self.model, batch, limits, audio=audio)
        if kept is None:
            self.answered.put(f"{name} {number}", answers)
        return answers

    def _without_audio(self, batch: Batch, limits: Sequence[int]) -> list[Answer]:
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

    def _longest(self) -> float:
        return self.model.encoder.max_seconds or math.inf
