"""The engine on real parts: a model, its data and its trainer, built as `steermoe run` builds them."""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import torch
from rich.console import Console
from rich.progress import Progress

from steermoe_core.config.resolve import resolve
from steermoe_core.plugins import load_registry
from steermoe_core.run.assembly.builder import Builder
from steermoe_core.run.training.training import prepare
from steermoe_core.train.callbacks import Callback, ProgressBar
from steermoe_core.train.checkpoint import trained_tensors
from steermoe_core.train.journal import Journal
from steermoe_core.train.trainer import SteeringTrainer

if TYPE_CHECKING:
    from steermoe_core.data.layout import Batch

FILE = Path(__file__).with_name("benchmark.toml")


class Laps(Callback):
    """Takes the time from the end of one step to the end of the next: all that a step needs is in it."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self._last = time.process_time()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        now = time.process_time()
        self.seconds.append(now - self._last)
        self._last = now


class Lab:
    """One variant of `benchmark.toml`.

    :param overrides: as of `--set`.
    :ivar start: what is trained, as it was before the first step.
    """

    def __init__(self, *overrides: str) -> None:
        torch.set_num_threads(1)
        registry = load_registry()
        self.resolved = resolve(FILE, list(overrides), registry)
        self.experiment = self.resolved.experiment
        self.builder = Builder(self.experiment, registry)
        self.model = self.builder.model()
        self.collator = self.builder.collator(self.model)
        found, _ = self.builder.train_examples(self.model.encoder.max_seconds)
        self.examples, _ = self.collator.fitting(found)
        with TemporaryDirectory() as folder:
            prepare(self.model, self.collator, self.trainer(Path(folder)))
        self.start = {name: tensor.clone() for name, tensor in trained_tensors(self.model).items()}

    def trainer(self, folder: Path, *callbacks: Callback) -> SteeringTrainer:
        """Return the trainer of a new run in a folder, with every callback that `steermoe run` gives it."""
        bar = ProgressBar(Progress(console=Console(quiet=True)))
        return SteeringTrainer(
            model=self.model,
            config=self.experiment.train,
            seed=self.experiment.experiment.seed,
            folder=folder / "checkpoints",
            examples=self.examples,
            collate=self.collator,
            journal=Journal(folder / "metrics.jsonl"),
            callbacks=[*(self.builder.part(one) for one in self.experiment.callbacks), bar, *callbacks],
        )

    def batches(self) -> list[Batch]:
        """Return the batches that the run trains on."""
        with TemporaryDirectory() as folder:
            return list(self.trainer(Path(folder)).get_train_dataloader())

    def train(self) -> tuple[list[float], list[float]]:
        """Train from the start; return the CPU seconds and the loss of each step."""
        self.reset()
        laps = Laps()
        with TemporaryDirectory() as folder:
            self.trainer(Path(folder), laps).train()
            losses = [record.loss for record in Journal(Path(folder) / "metrics.jsonl").read()]
        return laps.seconds, losses

    def reset(self) -> None:
        """Put what is trained back to where it was before the first step."""
        with torch.no_grad():
            for name, tensor in trained_tensors(self.model).items():
                tensor.copy_(self.start[name])
