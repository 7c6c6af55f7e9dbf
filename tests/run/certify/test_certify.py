"""Certificates: all of them hold on an honest run, and each fails for the one thing that it is about."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest

from tests.rig import status
from tests.run.certify.claims import BF16, FRESH, NAMES, SIGMOID, again, certificates, failed, write_new

if TYPE_CHECKING:
    from pathlib import Path

    from tests.rig import Rig


def test_an_honest_run_has_them_all(fresh: Rig) -> None:
    """Each is a claim with a verdict, a reason and figures; measuring again gives the same."""
    run = fresh.run(*FRESH)

    found = certificates(run)

    assert list(found) == NAMES
    assert [one["passed"] for one in found.values()] == [True] * len(NAMES)
    assert all(one["claim"].endswith(".") and one["why"] and one["measured"] for one in found.values())
    assert all(one["command"] == f"steermoe certify {run}" for one in found.values())
    hashes = found["frozen-stayed-frozen"]["measured"]
    assert len(hashes) == 5
    assert all(one == hashes["in_adapter.json"] for one in hashes.values())
    assert found["batch-invariance"]["measured"]["bound"] == 1e-5
    assert len(found["batch-invariance"]["measured"]["clips"]) == 4
    assert found["every-tensor-got-gradient"]["measured"]["norms"].keys() == {
        *(f"adapter.{name}" for name in ("vectors", "scales", "router.weight", "router.bias")),
        *(f"projector.map.{name}" for name in ("weight", "bias")),
    }
    assert found["whole-splits"]["measured"]["splits"]["dev"]["scored"] == 4
    assert found["no-train-eval-overlap"]["measured"]["trained"] == 10
    assert again(run) == found


@pytest.mark.parametrize(
    ("name", "why", "sets"),
    [
        (
            "frozen-stayed-frozen",
            "other frozen weights: encoder (after use)",
            ['adapter={use="night-thief"}'],
        ),
        (
            "text-only-bit-identical",
            "the logits of 4 of 4 texts differ, by up to",
            ['projector={use="meddler"}'],
        ),
        ("batch-invariance", "4 clips alone and together: loss differs by", ['encoder={use="crowd"}']),
        ("batch-invariance", "(bound 1e-05)", ['encoder={use="crowd"}', BF16]),
        ("batch-invariance", "; in fp64 loss differs by", ['projector={use="leaky-q-former"}', SIGMOID]),
        ("batch-invariance", "(bound 1e-05)", ['projector={use="leaky-q-former"}', SIGMOID, BF16]),
        (
            "every-tensor-got-gradient",
            "4 of 6 tensors in the first step; never: adapter.router.weight, adapter.router.bias",
            ['callbacks={use="numb"}'],
        ),
        (
            "no-train-eval-overlap",
            "dev: 4 of 4 clips were trained on; other: 4 of 4 clips were trained on",
            ['data.train.path="new"'],
        ),
    ],
)
def test_each_fails_for_its_own_reason(
    fresh: Rig, capsys: pytest.CaptureFixture[str], name: str, why: str, sets: list[str]
) -> None:
    """The run is finished all the same, says it loudly, and the other certificates hold."""
    run = fresh.run(*FRESH, *sets)

    found = failed(run)
    assert list(found) == [name]
    assert why in found[name]
    assert status(run)["state"] == "finished"
    assert f"CERTIFICATE FAILED: {name}: " in " ".join(capsys.readouterr().out.split())


def test_what_cannot_be_asked_says_why(fresh: Rig, run: Path) -> None:
    """No record of the training, no training data, no two clips: none of them is a failure."""
    (run / "evidence.json").unlink()
    write_new(fresh, "audio")
    (fresh.folder / "train" / "metadata.csv").unlink()

    found = {name: one["why"] for name, one in again(run).items() if one["passed"] is None}

    assert found["batch-invariance"] == "no split has two clips whose references fit"
    assert "evidence.json is lost" in found["every-tensor-got-gradient"]
    assert found["no-train-eval-overlap"].startswith("the training data is not here: ")


def test_an_interrupted_run_has_the_same_certificates(fresh: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the first process saw of gradients is kept for the second."""
    monkeypatch.setenv("RIG", "interrupt@3")
    run = fresh.run(*FRESH, expect=130)
    monkeypatch.delenv("RIG")
    seen = json.loads((run / "evidence.json").read_text())["gradients"]

    fresh.run(*FRESH)

    assert not failed(run)
    assert json.loads((run / "evidence.json").read_text())["gradients"] == seen


def test_a_killed_run_that_was_resumed_has_them_all(fresh: Rig) -> None:
    """After kill -9 in training, and again while it was scored."""
    for what in ("kill@5", "kill_while_scoring@6"):
        process = fresh.process(*FRESH, RIG=what)
        process.communicate()
        assert process.returncode == -signal.SIGKILL

    run = fresh.run(*FRESH)

    assert [one["passed"] for one in certificates(run).values()] == [True] * len(NAMES)


def test_a_run_that_is_not_scored_yet(fresh: Rig) -> None:
    """It has its adapter and its certificates; what is missing is no failure."""
    fresh.process(*FRESH, RIG="kill_while_scoring@6").communicate()

    found = again(fresh.path(*FRESH))

    assert found["whole-splits"]["passed"] is None
    assert found["whole-splits"]["why"].startswith("dev: it is not scored yet; finish the run; other: ")
    assert all(one["passed"] for name, one in found.items() if name != "whole-splits")
