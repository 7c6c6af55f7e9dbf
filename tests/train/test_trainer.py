"""A run that is stopped and resumed is the run that was not; what cannot go on stops with a sentence."""

from __future__ import annotations

import math
import os
import signal
from typing import TYPE_CHECKING, Any

import attrs
import pytest
import torch
from transformers import TrainingArguments

from steermoe_core.config.experiment import TrainConfig
from steermoe_core.errors import DivergedError
from steermoe_core.model.config import SoftCtcConfig
from steermoe_core.model.soft_ctc import SoftCtcProjector
from steermoe_core.train.analysis import SteeringAnalysis
from steermoe_core.train.callbacks import Callback, StopOnSignal
from steermoe_core.train.checkpoint import all_checkpoints, latest, trained_tensors
from steermoe_core.train.config import SteeringAnalysisConfig
from steermoe_core.train.trainer import arguments
from tests.parts import TinyConfig, TinyEncoder, decoder, joined, steering
from tests.train.conftest import Order

if TYPE_CHECKING:
    from pathlib import Path

    from torch.optim import Optimizer

    from steermoe_core.model.joined import Joined
    from steermoe_core.train.journal import Step
    from steermoe_core.train.trainer import SteeringTrainer
    from tests.train.conftest import Bench

STEPS = 7


