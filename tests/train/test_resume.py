"""A run that is killed and resumed is bit-equal however its steps are computed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from steermoe_core.component import Selection
from steermoe_core.data.collators import AsrCollator
from steermoe_core.data.config import AsrConfig
from steermoe_core.data.padded import Padded, Waveforms
from steermoe_core.model.adapter import NoAdapter
from steermoe_core.run.training.frames import FrameStore, KeptExamples
from steermoe_core.train.checkpoint import latest
from steermoe_whisper.config import WhisperConfig
from steermoe_whisper.encoder import WhisperEncoder
from tests.parts import TinyConfig, TinyEncoder, joined, save_whisper, steering
from tests.train.test_trainer import At, Killed, differing, differing_states, kill, lines

if TYPE_CHECKING:
    from collections.abc import Callable

    from steermoe_core.train.callbacks import Callback
    from steermoe_core.train.trainer import SteeringTrainer
    from tests.train.conftest import Bench

SETTINGS: dict[str, Any] = {"steps": 5, "save_every": 2, "accumulation": 2}


class OnDevice(TinyEncoder):
    """The tiny encoder, which cuts its windows where it computes."""

    def features_of(self, waveforms: Padded) -> Padded:
        return self.features([row.numpy() for row in waveforms.rows()])


def kept(bench: Bench, *callbacks: Callback, dtype: str = "float32", first: int = 0) -> SteeringTrainer:
    """Return a trainer that reads frames from disk: the encoder's output, or the input of a layer."""
    encoder = TinyEncoder(TinyConfig())
    adapter = steering(encoder, layers=[first]) if first else NoAdapter()
    model = joined(bench.decoder_folder, adapter, encoder=encoder)
    trainer = bench.trainer(*callbacks, model=model, **SETTINGS)
    store = FrameStore(model, Selection("encoder", "tiny", TinyConfig()), "fingerprint", dtype)
    trainer.examples = store.keep(trainer.examples, trainer.example_numbers(), trainer.collate)
    assert isinstance(trainer.examples, KeptExamples)
    return trainer


def packed(bench: Bench, *callbacks: Callback) -> SteeringTrainer:
    """Return a trainer whose encoder and decoder compute the rows of a batch as one."""
    encoder = WhisperEncoder(WhisperConfig(weights=save_whisper(bench.place), input="true-length"))
    model = joined(bench.decoder_folder, encoder=encoder)
    return bench.trainer(*callbacks, model=model, packing=["encoder", "decoder"], **SETTINGS)


def on_device(bench: Bench, *callbacks: Callback) -> SteeringTrainer:
    """Return a trainer whose model computes features from waveforms."""
    model = joined(bench.decoder_folder, encoder=OnDevice(TinyConfig()))
    trainer = bench.trainer(*callbacks, model=model, features="device", **SETTINGS)
    trainer.collate = AsrCollator(AsrConfig(), model.decoder.tokenizer, Waveforms.of)
    return trainer


def quantised(bench: Bench, *callbacks: Callback, kind: str) -> SteeringTrainer:
    """Return a trainer whose decoder has weights of few bits."""
    if kind == "nf4":
        pytest.importorskip("bitsandbytes")
    model = joined(bench.decoder_folder, quantise=kind)
    return bench.trainer(*callbacks, model=model, **SETTINGS)


def with_settings(**settings: Any) -> Callable[..., SteeringTrainer]:
    """Return a function that returns a trainer with some settings."""

    def trainer(bench: Bench, *callbacks: Callback) -> SteeringTrainer:
        return bench.trainer(*callbacks, **{**SETTINGS, **settings})

    return trainer


MODES: dict[str, Callable[..., SteeringTrainer]] = {
    "kept frames": kept,
    "kept frames in bf16": lambda *given: kept(*given, dtype="bfloat16"),
    "kept frames of a lower layer": lambda *given: kept(*given, first=2),
    "packed encoder": packed,
    "features on the device": on_device,
    "int8 decoder": lambda *given: quantised(*given, kind="int8"),
    "nf4 decoder": lambda *given: quantised(*given, kind="nf4"),
    "bf16": with_settings(precision="bf16"),
    "recomputed": with_settings(recompute=["encoder", "decoder"]),
    "batches of seconds": with_settings(batch_seconds=3.0),
    "batches of tokens": with_settings(batch_tokens=80),
}


@pytest.mark.usefixtures("own_cache")
@pytest.mark.parametrize("mode", MODES)
def test_is_bit_equal(bench: Bench, mode: str) -> None:
    """Trained tensors, optimizer and metrics: killed at step 3, resumed from step 2."""
    whole, parts = bench.elsewhere("whole"), bench.elsewhere("parts")
    straight = MODES[mode](whole)
    straight.train()
    with pytest.raises(Killed):
        MODES[mode](parts, At(3, kill)).train()
    checkpoint = latest(parts.checkpoints)
    assert checkpoint is not None
    assert checkpoint.name == "step-2"
    parts.journal.rewind(2)
    torch.manual_seed(99)

    resumed = MODES[mode](parts)
    resumed.train(resume_from_checkpoint=str(checkpoint))

    assert differing(straight.model, resumed.model) == []
    assert differing_states(straight.optimizer, resumed.optimizer) == []
    assert lines(parts) == lines(whole)
