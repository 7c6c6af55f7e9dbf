"""What a projector sees of the training data before the first step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from steermoe_core.config.experiment import TrainConfig
from steermoe_core.data.collators import AsrCollator
from steermoe_core.data.config import AsrConfig, FolderConfig
from steermoe_core.data.sources import folder
from steermoe_core.model.adapter import NoAdapter
from steermoe_core.model.config import LinearConfig, NoAdapterConfig, PoolConfig
from steermoe_core.model.projectors import LinearProjector
from steermoe_core.run.training import prepare
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
    encoder = TinyEncoder(TinyConfig())
    linear = LinearConfig(start="ridge", pool=PoolConfig(kernel=2))
    projector = LinearProjector(linear, encoder.width, decoder(decoder_folder))
    model = joined(decoder_folder, NoAdapter(NoAdapterConfig()), projector, encoder)
    collator = AsrCollator(AsrConfig(), model.decoder.tokenizer, encoder.features)
    examples = folder(FolderConfig(path=write_folder(tmp_path / "clips")))
    trainer = SteeringTrainer(
        model=model,
        config=TrainConfig(steps=steps, batch_size=3, device="cpu"),
        seed=5,
        folder=tmp_path / "checkpoints",
        examples=examples,
        collate=collator,
        journal=Journal(tmp_path / "metrics.jsonl"),
        callbacks=[],
    )
    before = projector.map.weight.clone()

    prepare(model, collator, trainer)

    assert projector.map.weight.isfinite().all()
    assert not projector.map.weight.equal(before)
