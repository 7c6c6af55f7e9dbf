"""Score a split: answers of the model and of its controls (no-audio, shuffled-audio), corpus scores."""

from __future__ import annotations

import math
import time
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs
import torch
from torch.utils.data import DataLoader

from steermoe_core.data.batches import length_sorted
from steermoe_core.data.examples import Examples
from steermoe_core.data.usable import usable
from steermoe_core.data.worker_errors import WorkerCollate
from steermoe_core.evaluate.answered import Answered
from steermoe_core.evaluate.prediction import Prediction
from steermoe_core.evaluate.probes import PROBES, Probe, probes
from steermoe_core.evaluate.score import judged, marked
from steermoe_core.evaluate.scores import Decoding, LayerStatistics, ProbeAnswer, Scores
from steermoe_core.evaluate.shuffle import SHUFFLED, partners
from steermoe_core.model.generate import Capacity, Questions
from steermoe_core.model.nbest import Choice, answer_all
from steermoe_core.system.records import structured

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from steermoe_core.config.experiment import EvaluateConfig
    from steermoe_core.data.collator import Collator
    from steermoe_core.data.example import Example
    from steermoe_core.data.layout import Batch
    from steermoe_core.data.padded import Padded
    from steermoe_core.evaluate.metrics import Metric
    from steermoe_core.model.generate import Answer
    from steermoe_core.model.joined import Joined

#: A batch is this part of what is generated together: it joins as soon as there is room for it.
PARTS = 4