class At(Callback):
    """Does something at the end of one step."""

    def __init__(self, step: int, action: Any) -> None:
        self.step, self.action = step, action

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Act, if it is the step."""
        if state.global_step == self.step:
            self.action(control)


class Killed(Exception):  # noqa: N818 - it stands for a power cut
    """What ends a run between two instructions."""


def kill(_: Any) -> None:
    """End the run without a word."""
    raise Killed


def stop(control: Any) -> None:
    """Save and stop, as Ctrl-C does."""
    control.should_save = control.should_training_stop = True


def resume(bench: Bench, *callbacks: Callback, **config: Any) -> SteeringTrainer:
    """Go on from the newest checkpoint in a new model, as a new process would."""
    trainer = bench.trainer(*callbacks, **config)
    checkpoint = latest(bench.checkpoints)
    bench.journal.rewind(int(checkpoint.name.removeprefix("step-")))
    torch.manual_seed(99)
    trainer.train(resume_from_checkpoint=str(checkpoint))
    return trainer


SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "accumulation": {"accumulation": 2},
    "constant rate": {"schedule": "constant", "warmup": 0},
    "linear schedule": {"schedule": "linear", "accumulation": 2, "batch_size": 2},
    "two epochs behind": {"batch_size": 6},
    "bf16": {"precision": "bf16"},
    "loader processes": {"workers": 1},
    "by seconds": {"batch_size": None, "batch_seconds": 1.5, "accumulation": 2},
    "by tokens": {"batch_size": None, "batch_tokens": 40, "accumulation": 2},
}


class TestResume:
    """n + m steps are n steps, an end, and m steps."""

    @pytest.mark.parametrize("settings", SETTINGS)
    def test_is_bit_equal(self, bench: Bench, settings: str) -> None:
        """Trained tensors, order of the clips and metrics are those of a run that was never stopped."""
        config = {"steps": STEPS, **SETTINGS[settings]}
        whole, parts = bench.elsewhere("whole"), bench.elsewhere("parts")
        model = joined(bench.decoder_folder)
        order = Order(model)
        straight = whole.trainer(order, model=model, **config)
        straight.train()

        model = joined(bench.decoder_folder)
        before = Order(model)
        parts.trainer(before, At(3, stop), model=model, **config).train()
        model = joined(bench.decoder_folder)
        after = Order(model)
        resumed = resume(parts, after, model=model, **config)

        assert resumed.state.global_step == STEPS
        assert before.clips + after.clips == order.clips
        assert differing(straight.model, resumed.model) == []
        assert differing_states(straight.optimizer, resumed.optimizer) == []
        assert lines(parts) == lines(whole)

    def test_may_have_another_number_of_loading_processes(self, bench: Bench) -> None:
        """Batches depend on the seed and the step, not on who loads them."""
        whole, parts = bench.elsewhere("whole"), bench.elsewhere("parts")
        straight = whole.trainer(steps=5, workers="auto")
        straight.train()
        parts.trainer(At(2, stop), steps=5, workers=1).train()

        assert differing(straight.model, resume(parts, steps=5, workers=0).model) == []

    def test_restores_random_numbers(self, bench: Bench) -> None:
        """A projector that draws samples in every step draws the same ones after a resume."""
        config = {"steps": 5, "accumulation": 2}

        def model() -> Joined:
            settings = SoftCtcConfig(negatives=4, vocabulary="all", start_steps=3)
            torch.manual_seed(1)
            projector = SoftCtcProjector(settings, 12, decoder(bench.decoder_folder))
            return joined(bench.decoder_folder, projector=projector)

        whole, parts = bench.elsewhere("whole"), bench.elsewhere("parts")
        straight = whole.trainer(model=model(), **config)
        straight.train()
        parts.trainer(At(2, stop), model=model(), **config).train()

        resumed = resume(parts, model=model(), **config)

        assert differing(straight.model, resumed.model) == []

    def test_after_a_kill_goes_back_to_the_last_checkpoint(self, bench: Bench) -> None:
        """Steps after the checkpoint are done again, and their metrics are written once."""
        whole, parts = bench.elsewhere("whole"), bench.elsewhere("parts")
        config = {"steps": STEPS, "save_every": 2, "accumulation": 2}
        straight = whole.trainer(**config)
        straight.train()
        with pytest.raises(Killed):
            parts.trainer(At(5, kill), **config).train()

        assert [p.name for p in all_checkpoints(parts.checkpoints)] == ["step-2", "step-4"]
        resumed = resume(parts, **config)

        assert differing(straight.model, resumed.model) == []
        assert lines(parts) == lines(whole)
        assert [line.step for line in parts.journal.read()] == list(range(1, STEPS + 1))

    def test_at_the_last_step_has_nothing_to_do(self, bench: Bench) -> None:
        """A checkpoint of the last step gives the finished model."""
        first = bench.trainer(steps=3)
        first.train()

        assert differing(first.model, resume(bench, steps=3).model) == []

    def test_replaces_a_damaged_checkpoint(self, bench: Bench) -> None:
        """The run goes back behind it, and writes it anew when it gets there again."""
        config = {"steps": 5, "save_every": 2, "keep": 3}
        first = bench.trainer(**config)
        first.train()
        for name in ("step-4", "step-5"):
            (bench.checkpoints / name / "optimizer.pt").write_bytes(b"rubbish")

        resumed = resume(bench, **config)

        assert resumed.state.global_step == 5
        assert differing(first.model, resumed.model) == []
        assert latest(bench.checkpoints) == bench.checkpoints / "step-5"


def lines(bench: Bench) -> list[Step]:
    """Return the metrics without what the clock says."""
    return [attrs.evolve(line, seconds_per_step=None) for line in bench.journal.read()]


def differing(one: Joined, two: Joined) -> list[str]:
    """Return the names of trained tensors that are not bit-equal."""
    first, second = trained_tensors(one), trained_tensors(two)
    return [name for name in first if not torch.equal(first[name], second[name])]


def differing_states(one: Optimizer, two: Optimizer) -> list[tuple[int, str]]:
    """Return the entries of the optimizers' states that are not bit-equal."""
    first, second = one.state_dict()["state"], two.state_dict()["state"]
    return [(n, k) for n in first for k in first[n] if not torch.equal(first[n][k], second[n][k])]


