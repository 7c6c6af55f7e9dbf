"""Group clipping, the bar that shows progress, and the analysis that asks for nothing it does not need."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from rich.progress import Progress

from steermoe_core.errors import DivergedError
from steermoe_core.model.adapter import NoAdapter
from steermoe_core.train.analysis import SteeringAnalysis
from steermoe_core.train.callbacks import Callback, Finite, GroupClip, ProgressBar
from steermoe_core.train.config import SteeringAnalysisConfig
from steermoe_core.train.journal import Journal, Step

if TYPE_CHECKING:
    from pathlib import Path

    from tests.train.conftest import Bench

STATE = SimpleNamespace(global_step=4, max_steps=10)


def optimizer_of(**gradients: list[float]) -> torch.optim.Optimizer:
    """Return an optimizer with one group a gradient, each of two tensors: a matrix and a vector."""
    groups: list[dict[str, Any]] = []
    for name, values in gradients.items():
        for part in (values[:1], values[1:]):
            parameter = torch.nn.Parameter(torch.zeros(len(part)))
            parameter.grad = torch.tensor(part)
            groups.append({"params": [parameter], "name": name, "lr": 0.5})
    return torch.optim.SGD(groups)


def gradients_of(optimizer: torch.optim.Optimizer) -> list[float]:
    """Return all gradients one after the other."""
    return [value for group in optimizer.param_groups for p in group["params"] for value in p.grad.tolist()]


class TestGroupClip:
    """Each group's gradient has a norm of its own."""

    def test_clips_each_group_by_itself(self) -> None:
        """A large gradient of one group does not shrink another's; norms are those before clipping."""
        clip, optimizer = (
            GroupClip(lambda _: 1.0, Finite()),
            optimizer_of(steering=[3.0, 4.0], router=[0.3, 0.4]),
        )

        clip.on_pre_optimizer_step(None, STATE, None, optimizer=optimizer)

        assert gradients_of(optimizer) == pytest.approx([0.6, 0.8, 0.3, 0.4], rel=1e-4)
        assert clip.norms == pytest.approx({"steering": 5.0, "router": 0.5})
        assert clip.rates == {"steering": 0.5, "router": 0.5}

    @pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
    def test_refuses_what_is_not_a_number(self, wrong: float) -> None:
        """The message names the group and the step; it comes when somebody asks."""
        finite = Finite()
        GroupClip(lambda _: 1.0, finite).on_pre_optimizer_step(
            None, STATE, None, optimizer=optimizer_of(steering=[1.0, 1.0], router=[wrong, 0.0])
        )

        with pytest.raises(DivergedError, match="group 'router' is not a number at step 5"):
            finite.check()

    def test_a_group_without_gradients_has_no_norm_to_compute(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """That of no tensors is on the CPU, wherever the others are; the journal has a zero."""
        norm = torch.nn.utils.get_total_norm

        def computed(gradients: list[torch.Tensor]) -> torch.Tensor:
            assert gradients
            return norm(gradients)

        monkeypatch.setattr(torch.nn.utils, "get_total_norm", computed)
        clip, optimizer = (
            GroupClip(lambda _: 1.0, Finite()),
            optimizer_of(steering=[3.0, 4.0], router=[0.3, 0.4]),
        )
        for group in optimizer.param_groups[2:]:
            group["params"][0].grad = None

        clip.on_pre_optimizer_step(None, STATE, None, optimizer=optimizer)

        assert clip.norms == pytest.approx({"steering": 5.0, "router": 0.0})
        optimizer.zero_grad()
        clip.on_pre_optimizer_step(None, STATE, None, optimizer=optimizer)
        assert clip.norms == {"steering": 0.0, "router": 0.0}

    def test_clips_true_gradients_under_a_loss_scaler(self) -> None:
        """In fp16 gradients are unscaled first; one that overflowed is the scaler's business."""
        optimizer = optimizer_of(steering=[6.0, 8.0])
        scale = 2.0

        def unscale(inner: torch.optim.Optimizer) -> None:
            for group in inner.param_groups:
                group["params"][0].grad /= scale

        optimizer.scaler = SimpleNamespace(unscale_=unscale, get_scale=lambda: scale)
        optimizer.optimizer = optimizer
        finite = Finite()
        clip = GroupClip(lambda _: 1.0, finite)
        clip.on_pre_optimizer_step(None, STATE, None, optimizer=optimizer)

        assert clip.norms == pytest.approx({"steering": 5.0})
        optimizer.param_groups[0]["params"][0].grad.fill_(float("inf"))
        clip.on_pre_optimizer_step(None, STATE, None, optimizer=optimizer)
        finite.check()


class TestFinite:
    """Numbers are looked at together, long after they were computed."""

    def test_reports_the_first(self) -> None:
        """What follows from it is not finite either."""
        finite = Finite()
        for step, number in enumerate([1.0, float("nan"), 2.0, float("inf")]):
            finite.add(torch.tensor(number), lambda found, step=step: f"{found} at {step}")

        with pytest.raises(DivergedError, match=r"^nan at 1$"):
            finite.check()

    def test_forgets_what_it_has_checked(self) -> None:
        """Each number is read once, and nothing is read of nothing."""
        finite = Finite()
        finite.add(torch.tensor(1.0), str)
        finite.check()
        finite.add(torch.tensor(2.0), str)
        finite.check()
        finite.check()

    def test_keeps_a_limited_number(self) -> None:
        """Where steps are seldom logged it looks by itself."""
        finite = Finite()
        finite.most = 3
        finite.add(torch.tensor(float("nan")), str)
        finite.add(torch.tensor(1.0), str)

        with pytest.raises(DivergedError, match="nan"):
            finite.add(torch.tensor(1.0), str)


def test_progress_shows_steps_and_loss() -> None:
    """The bar starts where a resumed run does."""
    with Progress(disable=True) as progress:
        bar = ProgressBar(progress)
        bar.on_train_begin(None, STATE, None)
        bar.on_log(None, STATE, None, logs={"loss": 1.25})
        bar.on_log(None, STATE, None, logs={"train_loss": 3.0})
        STATE.global_step = 5
        bar.on_step_end(None, STATE, None)
        STATE.global_step = 4

        assert (progress.tasks[0].completed, progress.tasks[0].total) == (5, 10)
        assert progress.tasks[0].fields["note"] == "loss 1.250"


def test_analysis_of_an_adapter_without_gates_writes_nothing() -> None:
    """It may stay in an experiment whose adapter is `none`."""
    analysis = SteeringAnalysis(SteeringAnalysisConfig(every=1))
    analysis.joined = SimpleNamespace(adapters=NoAdapter(None))
    analysis.journal = None

    analysis.on_step_begin(None, STATE, None)
    analysis.on_step_end(None, STATE, None)


class Keeper(Callback):
    """Keeps the records that it is given."""

    def __init__(self) -> None:
        self.records: list[Step] = []

    def on_record(self, record: Step) -> None:
        self.records.append(record)


class TestRecords:
    """Callbacks get what the engine writes to metrics.jsonl."""

    def test_a_logged_step_has_loss_rates_and_norms_by_group(self, bench: Bench) -> None:
        """The same record as the line of the file."""
        keeper = Keeper()

        bench.trainer(keeper, steps=3).train()

        assert [record.step for record in keeper.records] == [1, 2, 3]
        for record in keeper.records:
            assert record.loss is not None
            assert record.loss > 0
            assert set(record.learning_rate or {}) == set(record.gradient_norm or {})
            assert {"projector", "steering", "router", "scales"} == set(record.gradient_norm or {})
        assert keeper.records == list(bench.journal.read())
        assert keeper.journal.folder == bench.place

    def test_a_callback_of_transformers_needs_none_of_it(self, bench: Bench) -> None:
        """One that was written before runs as before."""

        class Old(Callback):
            steps = 0

            def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
                self.steps += 1

        old = Old()
        bench.trainer(old, steps=2).train()
        assert old.steps == 2

    def test_one_process_is_told(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of several, the first: a file that a callback writes is written once."""
        journal, seen = Journal(tmp_path / "metrics.jsonl"), list[Step]()
        journal.watchers = [seen.append]

        monkeypatch.setattr("steermoe_core.train.ranks.first", lambda: False)
        journal.report(Step(step=1, loss=0.5))
        monkeypatch.setattr("steermoe_core.train.ranks.first", lambda: True)
        journal.report(Step(step=2, validation={"wer": None}))

        assert [record.step for record in seen] == [2]
        assert journal.path.read_text() == '{"step": 2, "validation": {"wer": null}}\n'
