"""A corpus of ten short clips, and runs on it that take a second."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import pytest
import torch

from steermoe_core.config.experiment import TrainConfig
from steermoe_core.data.collators import AsrCollator
from steermoe_core.data.config import AsrConfig, FolderConfig
from steermoe_core.data.sources.folder import read_folder
from steermoe_core.run.assembly.costs import costs
from steermoe_core.train.callbacks import Callback
from steermoe_core.train.journal import Journal
from steermoe_core.train.zero import trainer_class
from tests.parts import joined
from tests.tiny import write_folder

if TYPE_CHECKING:
    from pathlib import Path

    from steermoe_core.data.example import Example
    from steermoe_core.model.joined import Joined
    from steermoe_core.train.trainer import SteeringTrainer

SEED = 5


class Order(Callback):
    """Remembers the clips of every forward pass."""

    def __init__(self, model: Joined) -> None:
        self.clips: list[tuple[str, ...]] = []
        model.register_forward_pre_hook(lambda _, given: self.clips.append(given[0].ids))


@attrs.frozen
class Bench:
    """What a run needs but its settings."""

    decoder_folder: str
    examples: list[Example]
    place: Path

    def trainer(self, *callbacks: Callback, model: Joined | None = None, **config: Any) -> SteeringTrainer:
        """Return a trainer of a fresh model; checkpoints and metrics go to this bench's place."""
        torch.set_num_threads(1)
        model = model or joined(self.decoder_folder)
        rates = {"projector": 1e-3, "steering": 1e-3, "router": 2e-4, "scales": 1e-3, "lora": 1e-4}
        defaults = {"batch_size": 3, "device": "cpu", "log_every": 1, "warmup": 2, "bucket": 2}
        defaults["learning_rate"] = rates
        settings = TrainConfig(**{**defaults, **config})
        collator = AsrCollator(AsrConfig(), model.decoder.tokenizer, model.encoder.features)
        return trainer_class(settings)(
            model=model,
            config=settings,
            seed=SEED,
            folder=self.place / "checkpoints",
            examples=self.examples,
            costs=costs(settings, model, collator, self.examples),
            collate=collator,
            journal=Journal(self.place / "metrics.jsonl"),
            callbacks=callbacks,
        )

    def elsewhere(self, name: str) -> Bench:
        """Return the same bench with a place of its own."""
        place = self.place / name
        place.mkdir()
        return attrs.evolve(self, place=place)

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints."""
        return self.place / "checkpoints"

    @property
    def journal(self) -> Journal:
        """The metrics of the run."""
        return Journal(self.place / "metrics.jsonl")


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> list[Example]:
    """Return ten clips of tones with one word each."""
    return read_folder(FolderConfig(path=write_folder(tmp_path_factory.mktemp("corpus"))))


@pytest.fixture
def bench(decoder_folder: str, corpus: list[Example], tmp_path: Path) -> Bench:
    """Return a bench in an empty place."""
    return Bench(decoder_folder, corpus, tmp_path)
