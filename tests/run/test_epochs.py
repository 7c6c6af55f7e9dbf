"""A run that is given epochs is the run of the steps that they are."""

from __future__ import annotations

import json
import re
import signal
from typing import TYPE_CHECKING

import pytest

from steermoe_core.cli.main import main
from tests.rig import STEPS, files, metrics, sentence, status, texts, trained

if TYPE_CHECKING:
    from pathlib import Path

    from tests.rig import Rig

#: Ten clips in batches of three: four steps each.
EPOCHS = STEPS / 4


@pytest.fixture
def counting(rig: Rig) -> Rig:
    """Return the rig with epochs in place of steps."""
    text = rig.file.read_text(encoding="utf-8").replace(f"steps = {STEPS}", f"epochs = {EPOCHS}")
    rig.file.write_text(text, encoding="utf-8")
    return rig


def steps_in_file(run: Path) -> str:
    """Return the comment at the epochs in a run's experiment."""
    found = re.search(r"^epochs = 1\.5 +# (.*)$", (run / "experiment.toml").read_text("utf-8"), re.MULTILINE)
    assert found
    return found[1]


def test_the_same_tensors_metrics_and_texts(rig: Rig, request: pytest.FixtureRequest) -> None:
    """In a folder of its own, with the number of steps in the status and in the experiment."""
    by_steps = rig.run()
    request.getfixturevalue("counting")

    run = rig.run()

    assert run != by_steps
    assert (trained(run), metrics(run), texts(run)) == (trained(by_steps), metrics(by_steps), texts(by_steps))
    assert status(run)["steps"] == status(run)["training"]["of"] == STEPS
    assert steps_in_file(run) == f"{STEPS} steps"
    before = files(run)
    assert rig.run() == run
    assert files(run) == before


def test_a_killed_run_resumes_in_its_folder(counting: Rig, tmp_path: Path) -> None:
    """To the same bits as one that was not."""
    process = counting.process(RIG="kill@5")
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    run = counting.run()
    counting.runs = tmp_path / "whole"

    whole = counting.run()

    assert run.name == whole.name
    assert (trained(run), metrics(run)) == (trained(whole), metrics(whole))


def test_a_warm_up_that_is_too_long(counting: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """Known once the clips are counted: before the first step, and in the plan."""
    counting.run("train.warmup=7", expect=2)
    assert "train.warmup is 7 steps, but train.epochs = 1.5 with 10 clips takes only 6" in sentence(capsys)
    assert main(["plan", *counting.words("train.warmup=7")]) == 2


def test_plan(counting: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """Both, whichever is set."""
    for flags, steps, epochs in (
        ([], 6, 1.5),
        (["--unset", "train.epochs", "--set", "train.steps=2"], 2, 0.5),
    ):
        assert main(["plan", *counting.words(), *flags, "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert (found["steps"], found["epochs"]) == (steps, epochs)
    assert main(["plan", *counting.words()]) == 0
    assert "training: 6 steps in one process, 1.5 epochs\n" in capsys.readouterr().out


def test_plan_without_the_data(counting: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """No clip can be counted."""
    assert main(["plan", *counting.words("data.train.path=nowhere"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["steps"], found["epochs"]) == (None, 1.5)


def test_config_and_sweep(counting: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """The resolved file has the epochs, and an axis of them is one of experiments."""
    assert main(["config", str(counting.file)]) == 0
    assert re.search(
        r"^epochs = 1\.5 +# in steps: see `steermoe plan`$", capsys.readouterr().out, re.MULTILINE
    )
    axis = '[sweep]\n"train.epochs" = [1, 2.5]\n'
    counting.file.write_text(counting.file.read_text("utf-8").replace("epochs = 1.5\n", "") + axis, "utf-8")
    assert main(["check", str(counting.file)]) == 0
    assert "a sweep of 2 experiments" in capsys.readouterr().out


def test_both_and_neither(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """Each is a problem at its place."""
    assert main(["check", str(rig.file), "--set", "train.epochs=2"]) == 2
    assert f"error[E302] [train] has both steps = {STEPS} and epochs = 2" in capsys.readouterr().err
    assert main(["check", str(rig.file), "--unset", "train.steps"]) == 2
    assert "error[E103] [train] has neither steps nor epochs" in capsys.readouterr().err
