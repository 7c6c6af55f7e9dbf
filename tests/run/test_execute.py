"""A run trains, scores every split and leaves what it promises; what is wrong ends in one sentence."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest

from steermoe_core.data.config import FolderConfig
from steermoe_core.data.sources.folder import read_folder
from steermoe_core.run.assembly.builder import data_record
from steermoe_core.system.records import plain
from tests.rig import STEPS, files, metrics, sentence, status, texts, trained

if TYPE_CHECKING:
    from pathlib import Path

    from tests.rig import Rig

#: A callback that writes the scores that it is given into the run folder.
SCORED = """
from steermoe_core import Callback, Component, hookimpl

@hookimpl
def steermoe_callbacks():
    yield Component(
        name="scored", api=1, summary="", config="fake_rig:Nothing", factory="fake_scored_code:Scored"
    )
"""
SCORED_CODE = """
from steermoe_core import Callback

class Scored(Callback):
    def __init__(self, config):
        pass

    def on_scores(self, split, scores):
        trained = sum(p.requires_grad for p in self.joined.parameters())
        self.write(f"{split} {scores.metrics['wer'].value} {trained > 0} {len(self.examples)}")

    def on_run_end(self, error):
        certified = (self.journal.folder / "certificates.json").exists()
        self.write(f"end {error!r} {certified} {hasattr(self, 'joined') or hasattr(self, 'examples')}")

    def write(self, line):
        with (self.journal.folder / "scored.txt").open("a") as file:
            file.write(line + "\\n")