@attrs.define
class Evaluator:
    """Everything that scoring needs except the examples.

    :param instructions: texts that the collator adds to the audio of every clip.
    :param answered: answers of an interrupted evaluation, and where to keep new ones.
    :param progressed: called with the number of clips after each batch.
    :param rank: of this process; each process answers its share of the batches.
    :param ranks: number of processes.
    :param gathered: returns the values of all processes, in the order of their ranks.
    :param workers: processes that make the features of the next batches; 0 makes them in this one.
    :param half: compute in bf16 as training with ``precision = "bf16"`` does.
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
    workers: int = 0
    half: bool = False
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
        audio_tokens = sum(self.gathered(self._audio_tokens))
        for control in self.config.controls:
            rows = self._shuffled(kept, others) if control == SHUFFLED else self._predict(kept, control)
            found[control] = rows
        found = {name: marked(self.metrics, rows) for name, rows in found.items()}
        seconds = sum(kept.durations())
        scores = Scores.of(
            judged(self.metrics, found, seed=self.seed, instructions=self.instructions),
            examples=len(kept),
            hours=round(seconds / 3600, 4),
            audio_tokens_per_second=round(audio_tokens / seconds, 3) if kept else None,
            left_out={reason: list(names) for reason, names in report.left_out.items() if names},
            probes=self._probed(kept[0].prompt) if self.config.probes else [],
            steering=structured(steering, list[LayerStatistics]),
            stops=dict(Counter(prediction.stop for prediction in found[""])),
            decoding=Decoding(
                greedy=not self.config.nbest,
                batch_size=self.config.batch_size,
                batch_tokens=self.config.tokens,
                nbest=self.config.nbest,
                nbest_weight=self.config.nbest_weight if self.config.nbest else None,
            ),
            seconds=round(time.monotonic() - started, 1),
        )
        return found, scores

    def limit(self, seconds: float) -> int:
        """Return the longest answer, in tokens, to a clip of a number of seconds."""
        return min(self.config.max_new_tokens, 8 + math.ceil(seconds * self.config.tokens_per_second))

    @property
    def capacity(self) -> Capacity:
        """The room for clips that are generated together."""
        return Capacity(rows=self.config.batch_size, tokens=self.config.tokens)

    def question(
        self, batch: Batch, limits: Sequence[int], keys: Sequence[Any], frames: Padded, audio: Padded
    ) -> Questions:
        """Return what `answer_all` takes: a batch whose answers are generated or chosen, as the settings say.

        :param frames: (B,T,D), from which the projector made the audio tokens.
        """
        if not self.config.nbest:
            return Questions(batch, limits, keys, audio)
        proposals = self.model.projector.proposals(frames, self.config.nbest)
        return Choice(batch, limits, keys, audio, proposals=proposals, weight=self.config.nbest_weight)

    def batch_size(self, seconds: float) -> int:
        """Return the clips of a batch whose longest clip has a number of seconds."""
        if self.config.tokens is None:
            return max(1, self.config.clips // PARTS)
        encoder = self.model.encoder
        audio = self.model.projector.tokens(encoder.frames(round(seconds * encoder.sample_rate)))
        length = audio + sum(self.collator.prompt_lengths()) + self.limit(seconds)
        return max(1, self.config.tokens // PARTS // length)

    def _predict(self, examples: Sequence[Example], name: str = "") -> list[Prediction]:
        """Return the answers to examples, in their order.

        :param name: of the control, or `probes`; empty for the model's own answers.
        """
        batches, places = length_sorted(Examples.of(examples).seconds, self.batch_size)
        mine = {number: batches[number] for number in range(self.rank, len(batches), self.ranks)}
        found: dict[int, list[Prediction]] = {}
        with torch.autocast(torch.device(self.device).type, torch.bfloat16, enabled=self.half):
            for number, said in self._answered(examples, mine, name):
                found[number] = [
                    self._prediction(examples[place], one)
                    for place, one in zip(mine[number], said, strict=True)
                ]
                self.progressed(len(said))
        shares = self.gathered([found[number] for number in mine])
        turns = (shares[number % self.ranks][number // self.ranks] for number in range(len(batches)))
        ordered = [prediction for batch in turns for prediction in batch]
        return [ordered[place] for place in places]

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

    def _answered(
        self, examples: Sequence[Example], batches: Mapping[int, list[int]], name: str
    ) -> Iterator[tuple[int, list[Answer]]]:
        """Yield each batch's number and answers: those on disk, or new ones, which are written there.

        :param batches: places of the examples of each.
        """
        kept = {number: self.answered.get(f"{name} {number}") for number in batches}
        yield from ((number, said) for number, said in kept.items() if said is not None)
        missing = {number: places for number, places in batches.items() if kept[number] is None}
        if name == "no-audio":
            new = self._without_audio(examples, missing)
        else:  # the model's own batches are encoded in any case: the adapter's statistics are over all clips
            new = self._with_audio(examples, missing if name else batches, missing)
        for number, said in new:
            self.answered.put(f"{name} {number}", said)
            yield number, said

    def _with_audio(
        self, examples: Sequence[Example], batches: Mapping[int, list[int]], missing: Collection[int]
    ) -> Iterator[tuple[int, list[Answer]]]:
        """Yield the number of each missing batch and its answers, in the order in which batches end."""

        def questions() -> Iterator[Questions]:
            for (number, places), batch in zip(batches.items(), self._loaded(examples, batches), strict=True):
                frames = self.model.frames(batch.features)
                audio = self.model.projector(frames)[0]
                self._audio_tokens += int(audio.host_lengths.sum())
                if number not in missing:
                    self.model.read(batch, audio)
                    continue
                limits = [self.limit(examples[place].seconds) for place in places]
                yield self.question(
                    batch, limits, [(number, row) for row in range(len(places))], frames, audio
                )

        found: dict[int, dict[int, Answer]] = {number: {} for number in batches}
        for (number, row), answer in answer_all(self.model, questions(), self.capacity):
            found[number][row] = answer
            if len(found[number]) == len(batches[number]):
                said = found.pop(number)
                yield number, [said[row] for row in range(len(said))]

    def _without_audio(
        self, examples: Sequence[Example], batches: Mapping[int, list[int]]
    ) -> Iterator[tuple[int, list[Answer]]]:
        """Yield the number of each batch and its answers without audio.

        Rows of the same text differ only in their limit, so each text is answered once.
        """
        silence = Probe("silence", PROBES[0][1])
        silent = [attrs.evolve(example, audio=silence, speed=1.0) for example in examples]
        waiting: dict[int, list[tuple[int, ...]]] = {}

        def questions() -> Iterator[Questions]:
            asked = set(self._silent)
            for number, batch in zip(batches, self._loaded(silent, batches), strict=True):
                texts = _texts(batch)
                waiting[number] = texts
                # The first row of a text asks for it, the others ask for nothing.
                first = [text not in asked and texts.index(text) == row for row, text in enumerate(texts)]
                asked.update(texts)
                if any(first):
                    limits = [self.config.max_new_tokens * new for new in first]
                    keys = [text if new else None for text, new in zip(texts, first, strict=True)]
                    yield Questions(batch, limits, keys, self.model.without_audio(batch))

        def complete() -> Iterator[tuple[int, list[Answer]]]:
            for number in [n for n, texts in waiting.items() if self._silent.keys() >= set(texts)]:
                limits = [self.limit(examples[place].seconds) for place in batches[number]]
                texts = waiting.pop(number)
                yield number, [self._silent[text].cut(most) for text, most in zip(texts, limits, strict=True)]

        for text, answer in answer_all(self.model, questions(), self.capacity):
            if text is not None:
                self._silent[text] = answer
                yield from complete()
        yield from complete()

    def _loaded(self, examples: Sequence[Example], batches: Mapping[int, list[int]]) -> Iterator[Batch]:
        """Yield batches without answers; the workers make the next features while the model generates."""
        loader: DataLoader[Any] = DataLoader(
            examples,  # type: ignore[arg-type]  # a sequence is a dataset
            batch_sampler=list(batches.values()),
            collate_fn=WorkerCollate(partial(self.collator.collate, answered=False)),
            num_workers=self.workers,
            pin_memory=torch.device(self.device).type == "cuda",
            generator=torch.Generator(),  # the global one is the training's
        )
        return (batch.to(self.device) for batch in loader)

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


def _texts(batch: Batch) -> list[tuple[int, ...]]:
    """Return the tokens of each row around its audio."""
    return [
        (*before.tolist(), -1, *after.tolist())
        for before, after in zip(batch.before.rows(), batch.after.rows(), strict=True)
    ]
