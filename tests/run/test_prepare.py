"""What a projector sees of the training data before the first step."""

from __future__ import annotations

from typing import TYPE_CHECKING
from unittest import mock

import pytest

from steermoe_core.config.experiment import TrainConfig
from steermoe_core.data.collator import Collator
from steermoe_core.data.collators import AsrCollator
from steermoe_core.data.config import AsrConfig, FolderConfig
from steermoe_core.data.sources.folder import read_folder
from steermoe_core.model.adapter import NoAdapter
from steermoe_core.model.config import LinearConfig, NoAdapterConfig, PoolConfig
from steermoe_core.model.projectors import LinearProjector
from steermoe_core.run.training.training import prepare
from steermoe_core.train.journal import Journal
from steermoe_core.train.trainer import SteeringTrainer
from tests.parts import TinyConfig, TinyEncoder, decoder, joined
from tests.tiny import write_folder

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("steps", [1, 3, 200])
def test_a_ridge_start_takes_the_batches_that_the_run_has(
    tmp_path: Path, decoder_folder: str, steps: int
) -> None:
    """A run with fewer batches than the start would look at begins on those it has."""
    trainer, collator = training(tmp_path, decoder_folder, steps)
    projector = trainer.joined.projector
    before = projector.map.weight.clone()

    prepare(trainer.joined, collator, trainer)

    assert projector.map.weight.isfinite().all()
    assert not projector.map.weight.equal(before)


def test_it_asks_a_collator_for_nothing_but_its_contract(
    tmp_path: Path, decoder_folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The texts are those of `Collator.reference`, which every collator has: answers without their end."""
    trainer, collator = training(tmp_path, decoder_folder, steps=1)
    contract = mock.create_autospec(Collator, instance=True)
    contract.reference.side_effect = collator.reference
    given: list[list[int]] = []
    monkeypatch.setattr(trainer.joined.projector, "begin", lambda answers, _: given.extend(answers))

    prepare(trainer.joined, contract, trainer)

    assert given == [collator.answer(example)[:-1] for example in trainer.examples]
    assert given


def training(tmp_path: Path, decoder_folder: str, steps: int) -> tuple[SteeringTrainer, AsrCollator]:
    """Return a trainer of a projector alone, and its collator."""
    encoder = TinyEncoder(TinyConfig())
    linear = LinearConfig(start="ridge", pool=PoolConfig(kernel=2))
    projector = LinearProjector(linear, encoder.width, decoder(decoder_folder))
    model = joined(decoder_folder, NoAdapter(NoAdapterConfig()), projector, encoder)
    collator = AsrCollator(AsrConfig(), model.decoder.tokenizer, encoder.features)
    examples = read_folder(FolderConfig(path=write_folder(tmp_path / "clips")))
    trainer = SteeringTrainer(
        model=model,
        config=TrainConfig(steps=steps, batch_size=3, device="cpu", learning_rate={"projector": 1e-3}),
        seed=5,
        folder=tmp_path / "checkpoints",
        examples=examples,
        collate=collator,
        journal=Journal(tmp_path / "metrics.jsonl"),
        callbacks=[],
    )
    return trainer, collator
