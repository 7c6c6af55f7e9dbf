"""A run that validates: what it says and leaves, which adapter it keeps, and what it refuses."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest

from steermoe_core.cli.main import main
from steermoe_core.config.resolve import resolve
from steermoe_core.plugins import load_registry
from steermoe_core.run.preview.plan import plan
from steermoe_core.train.checkpoint import history
from tests.rig import STEPS, metrics, sentence, status, texts, trained
from tests.tiny import DIGITS, write_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.rig import Rig, Trained

VALIDATE = (
    'data.validate={use="folder", path="dev"}',
    'train.validate={every=2, metric="cer", keep_best=true}',
    "train.steps=8",
)
#: The tiny model learns fast and badly: its best step is not its last.
STOP = (*VALIDATE[:2], "train.steps=40", "train.validate.patience=2")


def validations(run: Path) -> dict[int, float]:
    """Return the metric of every validation by step."""
    return {line["step"]: line["validation"]["cer"] for line in metrics(run) if "validation" in line}


@pytest.fixture
def stopped(rig: Rig, trained_once: Callable[..., Trained]) -> Path:
    """Return the folder of a run that stopped early."""
    return trained_once(*STOP).copied(rig)


class TestValidation:
    """The same greedy generation and the same metrics as afterwards."""

    def test_says_what_the_evaluation_says(self, rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
        """The last validation and the score of the same clips are one number."""
        run = rig.run(*VALIDATE[:1], "train.validate.every=4")

        scores = json.loads((run / "evaluations" / "dev" / "scores.json").read_text())["metrics"]
        lines = [line for line in metrics(run) if "validation" in line]
        assert [line["step"] for line in lines] == [4, STEPS]
        assert lines[-1]["validation"] == {name: score["value"] for name, score in scores.items()}
        said = capsys.readouterr().err
        assert f"validation at step {STEPS}: wer {scores['wer']['value']:.4f}, cer " in said
        assert status(run)["training"]["ended"] == "all steps were taken"

    def test_changes_nothing(self, rig: Rig) -> None:
        """Without `keep_best` and `patience` the adapter and its texts are those of a run without it."""
        plain = rig.run()
        run = rig.run(*VALIDATE[:1], "train.validate.every=1")

        assert trained(run) == trained(plain)
        assert texts(run) == texts(plain)
        assert [line for line in metrics(run) if "validation" not in line] == metrics(plain)

    def test_its_data_is_recorded_and_planned(self, rig: Rig) -> None:
        """lock.json has its hash; the plan shows where it comes from and how often it is scored."""
        run = rig.run(*VALIDATE)
        data = json.loads((run / "lock.json").read_text())["data"]
        assert data["validate"] == data["dev"]

        found = plan(resolve(rig.file, VALIDATE, load_registry()), load_registry(), rig.runs, seconds=3.0)

        assert [part.kind for part in found.parts].count("dataset") == 4
        rows = {row.split: row for row in found.data}
        assert rows["validate"].clips == 4
        assert rows["validate"].note == "Scored every 2 steps; cer selects the best step."

    def test_clips_that_are_trained_on_are_told(self, rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
        """What was learned by heart says nothing."""
        rig.run('data.validate={use="folder", path="train"}', "train.validate.every=6")

        said = capsys.readouterr().err
        assert "10 of 10 validation clips are trained on, too: 000.wav, 001.wav" in said

    def test_off_with_data_is_told(self, rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
        """Somebody forgot `every`, or wanted it so."""
        run = rig.run(*VALIDATE[:1])

        assert "[data.validate] is not used: train.validate.every is 0\n" in capsys.readouterr().err
        assert not validations(run)


class TestBest:
    """`keep_best`."""

    def test_adapter_is_that_of_the_best_step(self, rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
        """Its tensors are the checkpoint's; scores are its scores; the cards and the table say the step."""
        run = rig.run(*VALIDATE)

        found = validations(run)
        best = min(found, key=lambda step: (found[step], step))
        assert best < 8
        assert trained(run) == (run / "checkpoints" / f"step-{best}" / "trained.safetensors").read_bytes()
        scores = json.loads((run / "evaluations" / "dev" / "scores.json").read_text())["metrics"]
        assert scores["cer"]["value"] == found[best]
        card = json.loads((run / "adapter" / "adapter.json").read_text())
        assert card["step"] == best
        assert card["training"] == status(run)["training"] == {
            "steps": 8,
            "of": 8,
            "ended": "all steps were taken",
            "adapter_step": best,
            "best": {"step": best, "metric": "cer", "value": found[best]},
        }  # fmt: skip
        expected = (
            f"tiny: training ended at step 8 of 8: all steps were taken; the adapter is that of step {best} "
            f"(cer {found[best]:.4f} on the validation data)\n"
        )
        assert expected in capsys.readouterr().out

    def test_a_damaged_one_is_not_replaced_by_another(
        self, rig: Rig, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The run ends with a sentence, not with an adapter that nobody asked for."""
        run = rig.run(*VALIDATE)
        best = history(run / "checkpoints" / "step-8")["best_global_step"]
        (run / "checkpoints" / f"step-{best}" / "trained.safetensors").write_bytes(b"rubbish")
        (run / "status.json").unlink()
        (run / "adapter").rename(run / "gone")

        rig.run(*VALIDATE, expect=1)

        said = sentence(capsys)
        assert said.startswith(f"checkpoint {run / 'checkpoints' / f'step-{best}'} is damaged (trained")
        assert not (run / "adapter").exists()


class TestPatience:
    """A run that stops early."""

    def test_finishes_as_any_other(self, rig: Rig, stopped: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """It is scored, and says where and why it stopped."""
        found, state = validations(stopped), status(stopped)
        best = min(found, key=lambda step: (found[step], step))

        assert max(found) == best + 4
        assert (state["state"], state["step"], state["error"]) == ("finished", best + 4, None)
        assert state["training"]["ended"] == "no better cer in 2 validations"
        assert state["training"]["adapter_step"] == best
        assert texts(stopped)

        capsys.readouterr()
        rig.run(*STOP, flags=("--json",))
        (shown,) = json.loads(capsys.readouterr().out)
        assert shown["training"] == state["training"]

    @pytest.mark.parametrize("moment", ["in training", "while the last one is saved", "after the last"])
    def test_a_kill_changes_nothing(self, rig: Rig, stopped: Path, tmp_path: Path, moment: str) -> None:
        """Between validations, in a checkpoint, or when training is over: the same run comes of it."""
        last = status(stopped)["step"]
        expected = trained(stopped), metrics(stopped), texts(stopped), status(stopped)["training"]
        rig.runs = tmp_path / "killed"
        what = {
            "in training": f"kill@{last - 1}",
            "while the last one is saved": f"kill_while_saving@{last}",
            "after the last": f"kill_while_scoring@{last}",
        }[moment]
        process = rig.process(*STOP, RIG=what)
        process.communicate()
        assert process.returncode == -signal.SIGKILL

        run = rig.run(*STOP)

        assert (trained(run), metrics(run), texts(run), status(run)["training"]) == expected

    def test_training_that_is_over_does_not_go_on(
        self, rig: Rig, stopped: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A run that was cut off between its last step and its adapter has no step to take."""
        expected = trained(stopped), metrics(stopped)
        (stopped / "status.json").unlink()
        (stopped / "adapter").rename(stopped / "gone")

        run = rig.run(*STOP)

        assert (trained(run), metrics(run)) == expected

    def test_ctrl_c_in_the_last_step(
        self, rig: Rig, stopped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is obeyed, and the next start only scores."""
        expected = trained(stopped), metrics(stopped), status(stopped)["training"]
        rig.runs = tmp_path / "interrupted"
        with monkeypatch.context() as patch:
            patch.setenv("RIG", f"interrupt@{max(validations(stopped))}")
            run = rig.run(*STOP, expect=130)
        assert not (run / "adapter").exists()

        rig.run(*STOP)

        assert (trained(run), metrics(run), status(run)["training"]) == expected


class TestRefusals:
    """What cannot be meant is told before any training."""

    def test_unknown_metric(self, rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
        """With the nearest name, and all of them."""
        run = rig.run(*VALIDATE[:1], 'train.validate={every=2, metric="word-error"}', expect=2)

        assert sentence(capsys) == 'train.validate.metric is "word-error" (the metrics are wer, cer)'
        assert not (run / "checkpoints").exists()
        rig.run(*VALIDATE[:1], 'train.validate={every=2, metric="were"}', expect=2)
        assert 'did you mean "wer"?' in sentence(capsys)

    def test_no_metric(self, rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
        """Nothing would be compared."""
        text = rig.file.read_text()
        start, end = text.index("[[metrics]]"), text.index("[[callbacks]]")
        rig.file.write_text("metrics = []\n" + text[:start] + text[end:])

        rig.run(*VALIDATE[:1], "train.validate.every=2", expect=2)

        assert sentence(capsys) == "train.validate needs a score: add a table [[metrics]]"

    def test_test_split(self, rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
        """Choosing a step by it would make its score worthless: said by the file, or by the data."""
        assert main(["run", *rig.words(*VALIDATE, 'data.validate.split="test"')]) == 2
        assert "a test split never selects the best step" in capsys.readouterr().err

        write_folder(rig.folder / "both" / "test", DIGITS[:1])
        write_folder(rig.folder / "both" / "dev", DIGITS[:1])
        rig.run('data.validate={use="folder", path="both"}', "train.validate.every=2", expect=1)
        clips = "data.validate has 1 clips of a test split (test/000.wav)"
        assert f"{clips}: a test split never selects the best step" in sentence(capsys)

    def test_other_validation_data(
        self, rig: Rig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A best score on other clips can't be compared: the run refuses to go on."""
        with monkeypatch.context() as patch:
            patch.setenv("RIG", "interrupt@3")
            rig.run(*VALIDATE, expect=130)
        table = rig.folder / "dev" / "metadata.csv"
        table.write_text(table.read_text().replace("two", "nine"))

        rig.run(*VALIDATE, expect=1)

        assert "cannot resume: its validation data changed since it began" in sentence(capsys)
        assert list((rig.path(*VALIDATE) / "checkpoints").iterdir())
