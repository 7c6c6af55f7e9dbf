"""Runs with [[augment]]: the same numbers however they are computed, and no effect but on training."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest

from steermoe_core.cli.main import main
from steermoe_core.config.resolve import resolve
from steermoe_core.data.token_limit import Room
from steermoe_core.plugins import load_registry
from steermoe_core.run.assembly.builder import Builder
from steermoe_core.run.folder.records import Lock
from tests.augmentations import Wobble
from tests.rig import STEPS, metrics, sentence, status, texts, trained
from tests.sounds import processed_mels, save_to_disk
from tests.tiny import DIGITS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.rig import Rig

WOBBLE = 'augment=[{use="wobble"}]'
SLOW = 'augment=[{use="slow"}]'


def builder(rig: Rig, *sets: str) -> Builder:
    """Return what builds the experiment with some changed keys."""
    registry = load_registry()
    return Builder(resolve(rig.file, sets, registry).experiment, registry)


class TestNumbers:
    """Trained tensors and metrics, bit by bit."""

    def test_are_those_of_the_experiment_alone(self, rig: Rig, tmp_path: Path) -> None:
        """A run with two workers that is killed in the middle of an epoch and resumed ends as a plain one."""
        workers = "train.workers=2"
        process = rig.process(WOBBLE, workers, RIG="kill@5")
        process.communicate()
        assert process.returncode == -signal.SIGKILL

        resumed = rig.run(WOBBLE, workers)
        rig.runs = tmp_path / "whole"
        whole = rig.run(WOBBLE)

        assert trained(resumed) == trained(whole)
        assert metrics(resumed) == metrics(whole)
        assert texts(resumed) == texts(whole)

    def test_are_others_than_without(self, rig: Rig) -> None:
        """It has an effect and a run folder; lock.json records the clips as they are."""
        plain, wobbled = rig.run(), rig.run(WOBBLE)

        assert trained(wobbled) != trained(plain)
        assert '[[augment]]\nuse = "wobble"' in (wobbled / "experiment.toml").read_text()
        assert Lock.find(wobbled / "lock.json").data == Lock.find(plain / "lock.json").data

    def test_clips_that_are_scored_stay_as_they_are(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        """In validation and evaluation: only the clips of the steps are changed."""
        monkeypatch.setattr(Wobble, "calls", [])

        run = rig.run(WOBBLE, "train.validate.every=2", 'data.validate={use="folder", path="other"}')
        before = texts(run)
        assert main(["evaluate", str(run), "--again"]) == 0

        assert texts(run) == before
        assert len(Wobble.calls) == 3 * STEPS - 2  # the smallest batch of an epoch has one clip


class TestLongerClips:
    """Limits hold for the greatest length that a clip may get."""

    def test_of_the_encoder(self, rig: Rig) -> None:
        """A clip that could become longer than the encoder takes is left out; its own length is kept."""
        examples, report = builder(rig, SLOW).train_examples(0.75)

        assert [example.seconds for example in examples] == pytest.approx([0.3, 0.35, 0.4, 0.45, 0.5])
        assert list(report.left_out["longer than 0.5 s"]) == [f"{n:03d}.wav" for n in range(5, 10)]

    def test_of_the_experiment(self, rig: Rig) -> None:
        """`data.max_seconds` is about the clips as recorded."""
        examples, _ = builder(rig, SLOW, "data.max_seconds=0.5").train_examples(None)

        assert len(examples) == 5

    def test_of_the_decoder(self, rig: Rig) -> None:
        """Audio tokens are counted at the greatest length, and the clips stay as they are."""
        sets = ("collator.max_tokens=20",)
        slow, plain = builder(rig, SLOW, *sets), builder(rig, *sets)
        model = plain.model()
        collator = plain.collator(model)
        collator.room = Room(256, lambda seconds: round(20 * seconds))
        examples, _ = plain.train_examples(None)

        whole, _ = plain.fitting(collator, examples)
        fewer, report = slow.fitting(collator, examples)

        assert 0 < len(fewer) < len(whole)
        assert fewer == examples[: len(fewer)]
        assert report.seconds == pytest.approx(sum(example.seconds for example in fewer))

    def test_the_plan_says_so(self, rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
        """With the part that does it."""
        assert main(["plan", str(rig.file), "--set", SLOW, "--json"]) == 0

        plan = json.loads(capsys.readouterr().out)
        assert {"augmentation"} <= {part["kind"] for part in plan["parts"]}
        assert "Augmentation makes them up to 1.5 times as long." in plan["data"][0]["note"]


class TestMistakes:
    """Each is one sentence, before anything is computed."""

    @pytest.mark.parametrize(
        ("flag", "place", "sentence"),
        [
            ("train.keep_frames=true", "train.keep_frames", "keep_frames is true, but [[augment]] changes"),
            ("train.steps=0", "train.steps", "steps is 0: there is no training in which [[augment]]"),
        ],
    )
    def test_contradictions(
        self, rig: Rig, flag: str, place: str, sentence: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Located at the key that contradicts it."""
        assert main(["check", str(rig.file), "--set", WOBBLE, "--set", flag]) == 2

        error = capsys.readouterr().err
        assert f"error[E302] {sentence}" in error
        assert f"--set {flag}" in error, place

    def test_missing_files(self, rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
        """The augmentation says which, the engine where."""
        run = rig.run('augment=[{use="wobble"}, {use="lost"}]', expect=1)

        assert sentence(capsys) == "augment.1 (lost): noise.wav: there is no such file"
        assert status(run)["state"] == "failed"
        assert not (run / "lock.json").exists()

    def test_features_without_audio(self, rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
        """A waveform that is not there cannot be changed."""
        save_to_disk(rig.folder / "set", processed_mels(DIGITS))

        rig.run(WOBBLE, 'data.train={use="disk", path="set"}', expect=1)

        error = sentence(capsys)
        assert error.startswith("augment.0 (wobble) changes waveforms, but ")
        assert error.endswith("row 0 holds log-mel features; remove it, or take data with sound")