def with_losses(bench: Bench) -> Joined:
    """Return a model that adds a loss in adapter and projector."""
    encoder = TinyEncoder(TinyConfig())
    torch.manual_seed(1)
    settings = SoftCtcConfig(vocabulary="all", start_steps=3)
    projector = SoftCtcProjector(settings, encoder.width, decoder(bench.decoder_folder))
    return joined(bench.decoder_folder, steering(encoder, balance=0.5), projector, encoder)


class TestLosses:
    """Losses by name, as metrics.jsonl has them."""

    def test_are_the_means_of_the_steps_since_the_last_line(self, bench: Bench) -> None:
        """As the loss itself is: a line for three steps is the mean of three lines."""
        each, third = bench.elsewhere("each"), bench.elsewhere("third")
        each.trainer(model=with_losses(bench), steps=6, accumulation=2).train()
        third.trainer(model=with_losses(bench), steps=6, accumulation=2, log_every=3).train()

        steps, rows = list(each.journal.read()), list(third.journal.read())

        assert len(rows) == 2
        for number, row in enumerate(rows):
            part = steps[3 * number : 3 * number + 3]
            for name in ("ctc", "balance"):
                mean = sum(step.losses[name] for step in part) / 3
                assert row.losses[name] == pytest.approx(mean, rel=1e-5)
        assert all(step.loss == pytest.approx(sum(step.losses.values())) for step in steps[:3])  # CTC alone
        assert all(step.loss > sum(step.losses.values()) for step in steps[3:])

    def test_are_restored_between_two_lines(self, bench: Bench) -> None:
        """A run that is stopped at a step without a line has the lines of one that was not, bit by bit."""
        config = {"steps": 7, "log_every": 3, "accumulation": 2}
        whole, parts = bench.elsewhere("whole"), bench.elsewhere("parts")
        whole.trainer(model=with_losses(bench), **config).train()
        parts.trainer(At(2, stop), model=with_losses(bench), **config).train()
        resume(parts, model=with_losses(bench), **config)

        assert [set(line.losses) for line in whole.journal.read()] == [{"ctc", "balance"}] * 3
        assert lines(parts) == lines(whole)

    def test_are_left_out_where_there_are_none(self, bench: Bench) -> None:
        """A line has no empty table."""
        bench.trainer(steps=2).train()

        assert "losses" not in (bench.place / "metrics.jsonl").read_text()


class TestCheckpoints:
    """What is kept of a run."""

    def test_every_few_steps_and_the_last(self, bench: Bench) -> None:
        """`save_every` and `keep` are obeyed; the last step is always among them."""
        bench.trainer(steps=7, save_every=2, keep=2).train()

        assert [path.name for path in all_checkpoints(bench.checkpoints)] == ["step-6", "step-7"]

    def test_only_the_last(self, bench: Bench) -> None:
        """`save_every = 0` keeps only the last step."""
        bench.trainer(steps=3, save_every=0).train()

        assert [path.name for path in all_checkpoints(bench.checkpoints)] == ["step-3"]

    def test_ctrl_c_leaves_one(self, bench: Bench) -> None:
        """SIGINT ends the run after the step at hand, with a checkpoint; handlers are put back."""
        handler = signal.getsignal(signal.SIGINT)
        with StopOnSignal() as stopper:
            trainer = bench.trainer(
                stopper, At(2, lambda _: os.kill(os.getpid(), signal.SIGINT)), steps=STEPS
            )
            trainer.train()

        assert stopper.stopped
        assert trainer.state.global_step in (2, 3)
        assert latest(bench.checkpoints).name == f"step-{trainer.state.global_step}"
        assert signal.getsignal(signal.SIGINT) is handler

    def test_a_second_ctrl_c_acts_at_once(self) -> None:
        """Whoever insists is obeyed."""
        with StopOnSignal(), pytest.raises(KeyboardInterrupt):  # noqa: PT012 - it takes two
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGINT)


