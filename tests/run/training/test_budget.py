"""`auto` is the largest budget that fits, and a run keeps the one that it began with."""

from __future__ import annotations

import json
import math
import signal
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import attrs
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from steermoe_core.cli.main import main
from steermoe_core.config.experiment import TrainConfig
from steermoe_core.data.collators import AsrCollator
from steermoe_core.data.config import AsrConfig, FolderConfig
from steermoe_core.data.sources.folder import read_folder
from steermoe_core.errors import SetupError
from steermoe_core.run.training import budget, training
from steermoe_core.run.training.budget import CLOSE, Tally, largest_budget, rounded, search
from tests.parts import joined
from tests.rig import metrics, sentence, trained
from tests.tiny import write_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from steermoe_core.data.example import Example
    from steermoe_core.data.layout import Batch
    from steermoe_core.model.joined import Joined
    from tests.rig import Rig

MEBI = 2**20
#: Bytes, of which half may be used: enough for some of the ten clips.
FREE = 400_000


class TestSearch:
    """Growing budgets, until memory is full."""

    @given(
        st.floats(0.0, 100.0),
        st.floats(0.1, 10.0),
        st.floats(0.5, 30.0),
        st.floats(1.0, 1e4),
        st.sampled_from([1.0, math.inf]),
    )
    def test_finds_the_largest(
        self, fixed: float, slope: float, smallest: float, room: float, beyond: float
    ) -> None:
        """Whether a batch that does not fit is measured, or ends without memory."""
        room += fixed + slope * smallest
        tried: list[float] = []

        def peak(given: float) -> float:
            tried.append(given)
            used = fixed + slope * given
            return used if used <= room else used * beyond

        found = search(peak, smallest, 1e9, room)

        best = (room - fixed) / slope
        assert best / CLOSE**2 <= found <= best * (1 + 1e-9)
        assert tried[0] == smallest
        assert all(later <= 2 * earlier for earlier, later in pairwise(tried))

    @given(st.floats(1.0, 3.0), st.floats(10.0, 1e4))
    def test_what_grows_faster_than_its_line_is_tried_again(self, power: float, room: float) -> None:
        """The result is always one that was measured to fit."""
        measured: dict[float, float] = {}

        def peak(given: float) -> float:
            return measured.setdefault(given, given**power)

        found = search(peak, 1.0, 1e9, room)

        assert measured[found] <= room
        assert found >= room ** (1 / power) / CLOSE**2

    def test_all_clips_are_enough(self) -> None:
        """More memory than clips to fill it."""
        assert search(lambda given: given, 1.0, 40.0, room=1e9) == 40.0

    @pytest.mark.parametrize(("used", "need"), [(9 * MEBI, "9 MiB"), (math.inf, "more than there is")])
    def test_a_clip_that_does_not_fit(self, used: float, need: str) -> None:
        """With what to change."""
        with pytest.raises(SetupError, match=f"takes {need}, and 4 MiB are free for it; set train.recompute"):
            search(lambda _: used, 1.0, 40.0, 4 * MEBI)

    @given(st.floats(0.01, 1e7))
    def test_two_digits(self, exact: float) -> None:
        """Never above the budget that fits."""
        found = rounded(exact)

        assert 0.9 * exact < found <= exact * (1 + 1e-12)
        assert float(f"{found:.1e}") == found


