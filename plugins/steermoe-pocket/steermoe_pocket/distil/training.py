"""The loop: steps, states that it goes on from, and the errors on held-out clips."""

from __future__ import annotations

import json
import math
import time
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import attrs
import torch
from torch.utils.data import DataLoader

from steermoe_conformer import checkpoint
from steermoe_core.errors import SetupError
from steermoe_pocket.config import WeightsConfig
from steermoe_pocket.conformer import conformer_tiny
from steermoe_pocket.distil.measure import measure
from steermoe_pocket.distil.stream import Lessons, Teacher, clips
from steermoe_pocket.distil.student import Student, Tokens
from steermoe_pocket.progress import counting
from steermoe_pocket.smollm2 import smollm2_135m_instruct

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tokenizers import Tokenizer

    from steermoe_core.data.example import Example
    from steermoe_pocket.distil.settings import Command, Settings
    from steermoe_pocket.distil.stream import Lesson

_STATE = "state.pt"
_JOURNAL = "journal.jsonl"
#: Lessons that a worker prepares ahead.
_AHEAD = 4
#: What is held out in part; the test parts are never heard here.
SOURCES = ("synthetic", "human")
#: What is trained on.
TRAINED = (*SOURCES, "voices", "kokoro")
#: Batches that the scales of features and targets are measured on.
_MEASURED = 25


class Training:
    """A training in a folder, new or gone on with.

    :raises SetupError: the folder holds a training with other settings, or none that could be exported; or
        the carried weights have another shape.
    """

    def __init__(self, command: Command) -> None:
        self.command, self.settings = command, command.settings
        torch.set_num_threads(1)  # --workers ask the teacher on other cores
        torch.manual_seed(self.settings.seed)
        sources = {source: self.clips_of(source) for source in TRAINED}
        trained = [*chain.from_iterable(sources.values()), *(self.settings.human - 1) * sources["human"]]
        self.lessons = Lessons(self.settings, trained, Teacher(bf16=bool(self.settings.bf16)))
        self.tokens = Tokens(tokenizer(), (clip.text for clip in trained))
        self.student = Student(self.settings, self.lessons.teacher.width, self.tokens.count)
        self.held_out = {source: clips(source, "dev", self.settings) for source in SOURCES}
        self.optimizer = torch.optim.AdamW(
            self.student.parameters(), self.settings.rate, weight_decay=self.settings.decay, betas=(0.9, 0.98)
        )
        self.step, self.seconds, self.heard = 0, 0.0, 0.0
        if self.settings.carried:
            self.student.start(checkpoint.read(str(conformer_tiny(WeightsConfig()))))
        self._resume()
        if command.export and not self.step:
            msg = f"{command.folder} holds no training to export; name its --folder"
            raise SetupError(msg)

    def run(self) -> None:
        """Train up to the last step."""
        self.command.folder.mkdir(parents=True, exist_ok=True)
        if not self.step:
            self._scale()
        steps = self.settings.steps
        with counting("distilling", steps, "steps") as show:
            for lesson in self._lessons() if self.step < steps else ():
                self._learn(lesson)
                show(self.step)
                if self.step % self.command.save_every == 0 or self.step == steps:
                    self._save()

    def clips_of(self, source: str) -> list[Example]:
        """Return the training clips of a source, each once."""
        return clips(source, "train", self.settings)

    def _scale(self) -> None:
        measured = list(islice(self._lessons(), _MEASURED))
        if not self.settings.carried:
            self.student.features.fit(lesson.features for lesson in measured)
        self.student.targets.fit(lesson.targets for lesson in measured)

    def _lessons(self) -> Iterator[Lesson]:
        rest = range(self.step, self.settings.steps)
        workers = self.command.workers
        ahead = _AHEAD if workers else None
        own = torch.Generator()  # so that preparing lessons draws nothing from the student's chance
        loader = DataLoader(
            self.lessons,
            batch_size=None,
            sampler=rest,
            num_workers=workers,
            prefetch_factor=ahead,
            generator=own,
        )
        return iter(loader)

    def _learn(self, lesson: Lesson) -> None:
        start = time.perf_counter()
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.settings, self.step)
        self.student.train()
        with torch.autocast("cpu", torch.bfloat16, enabled=bool(self.settings.bf16)):
            losses = self.student.losses(lesson, self.tokens)
        self.optimizer.zero_grad()
        torch.autograd.backward(losses.total(self.settings))
        torch.nn.utils.clip_grad_norm_(self.student.parameters(), self.settings.clip)
        self.optimizer.step()
        self.step += 1
        self.heard += int(lesson.features.lengths.sum()) / 100
        self.last = losses.journal()
        self.seconds += time.perf_counter() - start

    def _save(self) -> None:
        dev = {name: measure(self.student, self.lessons, held) for name, held in self.held_out.items()}
        done = {"step": self.step, "seconds": round(self.seconds, 1), "hours": round(self.heard / 3600, 3)}
        line = {**done, **self.last, **dev}
        with (self.command.folder / _JOURNAL).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        parts = {"student": self.student.state_dict(), "optimizer": self.optimizer.state_dict()}
        counts = {"step": self.step, "seconds": self.seconds, "heard": self.heard}
        chance = torch.get_rng_state()
        temporary = self.command.folder / f".{_STATE}"
        torch.save({**parts, **counts, "chance": chance, "settings": attrs.asdict(self.settings)}, temporary)
        temporary.replace(self.command.folder / _STATE)

    def _resume(self) -> None:
        found = _state(self.command.folder, self.settings)
        if found:
            self.student.load_state_dict(found["student"])
            self.optimizer.load_state_dict(found["optimizer"])
            self.step, self.seconds, self.heard = found["step"], found["seconds"], found["heard"]
            torch.set_rng_state(found["chance"])


def tokenizer() -> Tokenizer:
    """Return the tokenizer of `pocket/smollm2-135m-instruct`."""
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(smollm2_135m_instruct(WeightsConfig()) / "tokenizer.json"))


def learning_rate(settings: Settings, step: int) -> float:
    """Return the rate of a step: a line up, then half a cosine down to 0."""
    if step < settings.warmup:
        return settings.rate * (step + 1) / settings.warmup
    done = (step - settings.warmup) / max(settings.steps - settings.warmup, 1)
    return settings.rate * 0.5 * (1 + math.cos(math.pi * done))


def _state(folder: Path, settings: Settings) -> dict[str, Any]:
    if not (folder / _STATE).exists():
        return {}
    found: dict[str, Any] = torch.load(folder / _STATE, weights_only=True)
    if found["settings"] != attrs.asdict(settings):
        msg = f"{folder} holds a training with other settings; name another --folder, or repeat its settings"
        raise SetupError(msg)
    return found