class TestDivergence:
    """A loss or gradient that is not a number ends the run."""

    def test_names_step_and_clips(self, bench: Bench) -> None:
        """The last checkpoint is kept."""
        trainer = bench.trainer(steps=STEPS, save_every=1)
        order = Order(trainer.model)
        poison = At(2, lambda _: trainer.model.adapter.vectors.data.fill_(math.nan))
        trainer.add_callback(poison)

        with pytest.raises(DivergedError, match="the loss is nan at step 3") as caught:
            trainer.train()

        assert all(name in str(caught.value) for name in order.clips[-1])
        assert latest(bench.checkpoints).name == "step-2"

    @pytest.mark.parametrize("settings", [{"log_every": 6, "save_every": 2}, {"log_every": 5}])
    def test_is_reported_at_the_next_line_or_checkpoint(self, bench: Bench, settings: dict[str, Any]) -> None:
        """With the step and the clips where it began, and no checkpoint from then on."""
        trainer = bench.trainer(steps=STEPS, accumulation=2, **settings)
        order = Order(trainer.model)
        poison = At(2, lambda _: trainer.model.adapter.vectors.data.fill_(math.nan))
        trainer.add_callback(poison)

        with pytest.raises(DivergedError, match="the loss is nan at step 3") as caught:
            trainer.train()

        assert f"(clips {', '.join(order.clips[4])})" in str(caught.value)
        assert len(order.clips) == 2 * (4 if "save_every" in settings else 5)
        assert [path.name for path in all_checkpoints(bench.checkpoints)] == ["step-2"] * (
            "save_every" in settings
        )

    def test_names_the_group_of_a_gradient(self, bench: Bench) -> None:
        """A finite loss may still have an infinite gradient; nothing is kept of a step with it."""
        trainer = bench.trainer(steps=STEPS, save_every=1)
        trainer.model.adapter.scales.register_hook(lambda gradient: gradient * math.inf)

        with pytest.raises(DivergedError, match="group 'scales' is not a number at step 1"):
            trainer.train()

        assert all_checkpoints(bench.checkpoints) == []


class TestJournal:
    """metrics.jsonl of a run."""

    def test_has_rates_and_norms_of_every_group(self, bench: Bench) -> None:
        """Each line says the rate its step used and the gradient norms before clipping."""
        bench.trainer(steps=4, warmup=2, schedule="linear").train()

        found = list(bench.journal.read())

        assert [line.step for line in found] == [1, 2, 3, 4]
        groups = {"steering", "scales", "router", "projector"}
        assert all(set(line.learning_rate) == set(line.gradient_norm) == groups for line in found)
        assert [line.learning_rate["steering"] for line in found] == pytest.approx([0, 5e-4, 1e-3, 5e-4])
        assert all(line.gradient_norm[group] > 0 for line in found for group in groups)

    def test_always_has_the_last_step(self, bench: Bench) -> None:
        """A run shorter than `log_every` still leaves a line."""
        bench.trainer(steps=5, log_every=3).train()

        assert [line.step for line in bench.journal.read()] == [3, 5]

    def test_has_the_analysis_of_steering(self, bench: Bench) -> None:
        """Every second step: each layer's statistics over all batches of that step."""
        analysis = SteeringAnalysis(SteeringAnalysisConfig(every=2))
        bench.trainer(analysis, steps=4, accumulation=2, log_every=100).train()

        records = [line for line in bench.journal.read() if line.steering is not None]

        assert [record.step for record in records] == [2, 4]
        assert all([layer.layer for layer in record.steering] == [0, 1, 2] for record in records)
        assert all(sum(layer.load) == pytest.approx(1, abs=1e-4) for r in records for layer in r.steering)


def test_a_process_trains_on_one_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With several, transformers would split batches over them; a batch is one record."""
    monkeypatch.setattr(TrainingArguments, "n_gpu", 4)
    assert arguments(TrainConfig(steps=1), 0, tmp_path)._n_gpu == 1
