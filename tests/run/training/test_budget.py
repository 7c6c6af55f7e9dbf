"""`auto` is the largest budget that fits, and a run keeps the one that it began with."""

from __future__ import annotations

import json
import math
import signal
from itertools import pairwise
from typing import TYPE_CHECKING, Any

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
    from pathlib import Path

    from tests.rig import Rig

MEBI = 2**20


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

    def test_no_memory_is_infinite(self, tmp_path: Path, decoder_folder: str) -> None:
        """Nothing of the pass is left."""
        model = joined(decoder_folder)
        examples = read_folder(FolderConfig(path=write_folder(tmp_path)))
        batch = AsrCollator(AsrConfig(), model.decoder.tokenizer, model.encoder.features)(examples)

        def full(*_: object) -> None:
            raise torch.OutOfMemoryError

        next(model.projector.parameters()).register_hook(full)

        assert budget._peak(model, TrainConfig(), batch) == math.inf
        assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_nothing_is_left_of_it(
    tmp_path: Path, decoder_folder: str, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    """Tensors, gradients, random numbers and modes are as they were; the worst batches were tried."""
    model = joined(decoder_folder)
    examples = read_folder(FolderConfig(path=write_folder(tmp_path)))
    collator = AsrCollator(AsrConfig(), model.decoder.tokenizer, model.encoder.features)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    chance, tried = torch.get_rng_state(), []
    monkeypatch.setattr(budget, "available", lambda: 2 * 4 * MEBI)

    def collate(clips: Any) -> Any:
        torch.rand(1)
        tried.append([clip.seconds for clip in clips])
        return collator(clips)

    found = largest_budget(
        model,
        TrainConfig(batch_seconds="auto", precision=precision),
        collate,
        examples,
        [example.seconds for example in examples],
        map(collator.reference, examples),
        started=False,
    )

    lengths = sorted(example.seconds for example in examples)
    assert lengths[-1] <= found <= sum(lengths)
    assert tried[0] == lengths[-1:]
    assert all(clips == lengths[::-1][: len(clips)] for clips in tried[::2])
    assert all(clips == lengths[: len(clips)] for clips in tried[1::2])
    assert max(len(clips) for clips in tried) > 1
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.equal(torch.get_rng_state(), chance)
    assert not model.training


class TestRun:
    """A run whose experiment says `auto`."""

    @pytest.fixture
    def auto(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Rig:
        """Return the rig with a budget of seconds, on a machine with little memory."""
        text = rig.file.read_text(encoding="utf-8")
        text = text.replace("batch_size = 3\ndevice", 'batch_seconds = "auto"\ndevice')
        rig.file.write_text(text, encoding="utf-8")
        monkeypatch.setattr(budget, "available", lambda: 2 * 2 * MEBI)
        return rig

    def test_is_the_run_with_the_number_that_it_finds(
        self, auto: Rig, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Found, reported, and recorded in lock.json: the rest is the same."""
        run = auto.run()
        found = json.loads((run / "lock.json").read_text())["batch_budget"]
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
