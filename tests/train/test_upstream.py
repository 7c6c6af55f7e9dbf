"""What the trainers rely on in transformers, accelerate and DeepSpeed beyond their public interfaces.

A failure here means that a library has changed: docs/explanation/training.md explains each method.
"""

from __future__ import annotations

import inspect
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from transformers import Trainer, TrainingArguments

from steermoe_core.config.experiment import DeepSpeedConfig
from steermoe_core.train import ranks, zero
from steermoe_core.train.checkpoint import latest
from steermoe_core.train.trainer import SteeringTrainer
from steermoe_core.train.zero import ZeroTrainer
from tests.train.test_trainer import At, stop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.train.conftest import Bench

PAGE = Path(__file__).parents[2] / "docs/explanation/training.md"

#: Parameters of each method of `Trainer` that is overridden.
OVERRIDDEN = {
    "get_train_dataloader": ["self"],
    "create_optimizer": ["self", "model"],
    "get_batch_samples": ["self", "epoch_iterator", "num_batches", "device"],
    "training_step": ["self", "model", "inputs", "num_items_in_batch"],
    "log": ["self", "logs", "start_time"],
    "floating_point_ops": ["self", "inputs"],
    "_get_grad_norm": ["self", "model", "grad_norm"],
    "_save_checkpoint": ["self", "model", "trial"],
    "_load_from_checkpoint": ["self", "resume_from_checkpoint", "model"],
    "_load_optimizer_and_scheduler": ["self", "checkpoint"],
    "_load_rng_state": ["self", "checkpoint"],
    "_prepare_for_training": ["self", "max_steps", "train_dataloader", "resume_from_checkpoint"],
}
#: Methods that are called and not overridden.
CALLED = {"_save_scaler": ["self", "output_dir"], "_save_rng_state": ["self", "output_dir"]}


