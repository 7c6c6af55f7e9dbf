"""One optimizer step: its clips, its gradients, its loss, and the memory that its batches are loaded into."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from transformers import TrainingArguments

from steermoe_core.model.config import SoftCtcConfig
from steermoe_core.model.soft_ctc import SoftCtcProjector
from steermoe_core.model.weights import fingerprint
from steermoe_core.train.callbacks import Callback
from steermoe_core.train.checkpoint import trained_tensors
from tests.parts import decoder, joined
from tests.train.conftest import Order

if TYPE_CHECKING:
    from steermoe_core.data.layout import Batch
    from steermoe_core.train.trainer import SteeringTrainer
    from tests.train.conftest import Bench


class TestSteps:
    """What one optimizer step is."""

    @pytest.mark.parametrize("batches", [{"batch_size": 3}, {"batch_size": None, "batch_seconds": 1.5}])
    def test_accumulation_is_a_larger_batch(self, bench: Bench, batches: dict[str, Any]) -> None:
        """A step of two batches takes the gradients of one batch of the same clips."""
        model = joined(bench.decoder_folder)
        order = Order(model)
        accumulated = bench.elsewhere("a").trainer(
            order, model=model, steps=1, accumulation=2, warmup=0, clip=1e9, **batches
        )
        gradients = gradients_before_the_step(accumulated)
        accumulated.train()
        clips = [name for batch in order.clips for name in batch]
        assert len(order.clips) == 2

        whole = joined(bench.decoder_folder)
        chosen = [example for name in clips for example in bench.examples if example.id == name]
        batch = accumulated.data_collator(chosen)
        whole(batch, int(batch.answer.lengths.sum())).backward()

        for name, parameter in whole.named_parameters():
            if parameter.requires_grad:
                torch.testing.assert_close(gradients[name], parameter.grad, rtol=1e-4, atol=1e-5, msg=name)

    def test_logged_loss_is_the_mean_over_answer_tokens(self, bench: Bench) -> None:
        """The journal's number is the loss that the model itself gives for the step's clips."""
        model = joined(bench.decoder_folder)
        order = Order(model)
        trainer = bench.trainer(order, model=model, steps=1, accumulation=2, warmup=0)
        trainer.train()

        fresh = joined(bench.decoder_folder)
        names = [name for batch in order.clips for name in batch]
        batch: Batch = trainer.data_collator([e for name in names for e in bench.examples if e.id == name])
        expected = fresh(batch, int(batch.answer.lengths.sum())).item()
        assert [line.loss for line in bench.journal.read()] == pytest.approx([expected], abs=1e-5)

    def test_frozen_parts_stay_as_they_are(self, bench: Bench) -> None:
        """Training changes every trained tensor and no other; no gradient is left behind in frozen parts."""
        trainer = bench.trainer(steps=3, warmup=0)
        frozen = [fingerprint(part) for part in (trainer.model.encoder, trainer.model.decoder)]
        before = {name: tensor.clone() for name, tensor in trained_tensors(trainer.model).items()}
        trainer.train()

        assert [fingerprint(part) for part in (trainer.model.encoder, trainer.model.decoder)] == frozen
        assert not any(
            torch.equal(tensor, before[name]) for name, tensor in trained_tensors(trainer.model).items()
        )

    def test_ctc_phase_leaves_the_language_model_out(self, bench: Bench) -> None:
        """For `start_steps` steps the decoder is not asked; after them it is."""
        language_model = decoder(bench.decoder_folder)
        projector = SoftCtcProjector(SoftCtcConfig(start_steps=2), 12, language_model)
        model = joined(bench.decoder_folder, projector=projector)
        asked: list[int] = []
        trainer = bench.trainer(model=model, steps=4)
        real = model.answer_losses
        model.answer_losses = lambda *given: (asked.append(trainer.state.global_step), real(*given))[1]
        trainer.train()

        assert asked == [2, 3]


def gradients_before_the_step(trainer: SteeringTrainer) -> dict[str, torch.Tensor]:
    """Return a dict that the trainer fills with its gradients right before the optimizer uses them."""
    found: dict[str, torch.Tensor] = {}

    class Look(Callback):
        def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            named = trainer.model.named_parameters()
            found.update({name: p.grad.clone() for name, p in named if p.grad is not None})

    trainer.add_callback(Look())
    return found


class TestLoading:
    """The memory that batches are loaded into."""

    def test_memory_is_pinned_for_a_gpu_alone(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        """Features are what is copied."""
        trainer = bench.trainer(steps=1)
        assert not trainer.batches(0, 1).pin_memory
        monkeypatch.setattr(TrainingArguments, "device", torch.device("cuda"))
        assert trainer.batches(0, 1).pin_memory

        pinned: list[torch.Tensor] = []
        monkeypatch.setattr(torch.Tensor, "pin_memory", lambda one: (pinned.append(one), one)[1])
        batch = trainer.data_collator(bench.examples[:2])
        assert batch.pin_memory().features.rows()[1].equal(batch.features.rows()[1])
        assert [one.shape for one in pinned] == [batch.features.values.shape]