"""
TOO_HIGH = "train.learning_rate.steering=10.0"
CHECKPOINT = (
    "loss.json",
    "optimizer.pt",
    "rng_state.pth",
    "scheduler.pt",
    "seal.json",
    "trained.safetensors",
    "trainer_state.json",
)


class TestWhatARunLeaves:
    """The run folder."""

    def test_exactly_these_files(self, rig: Rig) -> None:
        """What the documentation promises, and nothing that is left over."""
        run = rig.run()

        assert set(files(run)) == {
            "experiment.toml",
            "lock.json",
            "status.json",
            "metrics.jsonl",
            "report/index.html",
            "evidence.json",
            "certificates.json",
            *(f"checkpoints/step-{step}/{name}" for step in (4, 6) for name in CHECKPOINT),
            *(f"adapter/{name}" for name in ("adapter.json", "adapter.safetensors", "experiment.toml")),
            *(
                f"evaluations/{split}/{name}"
                for split in ("dev", "other")
                for name in ("predictions.jsonl", "predictions.no-audio.jsonl", "scores.json")
            ),
        }

    def test_status_tells_how_it_ended(self, finished: Path) -> None:
        """Finished, at which step, when; no error."""
        found = status(finished)

        assert (found["state"], found["step"], found["error"]) == ("finished", STEPS, None)
        assert found["started"] <= found["ended"]

    def test_metrics_have_every_step_once(self, rig: Rig) -> None:
        """One line a logged step; the loss goes down on ten clips that are seen again and again."""
        found = metrics(rig.run("train.steps=30"))

        assert [line["step"] for line in found] == list(range(1, 31))
        assert found[-1]["loss"] < found[0]["loss"]

    def test_lock_names_everything_the_numbers_depend_on(self, rig: Rig) -> None:
        """Plugins, packages, commit, seed, fingerprints of weights, hashes of data."""
        for words in (["init", "-q"], ["add", "tiny.toml"], ["commit", "-qm", "first"]):
            name = ["-c", "user.name=a", "-c", "user.email=a@b"]
            subprocess.run(["git", *name, *words], cwd=rig.folder, check=True)  # noqa: S607 - the user's git

        run = rig.run()
        lock = json.loads((run / "lock.json").read_text())

        assert lock["plugins"]["steermoe-rig"] == "1.0"
        assert lock["packages"]["torch"] == version("torch")
        assert len(lock["git"]["commit"]) == 40
        assert lock["git"]["dirty"]
        assert lock["seed"] == 17
        assert {len(digest) for digest in lock["frozen"].values()} == {64}
        here = {
            part: data_record(read_folder(FolderConfig(path=rig.folder / part)))
            for part in ("train", "dev", "other")
        }
        assert lock["data"] == plain(here)
        card = json.loads((run / "adapter" / "adapter.json").read_text())
        assert {part: facts["sha256"] for part, facts in card["frozen"].items()} == lock["frozen"]

    def test_its_experiment_is_runnable_as_it_is(self, rig: Rig, finished: Path) -> None:
        """The resolved file gives the same run folder from wherever it lies."""
        rig.file = finished / "experiment.toml"

        assert rig.path() == finished

    def test_same_seed_same_tensors(self, rig: Rig) -> None:
        """A second run elsewhere is bit-equal; another seed is not."""
        first = trained(rig.run())
        other = trained(rig.run("experiment.seed=18"))
        rig.runs = rig.folder / "elsewhere"

        assert trained(rig.run()) == first
        assert other != first

    def test_without_splits_it_only_trains(self, rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
        """An experiment may leave out `[data.eval]`; the run finishes."""
        text = rig.file.read_text()
        start, end = text.index("[data.eval.dev]"), text.index("[train]")
        rig.file.write_text(text[:start] + "[data.eval]\n" + text[end:])

        run = rig.run()

        assert status(run)["state"] == "finished"
        assert not (run / "evaluations").exists()

    def test_without_metrics_it_only_writes_texts(self, rig: Rig) -> None:
        """`metrics = []` is no error."""
        text = rig.file.read_text()
        start, end = text.index("[[metrics]]"), text.index("[[callbacks]]")
        rig.file.write_text("metrics = []\n" + text[:start] + text[end:])

        assert set(texts(rig.run())) == {"000.wav", "001.wav", "002.wav", "003.wav"}


class TestAgain:
    """The same command on a finished run."""

    def test_does_nothing(self, rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
        """It says so, prints the table again and touches no file; no hook fires."""
        run = rig.run()
        before, first = files(run), capsys.readouterr()

        rig.run()

        again = capsys.readouterr()
        assert files(run) == before
        assert again.out == first.out
        assert (
            again.err == f"{run} is finished; change a setting for another run, or delete it to repeat it\n"
        )
        assert rig.hooks == ["before_run", "after_run"]

    def test_changed_key_is_another_run(self, rig: Rig, finished: Path) -> None:
        """The first one stays as it is."""
        before = files(finished)

        assert rig.run("train.steps=2") != finished
        assert files(finished) == before


class TestHooks:
    """Plugins that act before and after a run."""

    def test_each_fires_once(self, rig: Rig) -> None:
        """Before and after a good run; before and on failure of a bad one."""
        rig.run()
        rig.run(TOO_HIGH, expect=1)

        assert rig.hooks == ["before_run", "after_run", "before_run", "run_failed"]

    @pytest.mark.parametrize(("hook", "state"), [("before_run", "failed"), ("after_run", "finished")])
    def test_one_that_raises_is_named(
        self,
        rig: Rig,
        hook: str,
        state: str,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """Exit code 3, the plugin's name and what it raised; a finished run stays finished."""
        monkeypatch.setenv("RIG_HOOK", hook)

        run = rig.run(expect=3)

        expected = f'plugin "rig" failed in steermoe_{hook}: ValueError: the hook tripped'
        assert sentence(capsys).startswith(expected)
        assert status(run)["state"] == state

    def test_one_that_raises_hides_no_error(
        self, rig: Rig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The run's own error is the last word; the hook's is a warning before it."""
        monkeypatch.setenv("RIG_HOOK", "run_failed")

        rig.run(TOO_HIGH, expect=1)

        err = capsys.readouterr().err
        assert 'warning: plugin "rig" failed in steermoe_run_failed: ValueError' in err
        assert err.splitlines()[-1].startswith("steermoe: the ")


class TestDivergence:
    """A loss that is not a number."""

    def test_stops_and_keeps_the_last_good_checkpoint(
        self, rig: Rig, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The sentence names the step; status.json has it, too."""
        text = rig.file.read_text().replace('schedule = "cosine"', "")
        rig.file.write_text(text)
        run = rig.run(TOO_HIGH, 'train.schedule="linear"', "train.warmup=4", expect=1)

        said = sentence(capsys)
        found = status(run)
        assert "not a number" in said or "the loss is nan" in said
        step = int(said.partition(" at step ")[2].split()[0].rstrip(";"))
        assert found["state"] == "failed"
        assert found["error"] == said
        assert (run / "checkpoints").is_dir()
        assert found["step"] == (step - 1) // 2 * 2
        assert not (run / "adapter").exists()
        assert all(math.isfinite(line["loss"]) for line in metrics(run))


class TestFrozenStaysFrozen:
    """A component that writes to frozen weights."""

    @pytest.mark.parametrize("save_every", [0, 2])
    def test_fails_every_time(self, rig: Rig, save_every: int, capsys: pytest.CaptureFixture[str]) -> None:
        """No adapter comes of it, and no second start of the command makes one of its checkpoints."""
        rig.file.write_text(
            rig.file.read_text().replace('use = "steering"\nexperts = 3\nstart = 0.5', 'use = "thief"')
        )

        for _ in range(2):
            run = rig.run(f"train.save_every={save_every}", expect=3)
            assert sentence(capsys).startswith("frozen weights of the encoder changed during training")
            assert status(run)["state"] == "failed"
            assert not (run / "adapter").exists()


class TestCallbacksGetTheScores:
    """Each split once, after it was scored; then the end of the run."""

    def test_also_where_a_run_resumes_after_its_training(self, rig: Rig) -> None:
        """Model, clips and run folder are there; at the end only the folder, with all its files."""
        rig.site.add("scored", SCORED)
        (rig.site.folder / "fake_scored_code.py").write_text(SCORED_CODE, encoding="utf-8")
        callbacks = 'callbacks=[{use="scored"}]'

        run = rig.run(callbacks)
        lines = (run / "scored.txt").read_text().splitlines()
        wer = {
            split: json.loads((run / "evaluations" / split / "scores.json").read_text())["metrics"]["wer"]
            for split in ("dev", "other")
        }
        clips = {"dev": 4, "other": 3}
        scored = [f"{split} {wer[split]['value']} True {clips[split]}" for split in clips]
        assert lines == [*scored, "end None True False"]

        shutil.rmtree(run / "evaluations" / "other")
        (run / "status.json").write_text(json.dumps({**status(run), "state": "interrupted"}))
        assert rig.run(callbacks) == run
        assert (run / "scored.txt").read_text().splitlines() == [*lines, *lines[1:]]

    def test_the_end_has_the_error(self, rig: Rig) -> None:
        """A failed run ends, too."""
        rig.site.add("scored", SCORED)
        (rig.site.folder / "fake_scored_code.py").write_text(SCORED_CODE, encoding="utf-8")

        run = rig.run('callbacks=[{use="scored"}, {use="rig"}]', TOO_HIGH, expect=1)

        (line,) = (run / "scored.txt").read_text().splitlines()
        assert line.startswith("end DivergedError(")
        assert line.endswith(" False False")