def parameters(function: Any) -> list[str]:
    """Return the names of a function's parameters."""
    return list(inspect.signature(function).parameters)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that grows by the name of each method of the trainer that is called."""
    found: list[str] = []

    def recorded(name: str) -> Any:
        method = getattr(SteeringTrainer, name)

        def record(self: Any, *args: Any, **kwargs: Any) -> Any:
            found.append(name)
            return method(self, *args, **kwargs)

        return record

    for name in [*OVERRIDDEN, *CALLED, "backward", "_load_scaler"]:
        if name not in {"floating_point_ops", "get_train_dataloader"}:
            monkeypatch.setattr(SteeringTrainer, name, recorded(name))
    return found


class TestTransformers:
    """`Trainer`'s methods and the order of its calls."""

    @pytest.mark.parametrize("name", {**OVERRIDDEN, **CALLED})
    def test_methods_have_the_same_parameters(self, name: str) -> None:
        """An override with other parameters would fail, or ignore one."""
        assert parameters(getattr(Trainer, name)) == {**OVERRIDDEN, **CALLED}[name]

    def test_each_private_override_is_explained(self) -> None:
        """On the page on training, and nothing is overridden without being listed here."""
        own = {*vars(SteeringTrainer), *vars(ZeroTrainer)} & {*vars(Trainer)}
        ours = {name for name in own if inspect.isfunction(getattr(SteeringTrainer, name))}
        page = PAGE.read_text(encoding="utf-8")

        assert ours - {"__init__", "train"} == set(OVERRIDDEN)
        assert [name for name in {**OVERRIDDEN, **CALLED} if f"`{name}`" not in page] == []
        assert "`TrainingArguments._n_gpu`" in page
        assert "_n_gpu" in inspect.getsource(TrainingArguments)

    def test_order_of_a_step(self, bench: Bench, calls: list[str]) -> None:
        """All batches of a step are taken first; after the last one comes `_get_grad_norm`."""
        bench.trainer(steps=1, accumulation=2).train()

        assert calls == [
            "_prepare_for_training",
            "create_optimizer",
            "get_batch_samples",
            *["training_step", "backward"] * 2,
            "_get_grad_norm",
            "log",
            "_save_checkpoint",
            "_save_scaler",
            "_save_rng_state",
            "log",  # the summary at the end, without "loss"
        ]

    def test_order_of_a_resume(self, bench: Bench, calls: list[str]) -> None:
        """Weights are loaded first, random numbers last: after the first batches, before the first step."""
        bench.trainer(At(1, stop), steps=2).train()
        calls.clear()
        bench.trainer(steps=2).train(resume_from_checkpoint=str(latest(bench.checkpoints)))

        assert calls[: calls.index("backward")] == [
            "_load_from_checkpoint",
            "_prepare_for_training",
            "create_optimizer",
            "_load_optimizer_and_scheduler",
            "_load_scaler",
            "get_batch_samples",
            "_load_rng_state",
            "training_step",
        ]

    def test_the_optimizer_steps_after_the_clip(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        """`on_pre_optimizer_step` is the last event before it."""
        trainer = bench.trainer(steps=2, accumulation=2)
        events: list[str] = []
        clip = trainer.clip.clip
        monkeypatch.setattr(trainer.clip, "clip", lambda *a, **k: (events.append("clip"), clip(*a, **k)))
        optimizer = trainer.create_optimizer()
        optimizer.register_step_pre_hook(lambda *_: events.append("step"))
        trainer.train()

        assert events == ["clip", "step"] * 2


class TestAccelerate:
    """`Accelerator` in a training step."""

    def test_does_not_scale_the_loss(self, bench: Bench) -> None:
        """`Trainer` counts the batches of a step, so that `backward` divides by one."""
        assert bench.trainer(steps=1, accumulation=4).accelerator.gradient_accumulation_steps == 1

    def test_knows_the_last_batch_of_a_step(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        """Under DeepSpeed the step is taken where `sync_gradients` is true."""
        trainer = bench.trainer(steps=2, accumulation=3)
        last: list[bool] = []
        backward = trainer.backward
        monkeypatch.setattr(
            trainer,
            "backward",
            lambda loss: (last.append(trainer.accelerator.sync_gradients), backward(loss)),
        )
        trainer.train()

        assert last == [False, False, True] * 2


@pytest.mark.filterwarnings("default")  # of what DeepSpeed imports
class TestDeepSpeed:
    """DeepSpeed's engine, and `Trainer`'s use of it."""

    @pytest.mark.parametrize("stage", [0, 2, 3])
    def test_steps_once_for_each_step(self, bench: Bench, stage: int) -> None:
        """`ZeroTrainer.backward` steps the engine; the optimizer that `Trainer` steps does nothing."""
        with ranks.process_group("cpu", even_alone=True):
            trainer = bench.trainer(steps=3, accumulation=2, deepspeed=DeepSpeedConfig(stage=stage))
            trainer.train()
            assert (trainer.state.global_step, trainer.model_wrapped.global_steps) == (3, 3)

    def test_would_broadcast_the_model(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        """The engine calls `_broadcast_model` once, when it is created: the patch is in place by then."""
        from deepspeed.runtime.engine import DeepSpeedEngine

        called: list[Any] = []

        @contextmanager
        def recorded() -> Iterator[None]:
            monkeypatch.setattr(DeepSpeedEngine, "_broadcast_model", lambda _: called.append(1))
            yield

        monkeypatch.setattr(zero, "_no_broadcast", recorded)
        with ranks.process_group("cpu", even_alone=True):
            bench.trainer(steps=1, deepspeed=DeepSpeedConfig(stage=2)).train()

        assert len(called) == 1

    @pytest.mark.parametrize("stage", [1, 2, 3])
    def test_optimizers_hold_flat_shares(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch, stage: int
    ) -> None:
        """Vectors with AdamW's moments: what a checkpoint saves of the optimizer."""
        states: list[Any] = []

        def inspect_states(trainer: ZeroTrainer, _: Path) -> None:
            optimizer = trainer.model_wrapped.optimizer
            states.extend(
                (tensor, zero._inner(optimizer).state[tensor]) for tensor in zero._stepped(optimizer)
            )

        monkeypatch.setattr(ZeroTrainer, "save_optimizer", inspect_states)
        with ranks.process_group("cpu", even_alone=True):
            bench.trainer(steps=1, deepspeed=DeepSpeedConfig(stage=stage)).train()

        assert states
        assert all(tensor.ndim == 1 and state["exp_avg"].shape == tensor.shape for tensor, state in states)
