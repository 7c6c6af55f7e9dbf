"""Validation finds the best step, may stop training, and leaves no trace in what is trained."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from steermoe_core.config.experiment import ValidateConfig
from steermoe_core.train.analysis import SteeringAnalysis
from steermoe_core.train.checkpoint import all_checkpoints, history, latest, trained_tensors
from steermoe_core.train.config import SteeringAnalysisConfig
from steermoe_core.train.journal import Step
from steermoe_core.train.validation import Validation, exhausted, undisturbed
from tests.parts import batch, decoder, joined
from tests.train.test_trainer import At, Killed, differing, kill, lines, resume, stop

if TYPE_CHECKING:
    from collections.abc import Mapping

    from steermoe_core.model.joined import Joined
    from tests.train.conftest import Bench


class Listener:
    """Gives a validation the values of a list, and remembers its reports."""

    def __init__(self, *values: float | None, every: int = 1) -> None:
        self.values = dict(enumerate(values, 1))
        self.every = every
        self.reports: list[tuple[int, bool]] = []

    def validation(self, *, higher: bool = False, **config: Any) -> Validation:
        """Return a validation that asks this listener."""
        return Validation(
            ValidateConfig(every=self.every, **config),
            metric="wer",
            higher=higher,
            measure=lambda step: {"wer": self.values[-(-step // self.every)]},
            report=self._report,
        )

    def _report(self, step: int, values: Mapping[str, float | None], best: bool) -> None:  # noqa: FBT001
        assert set(values) == {"wer"}
        self.reports.append((step, best))


def rummage(model: Joined) -> dict[str, float | None]:
    """Do what scoring does, and worse: draw random numbers everywhere, watch, change modes."""
    torch.rand(3)
    random.random()
    np.random.rand(3)  # noqa: NPY002 - likewise
    assert not model.training
    model.adapter.watch()
    with torch.no_grad():
        model.audio(batch(model.encoder).features)
    model.adapter.statistics()
    return {"wer": 1.0}


class TestWhen:
    """Every so many steps, and after the last."""

    @pytest.mark.parametrize(("steps", "expected"), [(6, [2, 4, 6]), (5, [2, 4, 5]), (1, [1])])
    def test_every_few_steps_and_the_last(self, bench: Bench, steps: int, expected: list[int]) -> None:
        """The last step has one wherever it falls."""
        listener = Listener(5.0, 4.0, 3.0, every=2)
        bench.trainer(listener.validation(), steps=steps).train()

        assert [step for step, _ in listener.reports] == expected
        assert [line.step for line in bench.journal.read() if line.validation is not None] == expected

    def test_values_are_in_the_journal(self, bench: Bench) -> None:
        """Each with its step; a value that could not be taken is null."""
        bench.trainer(Listener(0.5, None).validation(), steps=2).train()

        found = [line for line in bench.journal.read() if line.validation is not None]
        assert found == [Step(step=1, validation={"wer": 0.5}), Step(step=2, validation={"wer": None})]

    def test_time_is_not_that_of_steps(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        """A pace is of training alone."""
        listener = Listener(1.0, 1.0, 1.0, 1.0)
        slow = listener.validation()
        clock = [0.0]
        monkeypatch.setattr("time.monotonic", lambda: clock[0])

        def measure(step: int) -> dict[str, float]:
            clock[0] += 100.0
            return {"wer": 1.0}

        slow.measure = measure
        bench.trainer(slow, At(1, lambda _: clock.__setitem__(0, clock[0] + 2.0)), steps=2).train()

        assert [line.seconds_per_step for line in bench.journal.read() if line.loss is not None] == [2.0, 0.0]


class TestBest:
    """Which step is best."""

    @pytest.mark.parametrize(
        ("values", "higher", "best"),
        [
            ((0.9, 0.5, 0.7), False, 2),
            ((0.9, 0.5, 0.7), True, 1),
            ((0.5, 0.5, 0.5), False, 1),
            ((None, 0.9, 0.8), True, 2),
            ((float("nan"), 0.9, float("nan")), False, 2),
            ((None, None, None), False, None),
        ],
    )
    def test_is_remembered(
        self,
        bench: Bench,
        values: tuple[float | None, ...],
        higher: bool,  # noqa: FBT001
        best: int | None,
    ) -> None:
        """Lower or higher, as the metric says; of equal ones the first; what is no number is none."""
        listener = Listener(*values)
        trainer = bench.trainer(listener.validation(higher=higher), steps=3)
        trainer.train()

        assert trainer.state.best_global_step == best
        assert trainer.state.best_metric == (None if best is None else values[best - 1])

    def test_is_kept_beside_the_newest(self, bench: Bench) -> None:
        """It has a checkpoint though none was due, and no later one drives it out."""
        listener = Listener(0.9, 0.1, 0.5, 0.4, 0.3)
        asked = ValidateConfig(every=1, keep_best=True)
        validation = listener.validation(keep_best=True)
        trainer = bench.trainer(validation, steps=5, save_every=3, keep=1, validate=asked)
        trainer.train()

        assert [path.name for path in all_checkpoints(bench.checkpoints)] == ["step-2", "step-5"]
        assert history(bench.checkpoints / "step-5")["best_global_step"] == 2

    def test_is_not_kept_unasked(self, bench: Bench) -> None:
        """Checkpoints are those that `save_every` and `keep` ask for."""
        listener = Listener(0.9, 0.1, 0.5)
        bench.trainer(listener.validation(), steps=3, keep=1).train()

        assert [path.name for path in all_checkpoints(bench.checkpoints)] == ["step-3"]


class TestPatience:
    """When training stops early."""

    def test_stops_after_so_many_without_a_better_one(self, bench: Bench) -> None:
        """The step is saved and logged as the last one is."""
        listener = Listener(0.9, 0.5, 0.6, 0.5, 0.1)
        trainer = bench.trainer(listener.validation(patience=2), steps=9, log_every=100)
        trainer.train()

        assert trainer.state.global_step == 4
        assert latest(bench.checkpoints).name == "step-4"
        assert [line.step for line in bench.journal.read() if line.loss is not None] == [4]

    def test_counts_from_the_start_when_none_was_good(self, bench: Bench) -> None:
        """Values that are no numbers are no progress."""
        trainer = bench.trainer(Listener(*[None] * 9, every=2).validation(patience=3), steps=9)
        trainer.train()

        assert trainer.state.global_step == 6

    def test_zero_never_stops(self, bench: Bench) -> None:
        """All steps are taken."""
        trainer = bench.trainer(Listener(0.1, *[0.9] * 5).validation(), steps=6)
        trainer.train()

        assert trainer.state.global_step == 6

    @given(every=st.integers(1, 5), patience=st.integers(1, 4), better=st.lists(st.booleans(), max_size=20))
    def test_is_a_count_of_failures_in_a_row(self, every: int, patience: int, better: list[bool]) -> None:
        """The step and the best step tell it, without a counter that a resume would have to restore."""
        config = ValidateConfig(every=every, patience=patience)
        best, failures = None, 0
        for number, good in enumerate(better, 1):
            step = number * every
            best, failures = (step, 0) if good else (best, failures + 1)
            for later in range(step, step + every):  # a checkpoint between two validations
                assert exhausted(config, later, best) == (failures >= patience)
            if failures >= patience:
                break


class TestUndisturbed:
    """Training goes on as if nobody had looked."""

    @pytest.mark.parametrize("settings", [{}, {"accumulation": 2}, {"precision": "bf16"}])
    def test_same_tensors_with_and_without(self, bench: Bench, settings: dict[str, Any]) -> None:
        """Bit-equal, and so are the other lines of the journal."""
        config = {"steps": 5, **settings}
        with_, without = bench.elsewhere("with"), bench.elsewhere("without")
        plain = without.trainer(SteeringAnalysis(SteeringAnalysisConfig(every=2)), **config)
        plain.train()
        model = joined(bench.decoder_folder)
        validation = Listener(every=2).validation()
        validation.measure = lambda _: rummage(model)
        analysis = SteeringAnalysis(SteeringAnalysisConfig(every=2))
        validated = with_.trainer(
            validation, analysis, model=model, **config
        )  # the analysis is still watching
        validated.train()

        assert differing(plain.model, validated.model) == []
        assert [line for line in lines(with_) if line.validation is None] == lines(without)

    def test_everything_is_put_back(self, decoder_folder: str) -> None:
        """Random numbers of three generators, modes and statistics; also after an error."""
        model = joined(decoder_folder).train()
        model.adapter.watch()
        model.frames(batch(model.encoder).features)
        seen = model.adapter._statistics
        torch.manual_seed(1)
        random.seed(1)
        np.random.seed(1)  # noqa: NPY002 - a library may use it
        expected = torch.rand(1), random.random(), np.random.rand()  # noqa: NPY002
        torch.manual_seed(1)
        random.seed(1)
        np.random.seed(1)  # noqa: NPY002

        with pytest.raises(ValueError, match="tripped"), undisturbed(model):  # noqa: PT012
            rummage(model)
            raise ValueError("tripped")  # noqa: EM101

        assert (torch.rand(1), random.random(), np.random.rand()) == expected  # noqa: NPY002
        assert model.training
        assert not model.encoder.training
        assert model.adapter._statistics is seen
        assert sum(map(len, seen._batches)) == 3  # a batch a layer


class TestResume:
    """A run that is stopped and resumed validates as one that was not."""

    VALUES = (0.9, 0.2, 0.8, 0.7, 0.6, 0.5)

    @pytest.mark.parametrize("end", [stop, kill])
    @pytest.mark.parametrize("settings", [{}, {"accumulation": 2, "batch_size": 2}])
    def test_best_and_patience_are_remembered(self, bench: Bench, end: Any, settings: dict[str, Any]) -> None:
        """It stops at the same step with the same best one, the same tensors and the same journal."""
        config = {"steps": 9, "save_every": 1, **settings}
        whole, parts = bench.elsewhere("whole"), bench.elsewhere("parts")
        straight = whole.trainer(Listener(*self.VALUES).validation(patience=3), **config)
        straight.train()
        first = parts.trainer(Listener(*self.VALUES).validation(patience=3), At(4, end), **config)
        if end is kill:
            with pytest.raises(Killed):
                first.train()
        else:
            first.train()

        resumed = resume(parts, Listener(*self.VALUES).validation(patience=3), **config)

        for one in (straight, resumed):
            assert (one.state.global_step, one.state.best_global_step, one.state.best_metric) == (5, 2, 0.2)
        assert differing(straight.model, resumed.model) == []
        assert lines(parts) == lines(whole)


def test_recomputation_is_a_key_of_training(bench: Bench) -> None:
    """The trainer tells the frozen parts; a run with it is the run without."""
    plain = bench.elsewhere("plain").trainer(steps=3, accumulation=2)
    plain.train()
    model = joined(bench.decoder_folder)
    trainer = bench.elsewhere("again").trainer(
        model=model, steps=3, accumulation=2, recompute=["encoder", "decoder"]
    )
    assert (model.encoder.recompute, model.decoder.recompute) == (True, True)
    trainer.train()

    for name, tensor in trained_tensors(plain.model).items():
        torch.testing.assert_close(trained_tensors(model)[name], tensor, rtol=1e-5, atol=1e-7, msg=name)
    assert not decoder(bench.decoder_folder).recompute