class TestMeasure:
    """What a step takes."""

    def test_cpu(self) -> None:
        """Bytes of what exists at the same time; what was there before does not count, nor do views."""
        there = torch.ones(100)
        with Tally() as tally:
            first = there.view(10, 10) + 1.0  # 400 bytes
            second = torch.cat([first, first])  # 800
            del first
            third = second.T * 2.0  # 800
        assert tally.peak == 1600
        del second, third

    def test_gpu(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The allocator's own peak over what was allocated before; a share of what is free is taken."""
        figures = {
            "reset_peak_memory_stats": None,
            "memory_allocated": 100,
            "memory_reserved": 300,
            "max_memory_allocated": 700,
            "mem_get_info": (1000, 9999),
        }
        for name, value in figures.items():
            monkeypatch.setattr(torch.cuda, name, lambda _, value=value: value)
        with budget._measured(torch.device("cuda")) as used:
            assert used() == 600
        monkeypatch.setattr(budget, "_device", lambda _: torch.device("cuda"))
        assert budget._room(torch.nn.Linear(1, 1)) == pytest.approx(0.9 * 1200 - 12 * 2)


@attrs.frozen
class Bench:
    """A model with its data, on a machine with little memory."""

    model: Joined
    examples: list[Example]
    collator: AsrCollator

    def find(
        self, collate: Callable[[list[Example]], Batch] | None = None, *, started: bool = False, **train: Any
    ) -> float:
        """Return the largest budget in seconds."""
        return largest_budget(
            self.model,
            TrainConfig(batch_seconds="auto", **train),
            collate or self.collator,
            self.examples,
            [example.seconds for example in self.examples],
            map(self.collator.reference, self.examples),
            started=started,
        )


@pytest.fixture
def bench(tmp_path: Path, decoder_folder: str, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Return a fresh model and ten clips."""
    monkeypatch.setattr(budget, "available", lambda: FREE)
    model = joined(decoder_folder)
    examples = read_folder(FolderConfig(path=write_folder(tmp_path)))
    return Bench(model, examples, AsrCollator(AsrConfig(), model.decoder.tokenizer, model.encoder.features))


class TestLargest:
    """Passes on real clips."""

    @pytest.mark.parametrize("precision", ["fp32", "bf16"])
    def test_nothing_is_left_of_it(self, bench: Bench, precision: str) -> None:
        """Tensors, gradients, random numbers and modes are as they were; the worst batches were tried."""
        model = bench.model
        before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        chance, tried = torch.get_rng_state(), []

        def collate(clips: list[Example]) -> Batch:
            torch.rand(1)
            tried.append([clip.seconds for clip in clips])
            return bench.collator(clips)

        found = bench.find(collate, precision=precision)

        lengths = sorted(example.seconds for example in bench.examples)
        assert lengths[-1] <= found < 0.9 * sum(lengths)
        assert tried[0] == lengths[-1:]
        assert all(clips == lengths[::-1][: len(clips)] for clips in tried[::2])
        assert all(clips == lengths[: len(clips)] for clips in tried[1::2])
        assert max(len(clips) for clips in tried) > 1
        assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
        assert all(parameter.grad is None for parameter in model.parameters())
        assert torch.equal(torch.get_rng_state(), chance)
        assert not model.training

    def test_no_memory_is_infinite(self, bench: Bench) -> None:
        """Nothing of the pass is left."""

        def full(*_: object) -> None:
            raise torch.OutOfMemoryError

        next(bench.model.projector.parameters()).register_hook(full)

        assert budget._peak(bench.model, TrainConfig(), bench.collator(bench.examples)) == math.inf
        assert all(parameter.grad is None for parameter in bench.model.parameters())

    def test_the_fullest_process_decides(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        """Another one has less room, or its passes take more."""
        alone = bench.find()

        monkeypatch.setattr(budget.ranks, "gathered", lambda value: [value, 1.5 * value])

        assert bench.find() < alone

    @pytest.mark.parametrize(("started", "called"), [(False, "begin"), (True, "extend")])
    def test_the_projector_is_prepared(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch, *, started: bool, called: str
    ) -> None:
        """With all answers, as it will be before the first step."""
        calls: list[tuple[str, list[list[int]]]] = []
        for name in ("begin", "extend"):
            monkeypatch.setattr(
                bench.model.projector,
                name,
                lambda answers, *_, name=name: calls.append((name, list(answers))),
            )

        bench.find(started=started)

        assert calls == [(called, [bench.collator.reference(example) for example in bench.examples])]


class TestRun:
    """A run whose experiment says `auto`."""

    @pytest.fixture
    def auto(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Rig:
        """Return the rig with a budget of seconds, on a machine with little memory."""
        text = rig.file.read_text(encoding="utf-8")
        text = text.replace("batch_size = 3\ndevice", 'batch_seconds = "auto"\ndevice')
        rig.file.write_text(text, encoding="utf-8")
        monkeypatch.setattr(budget, "available", lambda: FREE)
        return rig

    def test_is_the_run_with_the_number_that_it_finds(
        self, auto: Rig, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Found, reported, and recorded in lock.json: the rest is the same."""
        run = auto.run()
        found = json.loads((run / "lock.json").read_text())["batch_budget"]
        assert 0.75 <= found < 5.0
        assert f"batch_seconds: auto is {found:g}" in capsys.readouterr().err

        given = auto.run(f"train.batch_seconds={found}")

        assert given != run
        assert (trained(given), metrics(given)) == (trained(run), metrics(run))
        assert json.loads((given / "lock.json").read_text())["batch_budget"] is None

    def test_resumes_with_what_it_began_with(
        self, auto: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Killed, and continued without another look at memory: bit-equal to a run that was not."""
        sets = "train.accumulation=4"
        process = auto.process(sets, RIG="kill@5")
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        found = json.loads((auto.path(sets) / "lock.json").read_text())["batch_budget"]
        monkeypatch.setattr(training, "largest_budget", None)

        run = auto.run(sets)

        assert "resuming from step 4" in capsys.readouterr().err
        assert json.loads((run / "lock.json").read_text())["batch_budget"] == found
        auto.runs = tmp_path / "whole"
        monkeypatch.setattr(training, "largest_budget", lambda *_, **__: found)
        whole = auto.run(sets)
        assert (trained(run), metrics(run)) == (trained(whole), metrics(whole))

    def test_does_not_resume_without_it(
        self, auto: Rig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Nobody knows then what the batches were."""
        monkeypatch.setenv("RIG", "interrupt@3")
        run = auto.run(expect=130)
        (run / "lock.json").unlink()

        auto.run(expect=1)

        assert "lock.json has no batch_budget" in sentence(capsys)

    def test_plan(self, auto: Rig, capsys: pytest.CaptureFixture[str]) -> None:
        """The run finds it, so that its steps are unknown before."""
        flags = ["--unset", "train.steps", "--set", "train.epochs=2", "--json"]
        assert main(["plan", *auto.words(), *flags]) == 0
        assert json.loads(capsys.readouterr().out)["steps"] is None
        assert main(["plan", *auto.words("train.batch_seconds=1.5"), *flags]) == 0
        assert json.loads(capsys.readouterr().out)["steps"] > 2
